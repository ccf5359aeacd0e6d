/**
 * What becomes of a link by a change.
 *
 * @module
 */
import { errExists, errExpired, errNotFound } from "./errors.ts";
import type { Facts, Link } from "./link.ts";
import { isExpired, MAX_TIME, now } from "./time.ts";

/** What goes with a change. */
export interface ChangeOptions {
  /** Repeating a change with the same id gives the first answer again: whoever lost that asks once more. */
  id?: string;
  /** The second from which on the link is over, or 0 for never; by default, as before. */
  expires?: number;
  /** Of a new link: when it was created, or 0 where that isn't known; by default, now. */
  created?: number;
  /** Of a new link: who creates it. */
  author?: string;
  /** Of a change: who makes it; of a new link that was elsewhere before: who changed it last. */
  editor?: string;
}

/** A change that is asked for. */
export interface Wanted extends ChangeOptions {
  /** None: a new one is to be created. */
  key?: string;
  /** "" deletes. */
  url: string;
  /** Whether the key must lead nowhere yet, or somewhere already. */
  isNew: boolean;
}

/**
 * What is known of the link that a change leaves.
 *
 * @param before what there is of the key
 * @param grace so many seconds after the end of its link a key is free again
 * @throws {StoreError} exists, not found, or expired: the change can't be made of what there is
 * @example
 * ```ts
 * const before = { key: "docs", url: "https://example.com/", created: 1795600000 };
 * factsOf(before, { url: "https://example.com/docs", isNew: false }); // { created: 1795600000 }
 * ```
 */
export function factsOf(
  before: Link | undefined,
  { url, created, expires, author, editor, isNew }: Wanted,
  grace = 0,
): Facts {
  const leads = before !== undefined && before.url !== "";
  const end = leads ? before.expires ?? Infinity : Infinity;
  const over = isExpired(end);
  if (isNew && leads && !isExpired(end + grace)) throw errExists;
  if (!isNew && !leads) throw errNotFound;
  if (!isNew && over) throw errExpired;
  if (url === "") return { ...namesOf(undefined, editor), ...createdOf(before) };
  created = isNew ? creationOf(created, before) : before?.created;
  expires = isNew ? expires : expires ?? before?.expires;
  const facts = namesOf(isNew ? author : before?.author, editor);
  if (created) facts.created = created;
  if (expires) facts.expires = expires;
  return facts;
}

/**
 * When a new link is created. By that it is told from those that had its key before, so it is later than all of
 * them: a second after the last one, where it would not be.
 */
function creationOf(created = now(), before?: Link): number {
  if (before === undefined) return created;
  return Math.min(Math.max(created || now(), (before.created ?? 0) + 1), MAX_TIME);
}

/** What stays of a link that is deleted. */
function createdOf({ created }: Partial<Link> = {}): Facts {
  return created ? { created } : {};
}

/**
 * A link, if it leads anywhere.
 *
 * @throws {StoreError} not found, expired
 * @example
 * ```ts
 * leading({ key: "docs", url: "https://example.com/" }).url; // "https://example.com/"
 * ```
 */
export function leading<L extends Link>(link: L | undefined): L {
  if (!link?.url) throw errNotFound;
  if (link.expires !== undefined && isExpired(link.expires)) throw errExpired;
  return link;
}

/** Those who are known; most links have nobody, and no room for a name. */
function namesOf(author?: string, editor?: string): Facts {
  const facts: Facts = {};
  if (author !== undefined) facts.author = author;
  if (editor !== undefined) facts.editor = editor;
  return facts;
}
