/**
 * How often links are followed, in a database.
 *
 * @module
 */
import type { ServedHits } from "../hits/counting.ts";
import { type Counts, type Hit, today } from "../hits/counts.ts";
import { splitId } from "../hits/senders.ts";
import { Taking } from "../hits/taking.ts";
import { DAYS, type Traffic } from "../hits/traffic.ts";
import type { Link } from "../links/link.ts";
import { isExpired } from "../links/time.ts";
import {
  type Database,
  type Entry,
  type Key,
  MAX_MUTATIONS,
  type Mutation,
  type Value,
} from "./database.ts";
import { DEADLINE_MS } from "./head.ts";
import {
  dayKey,
  DAYS_KEPT,
  hitsKey,
  lastKey,
  linkKey,
  previewsKey,
  senderKey,
  toChange,
  toCount,
} from "./layout.ts";
import { readAll } from "./ranking.ts";

const MAX_KEY = 600; // characters: a database holds 2 KiB
const MAX_KEY_BYTES = 64 << 10; // of one commit: it holds 80 KiB
const SWEPT = 400; // entries at once
const DAY_MS = 86_400_000;
/** How long it is known what came of a server, in milliseconds. */
const KNOWN_MS = DAYS * DAY_MS;

/** How many links of a batch were added, by an entry of that version. */
interface Progress {
  done: number;
  version: string | null;
}

/**
 * Adds up what is counted, in a database: nothing of it is kept here. Each batch counts once, though it comes
 * twice, and to several masters: with each part of it, how far it was added is written.
 */
export class KVHits implements ServedHits {
  readonly #taking = new Taking();
  #swept = 0; // the last day on which nothing was left that is too old
  #sweeping?: Promise<void>;

  constructor(private readonly database: Database) {}

  take(counts: Counts): Promise<void> {
    return this.#taking.once(counts.id, () => this.#take(counts));
  }

  async #take({ day, hits, id }: Counts): Promise<void> {
    const [name, n] = splitId(id ?? "");
    const key = id === undefined ? undefined : senderKey(name);
    let from: Progress = { done: 0, version: null };
    if (key !== undefined) from = await this.#progress(key, n);
    while (from.done < hits.length) {
      const { mutations, end } = partOf(hits, from.done, day);
      const checks = [];
      if (key !== undefined) {
        checks.push({ key, version: from.version });
        mutations.push({ key, set: formatProgress(n, end), expireIn: KNOWN_MS });
      }
      const version = await this.#commit({ checks, mutations });
      if (version !== undefined) from = { done: end, version };
      // Another master is adding the same.
      else if (key !== undefined) from = await this.#progress(key, n);
    }
    if (this.#swept < today()) this.#sweeping ??= this.#sweep();
  }

