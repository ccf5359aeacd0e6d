/**
 * The feed of changes, as it is kept in the database.
 *
 * Each commit adds its lines, under a key that ends with the commit's version, and their length to the
 * head. So whoever knows one position and the version of the database at it, knows the position of every
 * later line, and by the head whether one is missing.
 *
 * @module
 */
import { Condition } from "../journal/condition.ts";
import {
  BLANK,
  CHECK_BYTES,
  type FeedStream,
  fingerprint,
  HEARTBEAT_MS,
  join,
} from "../journal/feed.ts";
import { pause } from "../replica/wait.ts";
import { type Database, type Entry } from "./database.ts";
import { DEADLINE_MS, type Head, type Point } from "./head.ts";
import { FEED, feedKey, HEAD } from "./layout.ts";

const PAGE = 100; // commits that are read at once
const MAX_MISSED = 16 << 20; // bytes: whoever missed more starts over sooner than he has read them
const REST_MS = 5; // between two looks, so that many commits share one
const RETRY_MS = 1000; // after a watch was lost
const MAX_POINTS = 1000;
const MAX_RECENT = 1 << 20; // bytes

/** The feed in a database. */
export class History {
  readonly #changed = new Condition();
  readonly #points = new Map<number, string>(); // versions by position, where somebody may come back to
  #recent: Recent[] = [];
  #recentBytes = 0;
  #notified = 0;
  #watching = false;

  /** @param closed aborted when nothing is to be followed any more */
  constructor(
    private readonly database: Database,
    private readonly head: Head,
    private readonly closed: AbortSignal,
  ) {}

  /** There may be something new. */
  notify(): void {
    this.#notified++;
    this.#changed.notifyAll();
  }

  /** Takes in what was committed, where nobody else commits: then it need not be read. */
  tell(commit: Recent): void {
    this.#recent.push(commit);
    this.#recentBytes += commit.value.length;
    if (this.#recentBytes < MAX_RECENT) return;
    this.#recent = [];
    this.#recentBytes = 0;
  }

  /**
   * Opens the feed at `offset` (none: its end). Where the database doesn't have all that came since, or
   * `check` is that of another history, it starts at its end.
   */
  async open(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<FeedStream> {
    this.#watch();
    const end = await this.head.read();
    const missed = offset === undefined || offset > end.position
      ? undefined
      : await this.#missed(offset, check, end);
    const start = missed === undefined ? end.position : offset ?? end.position;
    if (missed === undefined) {
      this.head.reset(end);
      this.#points.clear();
    }
    this.#remember(end);
    return {
      offset: start,
      size: end.position,
      check: missed === undefined ? end.version : check,
      partial: true,
      body: ReadableStream.from(this.#follow(missed ?? [], end, signal))
        .pipeThrough(new TransformStream(), { signal }),
    };
  }

  /** What came between `offset` and `end`; nothing, where that can't be told. */
  async #missed(
    offset: number,
    check: string | undefined,
    end: Point,
  ): Promise<Uint8Array[] | undefined> {
    // A version serves as the check of where a feed was opened.
    const version = this.#points.get(offset) ??
      (/^[\da-f]{20}$/.test(check ?? "") ? check : undefined);
    if (version !== undefined) {
      const lines = await this.#between({ position: offset, version }, end);
      if (lines !== undefined) return lines;
    }
    return await this.#search(offset, check, end);
  }

  /** All lines from one point to another; nothing, if some are missing, or too many. */
  async #between(from: Point, to: Point): Promise<Uint8Array[] | undefined> {
    if (to.position - from.position > MAX_MISSED || to.version < from.version) return;
    const first = this.#recent.findLastIndex(({ before }) => before === from.version);
    const recent = first === -1 ? [] : this.#recent.slice(first);
    if (recent.length > 0 && lengthOf(recent) === to.position - from.position) {
      return recent.map(({ value }) => value);
    }
    const lines: Uint8Array[] = [];
    let at = from;
    while (at.version < to.version) {
      const page = await this.#page(at.version, to.version);
      if (page.length === 0) break;
      for (const { value } of page) lines.push(value);
      at = { position: at.position + lengthOf(page), version: page[page.length - 1].version };
    }
    return at.position === to.position ? lines : undefined;
  }

  /** Looks for an offset from the end backwards, and whether what is before it is what `check` shows. */
  async #search(
    offset: number,
    check: string | undefined,
    end: Point,
  ): Promise<Uint8Array[] | undefined> {
    if (check === undefined) return;
    const from = Math.max(0, offset - CHECK_BYTES);
    if (end.position - from > MAX_MISSED) return;
    const newest: Uint8Array<ArrayBuffer>[] = [];
    let at = end.position;
    let version = `${end.version}\0`;
    while (at > from) {
      const page = await this.#pageBefore(version);
      if (page.length === 0) return; // what was before is forgotten
      for (const { value } of page) newest.push(value);
      at -= lengthOf(page);
      version = page[page.length - 1].version;
    }
    if (at < 0) return;
    const bytes = join(newest.reverse());
    if (await fingerprint(bytes.slice(from - at, offset - at)) !== check) return;
    return [bytes.subarray(offset - at)];
  }

