/**
 * Listing the links of a database, a page at a time.
 *
 * @module
 */
import { checkLeft, StoreError } from "../links/errors.ts";
import type { Change, Link } from "../links/link.ts";
import { isExpired } from "../links/time.ts";
import { Matcher } from "../links/matcher.ts";
import { LIMIT, type Listing, MAX_CHARS, MAX_LIMIT, type Query } from "../links/query.ts";
import { after, type Database, MAX_RANGE, MAX_READ } from "./database.ts";
import { DEADLINE_MS } from "./head.ts";
import { linkKey, LINKS_END, MADE, madeKey, toChange, toKeys } from "./layout.ts";
import { countEach, countRange, isRanked, MAX_SEEN, rank, readAll, READS } from "./ranking.ts";

/** A link, and what to ask for those after it with. */
interface Place {
  link?: Link;
  next: string;
}

/**
 * Gives a page of links, with how often each was followed: by key, which misses none however many are
 * changed meanwhile, or the newest first, or the most followed. Where few hold what is searched, a page may
 * have fewer links than were asked for, or none, and still a `next`.
 *
 * @throws {StoreError} invalid query
 */
export async function listLinks(
  database: Database,
  query: Query = {},
  signal?: AbortSignal,
): Promise<Omit<Listing, "count">> {
  const { q = "", after: from = "", limit = LIMIT, order = "newest" } = query;
  const page = await findLinks(database, { q, after: from, limit, order }, signal);
  // Those that stand side by side are counted side by side.
  if (order === "written" && q === "") await countRange(database, page.links);
  else await countEach(database, page.links);
  return page;
}

async function findLinks(
  database: Database,
  { q, after: from, limit, order }: Required<Query>,
  signal?: AbortSignal,
): Promise<Omit<Listing, "count">> {
  const matcher = new Matcher(q);
  const most = Math.min(limit, MAX_LIMIT);
  const links: Link[] = [];
  let [seen, chars, next] = [0, 0, from];
  const places = order === "written"
    ? byKey(database, from, most)
    : order === "hits"
    ? mostFollowed(database, from)
    : newest(database, from);
  for await (const place of places) {
    checkLeft(signal);
    if (links.length >= most || chars >= MAX_CHARS || seen >= MAX_SEEN) return { links, next };
    seen++;
    next = place.next;
    if (place.link === undefined || !matcher.matches(place.link)) continue;
    links.push(place.link);
    chars += place.link.url.length;
  }
  return { links };
}

async function* byKey(database: Database, from: string, limit: number): AsyncGenerator<Place> {
  const size = Math.min(limit + 1, MAX_RANGE);
  let start = from === "" ? linkKey("") : after(linkKey(from));
  for (;;) {
    const range = { start, end: LINKS_END, limit: size };
    const entries = await database.range(range, AbortSignal.timeout(DEADLINE_MS));
    for (const { value } of entries) {
      const change = toChange(value);
      yield { link: toLink(change), next: change.key };
    }
    const last = entries.at(-1);
    if (last === undefined || entries.length < size) return;
    start = after(last.key);
  }
}

/** The order is that of the commits by which links were made: of each, the database keeps the keys. */
async function* newest(database: Database, from: string): AsyncGenerator<Place> {
  const [, version = "~", count = "0"] = /^(?:([\da-f]{20})-(\d{1,5}))?$/.exec(from) ??
    refuse(`"after" is no "next" of a page`);
  let skip = Number(count);
  let end = madeKey(skip > 0 ? `${version}\0` : version);
  for (;;) {
    const range = { start: MADE, end, limit: MAX_READ * READS, reverse: true };
    const commits = await database.range(range, AbortSignal.timeout(DEADLINE_MS));
    const keys = commits.flatMap(({ value, version }) =>
      toKeys(value).reverse().map((key, i) => ({ key, next: `${version}-${i + 1}` }))
    ).slice(skip);
    skip = 0;
    yield* placesOf(database, keys);
    const last = commits.at(-1);
    if (last === undefined) return;
    end = last.key;
  }
}

/** Those that were followed, and then the others, the newest first. */
async function* mostFollowed(database: Database, from: string): AsyncGenerator<Place> {
  const isFirst = isRanked(from);
  const { followed, ranked } = await rank(database, isFirst ? from : "");
  if (isFirst) yield* placesOf(database, ranked);
  for await (const { link, next } of newest(database, isFirst ? "" : from)) {
    yield { link: link && followed.has(link.key) ? undefined : link, next };
  }
}

async function* placesOf(
  database: Database,
  keys: { key: string; next: string }[],
): AsyncGenerator<Place> {
  for (let at = 0; at < keys.length; at += MAX_READ * READS) {
    const some = keys.slice(at, at + MAX_READ * READS);
    const links = await readAll(database, some.map(({ key }) => linkKey(key)));
    for (const [i, { next }] of some.entries()) {
      yield { link: links[i] && toLink(toChange(links[i].value)), next };
    }
  }
}

function toLink({ id: _, ...link }: Change): Link | undefined {
  const over = link.expires !== undefined && isExpired(link.expires);
  return link.url === "" || over ? undefined : link;
}

function refuse(reason: string): never {
  throw new StoreError("invalid query", reason);
}
