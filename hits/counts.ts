/**
 * What was counted, as threads and servers tell it each other.
 *
 * @module
 */
import { isCount } from "../links/count.ts";
import { StoreError } from "../links/errors.ts";

const MS_A_DAY = 86_400_000;
const MAX_HITS = 2 ** 40;

/**
 * How often a link was followed, and how often it was only looked at, by HEAD or for a preview. When it was
 * created tells it from others that had its key, or will have it; 0 where its time isn't known. Without it the
 * link is meant that has the key when that is read.
 */
export type Hit = [key: string, hits: number, previews: number, created?: number];

/** A hit, which says when its link was created if that is known to be known, or not. */
export function hitOf(key: string, hits: number, previews: number, created?: number): Hit {
  return created === undefined ? [key, hits, previews] : [key, hits, previews, created];
}

/** What was counted on one day. */
export interface Counts {
  /** In days since 1970, by UTC. */
  day: number;
  hits: Hit[];
  /** Of links that have a row: that, and how often it was followed, in turn. */
  rows?: Uint32Array;
  /** An id by which counts that come twice are known: `NAME-N`, where one name's `N` only grows. */
  id?: string;
}

/**
 * The day that it is, in days since 1970, by UTC.
 *
 * @example
 * ```ts
 * today(Date.UTC(2026, 10, 25)); // 20782
 * ```
 */
export function today(time = Date.now()): number {
  return Math.floor(time / MS_A_DAY);
}

/**
 * A day as people write it.
 *
 * @example
 * ```ts
 * formatDay(20782); // "2026-11-25"
 * ```
 */
export function formatDay(day: number): string {
  return new Date(day * MS_A_DAY).toISOString().slice(0, 10);
}

/**
 * Counts as servers send them, in JSON.
 *
 * @example
 * ```ts
 * formatCounts({ day: 20782, hits: [["docs", 3, 0, 1795600000]] });
 * // '{"day":20782,"hits":[["docs",3,0,1795600000]]}'
 * ```
 */
export function formatCounts({ day, hits }: Counts): string {
  return JSON.stringify({ day, hits });
}

/**
 * Reads what {@linkcode formatCounts} made.
 *
 * @throws {StoreError} invalid query: it is nothing of the kind
 */
export function parseCounts(text: string): Counts {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  const { day, hits }: { day?: unknown; hits?: unknown } = Object(value);
  if (isDay(day) && Array.isArray(hits) && hits.every(isHit)) return { day, hits };
  throw new StoreError("invalid query", "invalid counts");
}

/** Whether a value is a day from 1970 to 2149. */
export function isDay(value: unknown): value is number {
  return isCount(value) && value <= 0xffff;
}

/** Whether a link can be followed so often in a day. Sums of such counts stay exact. */
function isHits(value: unknown): boolean {
  return isCount(value) && value <= MAX_HITS;
}

function isHit(value: unknown): value is Hit {
  if (!Array.isArray(value) || value.length < 3 || value.length > 4) return false;
  const [key, hits, previews, created = 0] = value;
  return typeof key === "string" && isHits(hits) && isHits(previews) && isCount(created);
}
