/**
 * The JSON API for programs: `/api/links`, `/api/links/KEY`, and `/api/links/KEY/hits`.
 *
 * @module
 */
import type { Link } from "../links/link.ts";
import { type Query, readQuery } from "../links/query.ts";
import { quote, trim } from "../links/text.ts";
import { formatTime, parseExpires } from "../links/time.ts";
import type { Store } from "../store.ts";
import { tellCreated } from "./access.ts";
import { json } from "./answer.ts";
import { readJSONText } from "./body.ts";
import type { Fields } from "./fields.ts";
import { HTTPError } from "./problem.ts";
import { allow, query } from "./request.ts";
import { daysOf, findLink, sumsOf } from "./traffic.ts";

/** Answers whatever is asked for under `api`. */
export async function api(
  req: Request,
  path: string,
  store: Store,
  base: string,
): Promise<Response> {
  if (!isRead(req)) query(req, []); // a change takes nothing from there
  if (path === "api/links") {
    return await (isRead(req) ? listLinks : addLink)(req, store, base);
  }
  if (!path.startsWith("api/links/")) throw new HTTPError(404, "not found");
  const key = path.slice("api/links/".length);
  // No key that can be chosen has a slash.
  if (key.endsWith("/hits")) return await hitsOf(req, key.slice(0, -"/hits".length), store);
  return await oneLink(req, key, store, base);
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

/** `GET /api/links?q=&after=&limit=&order=` */
async function listLinks(req: Request, store: Store, base: string): Promise<Response> {
  const { links, next, count } = await store.list(queryOf(query(req, LISTED)), req.signal);
  return json({ links: links.map((link) => show(link, base)), next, count });
}

/** The parameters of a list. */
export const LISTED: readonly string[] = ["q", "after", "limit", "order"];

/**
 * What is asked of a list.
 *
 * @throws {StoreError} invalid query
 */
export function queryOf(params: Fields): Query {
  const [q, after, limit, order] = LISTED.map((name) => params.get(name));
  return readQuery({ q, after, limit, order });
}

/** `POST /api/links` */
async function addLink(req: Request, store: Store, base: string): Promise<Response> {
  allow(req, "GET", "HEAD", "POST");
  const { url, key, expires } = await readLink(req);
  const link = await whole(await store.put(url, key, { expires: expires || undefined }), store);
  const headers = { location: `/api/links/${link.key}` };
  return tellCreated(json(show(link, base), { status: 201, headers }), link.key);
}

/** `GET`, `PUT`, `DELETE /api/links/KEY` */
async function oneLink(
  req: Request,
  key: string,
  store: Store,
  base: string,
): Promise<Response> {
  allow(req, "GET", "HEAD", "PUT", "DELETE");
  if (req.method === "PUT") {
    const { url, key: given = key, expires } = await readLink(req);
    if (given !== key) throw new HTTPError(400, `"key" can't be changed: make another link`);
    return json(show(await whole(await store.update(key, url, { expires }), store), base));
  }
  if (req.method === "DELETE") {
    await store.delete(key);
    return new Response(null, { status: 204 });
  }
  const { link, traffic } = await findLink(store, key);
  return json({ ...show(link, base), ...sumsOf(traffic) });
}

/** `GET /api/links/KEY/hits` */
async function hitsOf(req: Request, key: string, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  // The link first: a store may throw at once, before there is a promise that nobody waits for.
  const [, traffic] = await Promise.all([store.link(key), store.traffic(key)]);
  if (traffic === undefined) throw new HTTPError(404, "hits are not counted");
  return json({ ...sumsOf(traffic), days: daysOf(traffic) });
}

function show({ key, url, created, expires, author, editor, hits }: Link, base: string) {
  return {
    key,
    url,
    short: `${base}/${encodeURIComponent(key)}`,
    created: created && formatTime(created),
    expires: expires && formatTime(expires),
    author,
    editor,
    hits,
  };
}

/** A link with its times, which a replica is not told of a change. */
async function whole(link: Link, store: Store): Promise<Link> {
  if (link.created !== undefined) return link;
  try {
    return { ...await store.link(link.key), url: link.url };
  } catch {
    return link; // what was asked for is done
  }
}

/** What is said of a link: its URL, and perhaps its key, and when it ends; 0 is never. */
async function readLink(req: Request): Promise<{ url: string; key?: string; expires?: number }> {
  const text = await readJSONText(req);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HTTPError(400, "the body is no JSON object");
  }
  const { url, key = null, expires = "", ...unknown }: {
    url?: unknown;
    key?: unknown;
    expires?: unknown;
  } = value;
  const [name] = Object.keys(unknown);
  if (name !== undefined) {
    throw new HTTPError(400, `${quote(name)} is not known; use "url", "key" and "expires"`);
  }
  if (typeof url !== "string") throw new HTTPError(400, `"url" must be a string`);
  if (key !== null && typeof key !== "string") throw new HTTPError(400, `"key" must be a string`);
  if (expires !== null && typeof expires !== "string" && typeof expires !== "number") {
    throw new HTTPError(
      400,
      `"expires" must be a time like 2099-12-24T18:00:00Z, or seconds from now`,
    );
  }
  if (typeof expires === "string" && trim(expires) === "" && "expires" in value) {
    throw new HTTPError(400, `"expires" is empty: use "never", or leave it out`);
  }
  if (countMembers(text) > Object.keys(value).length) {
    throw new HTTPError(400, "the body has a member twice");
  }
  return {
    url,
    key: key === null ? undefined : trim(key),
    expires: parseExpires(String(expires ?? "never")),
  };
}

/**
 * How many members an object has that holds no other, in good JSON. (Of those that come twice, `JSON.parse`
 * gives the last.)
 */
function countMembers(json: string): number {
  let count = 0;
  for (const [, colon] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"\s*(:)?/gs)) if (colon) count++;
  return count;
}
