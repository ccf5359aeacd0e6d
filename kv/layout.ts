/**
 * What stands where in the database. Values are lines of a journal, so that there is one format.
 *
 * @module
 */
import { readLines } from "../journal/lines.ts";
import type { Change } from "../links/link.ts";
import type { Key, Value } from "./database.ts";

/** How many bytes the feed has had so far: the position. Its version is that of the last change. */
export const HEAD: Key = ["goto", "head"];
/** How many keys there are, deleted ones included, */
export const SIZE: Key = ["goto", "size"];
/** and how many of them lead somewhere. */
export const COUNT: Key = ["goto", "count"];
/** What genKey makes the next key of that nobody has leased. */
export const NEXT: Key = ["goto", "next"];
/** How long changes stay in the feed, and ids are remembered, in milliseconds. */
export const KEPT_MS = 3_600_000;

/** Where the feed is: the lines of each commit, by its version. */
export const FEED: Key = ["goto", "feed"];

/** A link, as the line that last changed it. */
export function linkKey(key: string): Key {
  return ["goto", "link", key];
}

/** The keys of the links that each commit made, by its version. */
export const MADE: Key = ["goto", "made"];

/** What a commit made. */
export function madeKey(version: string): Key {
  return [...MADE, version];
}

/** Behind all links. */
export const LINKS_END: Key = ["goto", "link\0"];

/** The line of the write that bore an id. */
export function idKey(id: string): Key {
  return ["goto", "id", id];
}

/** How often a link was followed in all, */
export function hitsKey(key: string): Key {
  return ["goto", "hits", key];
}

/** behind which are no more, */
export const HITS_END: Key = ["goto", "hits\0"];

/** and how often it was only looked at. */
export function previewsKey(key: string): Key {
  return ["goto", "previews", key];
}

/** How often a link was followed on a day. They are in the order of the days, so that the oldest are found. */
export function dayKey(day: number, key: string): Key {
  return [...DAYS_KEPT, String(day).padStart(5, "0"), key];
}

/** Where those are. */
export const DAYS_KEPT: Key = ["goto", "day"];

/** The last day on which a link was followed, of those that are not kept. */
export function lastKey(key: string): Key {
  return ["goto", "last", key];
}

/** How much of what a server counted was added. */
export function senderKey(name: string): Key {
  return ["goto", "sender", name];
}

/** What a commit brought to the feed. */
export function feedKey(version: string): Key {
  return [...FEED, version];
}

/** The change that a value is. */
export function toChange(value: Value): Change {
  let change: Change | undefined;
  let wrong = "";
  if (typeof value !== "bigint") {
    readLines(value, (read) => change = read, (_, reason) => wrong = `: ${reason}`);
  }
  if (change === undefined) throw new Error(`the database holds what isn't goto's${wrong}`);
  return change;
}

/** A count; without a value it is 0. */
export function toCount(value: Value = 0n): number {
  if (typeof value !== "bigint") throw new Error("the database holds what isn't goto's");
  return Number(BigInt.asIntN(64, value));
}

/** Keys, as they are kept together. */
export function fromKeys(keys: string[]): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(keys));
}

/** Reads them. */
export function toKeys(value: Value): string[] {
  const keys: unknown = typeof value === "bigint"
    ? value
    : JSON.parse(new TextDecoder().decode(value));
  if (!Array.isArray(keys)) throw new Error("the database holds what isn't goto's");
  return keys.map(String);
}