  /** How far the `n`th batch of a server was added. */
  async #progress(key: Key, n: number): Promise<Progress> {
    const [entry] = await this.#read([key]);
    const [last, done] = parseProgress(entry?.value);
    const version = entry?.version ?? null;
    // It sends the next one when this one was answered for.
    return { done: last > n ? Infinity : last === n ? done : 0, version };
  }

  /** Deletes some of what was counted more than {@linkcode DAYS} days ago, but for the sums. */
  async #sweep(): Promise<void> {
    const day = today();
    try {
      const range = { start: DAYS_KEPT, end: dayKey(firstDay(day), ""), limit: SWEPT };
      const entries = await this.database.range(range, AbortSignal.timeout(DEADLINE_MS));
      const mutations: Mutation[] = [];
      let bytes = 0;
      for (const { key: place } of entries) {
        const [old, key] = place.slice(-2);
        bytes += 2 * lengthOf(key);
        if (bytes > MAX_KEY_BYTES) break;
        mutations.push({ key: place, gone: true });
        mutations.push({ key: lastKey(key), atLeast: BigInt(old) });
      }
      if (mutations.length > 0) await this.#commit({ checks: [], mutations });
      else this.#swept = day;
    } catch {
      // The next batch brings the next try.
    } finally {
      this.#sweeping = undefined;
    }
  }

  /** Forgets what was counted of a link that has ended: with its key, another one begins at 0. */
  async clear(key: string): Promise<void> {
    const [link, ...counts] = await this.#read([linkKey(key), hitsKey(key), previewsKey(key)]);
    if (counts.every((count) => count === undefined) || leads(link)) return;
    const keys = [hitsKey(key), previewsKey(key), lastKey(key)];
    const day = today();
    // Those of other masters may have another day already, or still.
    for (let old = firstDay(day) - 1; old <= day + 1; old++) keys.push(dayKey(old, key));
    await this.#commit({
      checks: [{ key: linkKey(key), version: link?.version ?? null }],
      mutations: keys.map((key) => ({ key, gone: true })),
    });
  }

  /** How often the link of `key` was followed. */
  async traffic(key: string): Promise<Traffic> {
    const day = today();
    const days = Array.from({ length: DAYS }, (_, i) => firstDay(day) + i);
    const [hits, previews, before, ...each] = await readAll(this.database, [
      hitsKey(key),
      previewsKey(key),
      lastKey(key),
      ...days.map((day) => dayKey(day, key)),
    ]);
    const followed = days.map((day, i): [number, number] => [day, toCount(each[i]?.value)])
      .filter(([, count]) => count > 0);
    const last = followed.at(-1)?.[0] ?? toCount(before?.value);
    return {
      hits: toCount(hits?.value),
      previews: toCount(previews?.value),
      ...(last === 0 ? {} : { last }),
      days: followed,
    };
  }

  /** There is no file to be copied. */
  read(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Finishes what is on its way. */
  async close(): Promise<void> {
    await this.#taking.settled();
    await this.#sweeping;
  }

  #read(keys: Key[]): Promise<(Entry | undefined)[]> {
    return this.database.read(keys, AbortSignal.timeout(DEADLINE_MS));
  }

  #commit(write: Parameters<Database["commit"]>[0]): Promise<string | undefined> {
    return this.database.commit(write, AbortSignal.timeout(DEADLINE_MS));
  }
}

/** What adds up some of `hits`, from `at` up to `end`: as many as a commit takes. */
function partOf(
  hits: Hit[],
  at: number,
  day: number,
): { mutations: Mutation[]; end: number } {
  const now = today();
  const isOld = day < firstDay(now);
  day = Math.min(day, now); // by another clock it may be tomorrow, or any time
  const mutations: Mutation[] = [];
  let bytes = 0;
  let end = at;
  for (; end < hits.length; end++) {
    const [key, count, previews] = hits[end];
    if (key.length > MAX_KEY) continue; // no link has it
    bytes += 3 * lengthOf(key);
    if (mutations.length + 3 >= MAX_MUTATIONS || bytes > MAX_KEY_BYTES) break;
    if (count > 0) {
      mutations.push({ key: hitsKey(key), add: BigInt(count) });
      if (isOld) mutations.push({ key: lastKey(key), atLeast: BigInt(day) });
      else mutations.push({ key: dayKey(day, key), add: BigInt(count) });
    }
    if (previews > 0) mutations.push({ key: previewsKey(key), add: BigInt(previews) });
  }
  return { mutations, end };
}

/** The first day that is kept on `day`. */
function firstDay(day: number): number {
  return day - DAYS + 1;
}

/** How many bytes a key in the database has that holds this one, at most. */
function lengthOf(key: string): number {
  return 3 * key.length + 24;
}

function leads(entry?: Entry): boolean {
  const { url = "", expires }: Partial<Link> = entry ? toChange(entry.value) : {};
  return url !== "" && (expires === undefined || !isExpired(expires));
}

function formatProgress(n: number, done: number): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify([n, done]));
}

function parseProgress(value?: Value): [n: number, done: number] {
  if (value === undefined) return [-1, 0];
  const [n, done]: unknown[] = typeof value === "bigint"
    ? []
    : JSON.parse(new TextDecoder().decode(value));
  if (typeof n === "number" && typeof done === "number") return [n, done];
  throw new Error("the database holds what isn't goto's");
}
