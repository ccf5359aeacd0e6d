/**
 * Changes, and the commit that they make together.
 *
 * @module
 */
import { formatLine } from "../journal/lines.ts";
import type { StoreError } from "../links/errors.ts";
import type { Facts, Link } from "../links/link.ts";
import { factsOf, type Wanted } from "../links/wanted.ts";
import type { Write } from "./database.ts";
import { COUNT, FEED, fromKeys, HEAD, idKey, KEPT_MS, linkKey, MADE, SIZE } from "./layout.ts";

/** A change that is asked for. */
export interface Request extends Wanted {
  /** Each has one: it is done once. */
  id: string;
  /** Whether the id may come again, perhaps at another master, and with another key. */
  foreign: boolean;
}

/** What a commit did; nothing is known of one that failed. */
export interface Commit {
  /** What it brought to the feed. */
  lines?: Uint8Array<ArrayBuffer>;
  /** How many links there are more. */
  count?: number;
  version?: string;
}

/** One that is on its way. */
export interface Save extends Request {
  /** Whether the key is of our making. */
  counted: boolean;
  /** The version of the key, where a change may be made of it; nothing, where that must be looked up. */
  found?: { version: string | null; led?: boolean };
  /** What is known of the link that it leaves, once it is found. */
  facts?: Facts;
  deadline: number;
  tries: number;
  resolve: (link: Link) => void;
  reject: (error: StoreError) => void;
}

/** A change with its key. */
export type Keyed = Save & { key: string };

/** Whether a change has its key. */
export function isKeyed(save: Save): save is Keyed {
  return save.key !== undefined;
}

/** The link that a change leaves. */
export function linkOf(save: Keyed): Link {
  save.facts ??= factsOf(undefined, save);
  return { key: save.key, url: save.url, ...save.facts };
}

/** What makes changes whose keys were found as they must be. */
export function toWrite(
  saves: Keyed[],
): { lines: Uint8Array<ArrayBuffer>; count: number; write: Write } {
  const encoder = new TextEncoder();
  const lines = encoder.encode(saves.map((save) => formatLine(linkOf(save))).join(""));
  const checks: Write["checks"] = [];
  const links: Write["mutations"] = [];
  const made: string[] = [];
  let [count, size] = [0, 0];
  for (const save of saves) {
    const { key, url, id, foreign, isNew, found } = save;
    const version = found?.version ?? null;
    const set = encoder.encode(formatLine({ ...linkOf(save), id }));
    checks.push({ key: linkKey(key), version });
    links.push({ key: linkKey(key), set });
    if (foreign) checks.push({ key: idKey(id), version: null });
    // Of an own one only the next look asks; a new link shows by itself whose it is.
    if (foreign || !isNew) links.push({ key: idKey(id), set, expireIn: KEPT_MS });
    if (version === null) size++;
    if (isNew) made.push(key);
    if (isNew && !found?.led) count++; // one that is over still counts
    if (url === "") count--;
  }
  const write: Write = {
    checks,
    // Should a database fail in between, followers are told of more than was done, not of less.
    mutations: [
      { key: HEAD, add: BigInt(lines.length) },
      { key: FEED, set: lines, expireIn: KEPT_MS, stamped: true },
      { key: COUNT, add: BigInt(count) },
      { key: SIZE, add: BigInt(size) },
      ...(made.length > 0 ? [{ key: MADE, set: fromKeys(made), stamped: true }] : []),
      ...links,
    ],
  };
  return { lines, count, write };
}
