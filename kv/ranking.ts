/**
 * Listed links with how often they were followed, and the most followed first.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import { after, type Database, type Entry, type Key, MAX_RANGE, MAX_READ } from "./database.ts";
import { DEADLINE_MS } from "./head.ts";
import { HITS_END, hitsKey, toCount } from "./layout.ts";

/** So many reads are under way at once. */
export const READS = 8;
/** Of more links that were followed, nobody is told which were most: all are looked at for each page. */
const MAX_RANKED = 100_000;
/** So many links are looked at for one page: what holds no more is not the last one. */
export const MAX_SEEN = 5000;
const KEPT = MAX_SEEN + 1; // of those that were followed: it shows whether there are more

const errMany = new StoreError(
  "invalid query",
  `"order" can't be hits: more than ${MAX_RANKED.toLocaleString("en-US")} links were followed`,
);

/** A link, and how often it was followed. */
interface Rank {
  key: string;
  hits: number;
}

/** Where a page of the most followed ends. */
const PLACE = /^(?:(\d{1,16})-(.+))?$/s;

/** Links that were followed. */
interface Ranking {
  /** Their keys, */
  followed: Set<string>;
  /** and those behind a place, the most followed first. */
  ranked: { key: string; next: string }[];
}

/** Whether a place is one of those that {@linkcode rank} gives, or the first. */
export function isRanked(from: string): boolean {
  return PLACE.test(from);
}

/**
 * Puts links in the order of how often they were followed.
 *
 * @throws {StoreError} invalid query: there are too many
 */
export async function rank(database: Database, from: string): Promise<Ranking> {
  const [, hits = "Infinity", key = ""] = PLACE.exec(from) ?? [];
  const least: Rank = { key, hits: Number(hits) };
  const followed = new Set<string>();
  let ranks: Rank[] = [];
  let last: Rank | undefined; // when there are enough, those behind it are no more of interest
  for await (const entries of range(database, hitsKey(""), HITS_END)) {
    for (const entry of entries) {
      const found = { key: entry.key.at(-1) ?? "", hits: toCount(entry.value) };
      followed.add(found.key);
      if (compare(least, found) >= 0 || (last && compare(last, found) <= 0)) continue;
      ranks.push(found);
      if (ranks.length < 2 * KEPT) continue;
      ranks = ranks.sort(compare).slice(0, KEPT);
      last = ranks.at(-1);
    }
    if (followed.size > MAX_RANKED) throw errMany;
  }
  const ranked = ranks.sort(compare).map(({ key, hits }) => ({ key, next: `${hits}-${key}` }));
  return { followed, ranked };
}

/** Gives links that stand in the order of their keys how often each was followed. */
export async function countRange(database: Database, links: Link[]): Promise<void> {
  const [first] = links;
  const last = links.at(-1);
  if (first === undefined || last === undefined) return;
  const hits = new Map<string, number>();
  for await (const entries of range(database, hitsKey(first.key), after(hitsKey(last.key)))) {
    for (const { key, value } of entries) hits.set(key.at(-1) ?? "", toCount(value));
  }
  for (const link of links) link.hits = hits.get(link.key) ?? 0;
}

/** Gives links how often each was followed. */
export async function countEach(database: Database, links: Link[]): Promise<void> {
  const hits = await readAll(database, links.map(({ key }) => hitsKey(key)));
  for (const [i, link] of links.entries()) link.hits = toCount(hits[i]?.value);
}

/** Reads any number of keys. */
export async function readAll(database: Database, keys: Key[]): Promise<(Entry | undefined)[]> {
  const entries: (Entry | undefined)[] = [];
  for (let at = 0; at < keys.length; at += READS * MAX_READ) {
    const reads = [];
    for (let i = at; i < Math.min(at + READS * MAX_READ, keys.length); i += MAX_READ) {
      reads.push(database.read(keys.slice(i, i + MAX_READ), AbortSignal.timeout(DEADLINE_MS)));
    }
    entries.push(...(await Promise.all(reads)).flat());
  }
  return entries;
}

/** Reads a range of any length, a part at a time. */
async function* range(database: Database, start: Key, end: Key): AsyncGenerator<Entry[]> {
  for (;;) {
    const asked = { start, end, limit: MAX_RANGE };
    const entries = await database.range(asked, AbortSignal.timeout(DEADLINE_MS));
    yield entries;
    const last = entries.at(-1);
    if (last === undefined || entries.length < MAX_RANGE) return;
    start = after(last.key);
  }
}

function compare(a: Rank, b: Rank): number {
  if (a.hits !== b.hits) return b.hits - a.hits;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