  /** Gives what was missed, and then each change; a blank line shows that nothing was to be told. */
  async *#follow(
    missed: Uint8Array[],
    from: Point,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    if (missed.length > 0) yield join(missed.map((bytes) => new Uint8Array(bytes)));
    let at = from;
    let told = performance.now();
    for (;;) {
      const notified = this.#notified;
      const isDue = performance.now() - told >= HEARTBEAT_MS;
      const end = !isDue && this.head.latest || await this.head.read();
      signal.throwIfAborted();
      if (end.position === at.position && end.version === at.version) {
        if (isDue) {
          told = performance.now();
          yield BLANK;
        }
        if (notified === this.#notified) await this.#changed.wait(HEARTBEAT_MS);
      } else {
        const lines = await this.#between(at, end);
        if (lines === undefined) throw new Error("the feed lacks changes");
        at = end;
        this.#remember(at);
        told = performance.now();
        if (lines.length > 0) yield join(lines.map((bytes) => new Uint8Array(bytes)));
        await pause(REST_MS, signal);
      }
      signal.throwIfAborted();
    }
  }

  /** The next commits after a version, and none after another. */
  async #page(after: string, to: string): Promise<Line[]> {
    const range = { start: feedKey(`${after}\0`), end: feedKey(`${to}\0`), limit: PAGE };
    return toLines(await this.database.range(range, AbortSignal.timeout(DEADLINE_MS)));
  }

  /** The last commits before a version, the newest first. */
  async #pageBefore(version: string): Promise<Line[]> {
    const range = { start: FEED, end: feedKey(version), limit: PAGE, reverse: true };
    return toLines(await this.database.range(range, AbortSignal.timeout(DEADLINE_MS)));
  }

  #remember({ position, version }: Point): void {
    this.#points.delete(position);
    this.#points.set(position, version);
    if (this.#points.size <= MAX_POINTS) return;
    for (const oldest of this.#points.keys()) return void this.#points.delete(oldest);
  }

  /** Watches for what others change, from the first time on that somebody follows. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    while (!this.closed.aborted) {
      // What comes while it is lost, the next look finds, after two seconds at most.
      await this.database.watch(HEAD, () => this.notify(), this.closed).catch(() => {});
      this.notify();
      if (!this.closed.aborted) await this.#changed.wait(RETRY_MS);
    }
  }
}

/** What was committed lately, and the version that the database had before. */
interface Recent {
  before: string;
  version: string;
  value: Uint8Array<ArrayBuffer>;
}

/** What a commit brought. */
interface Line {
  value: Uint8Array<ArrayBuffer>;
  version: string;
}

function toLines(entries: Entry[]): Line[] {
  return entries.map(({ value, version }) => {
    if (typeof value === "bigint") throw new Error("the database holds what isn't goto's");
    return { value, version };
  });
}

function lengthOf(lines: { value: Uint8Array }[]): number {
  return lines.reduce((sum, { value }) => sum + value.length, 0);
}
