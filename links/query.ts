/**
 * What is asked of a list of links, and the page that answers it.
 *
 * @module
 */
import { isCount } from "./count.ts";
import { StoreError } from "./errors.ts";
import { isLink, type Link } from "./link.ts";
import { trim } from "./text.ts";

/** Most links of a page. */
export const MAX_LIMIT = 1000;
/** How many there are where nobody says. */
export const LIMIT = 50;
/** Most characters of a page's URLs, beside those of its last link. */
export const MAX_CHARS = 1 << 20;
const MAX_QUERY = 200; // characters
const MAX_NEXT = 4096; // the same, of what asks for the next page

const ORDERS = ["newest", "hits", "written"] as const;

/** Which links are asked for. */
export interface Query {
  /** What the key or the URL must hold, whatever the case. */
  q?: string;
  /** What the page before gave as `next`. */
  after?: string;
  limit?: number;
  /**
   * The newest first; or the most followed, of which one may be missed, or come twice, that is followed while
   * page after page is asked for; or in the order in which they were written: then none is missed that is changed
   * meanwhile, but it may come twice.
   */
  order?: (typeof ORDERS)[number];
}

/** A page of links. */
export interface Listing {
  links: Link[];
  /** What to ask for the next page with, if there may be one. */
  next?: string;
  /** How many links there are in all. */
  count: number;
}

/**
 * The query that texts make, as they come in a request.
 *
 * @throws {StoreError} invalid query
 * @example
 * ```ts
 * readQuery({ q: "docs", limit: "10" }).limit; // 10
 * ```
 */
export function readQuery(
  { q, after, limit, order }: { [Name in keyof Query]?: string },
): Query {
  const known = ORDERS.find((one) => one === order);
  if (known !== order) {
    throw new StoreError("invalid query", `"order" must be newest, hits or written`);
  }
  return { q, after, order: known, limit: limit === undefined ? undefined : toLimit(limit) };
}

function toLimit(text: string): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new StoreError("invalid query", `"limit" must be a number from 1 to ${MAX_LIMIT}`);
}

/**
 * What is looked for, in lower case: the text, and how a URL would have it. Nothing, where that is all links.
 *
 * @throws {StoreError} invalid query: it is too long
 * @example
 * ```ts
 * needlesOf(" M\u00fcsli "); // ["m\u00fcsli", "m%c3%bcsli"]
 * ```
 */
export function needlesOf(q: string): string[] {
  if (q.length > MAX_QUERY) {
    throw new StoreError("invalid query", `"q" must have at most ${MAX_QUERY} characters`);
  }
  const text = trim(q).toLowerCase();
  if (text === "") return [];
  return [...new Set([text, encodeURI(text.toWellFormed()).toLowerCase()])];
}

/** Whether what came from elsewhere is a page of links. */
export function isListing(value: unknown): value is Listing {
  const { links, next = "", count }: { [Name in keyof Listing]?: unknown } = Object(value);
  return Array.isArray(links) && links.length <= MAX_LIMIT && links.every(isListed) &&
    isCount(count) && typeof next === "string" && next.length <= MAX_NEXT;
}

function isListed(value: unknown): boolean {
  const { key }: { [Name in keyof Link]?: unknown } = Object(value);
  return typeof key === "string" && isLink(value);
}
