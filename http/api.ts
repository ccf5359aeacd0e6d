/**
 * The JSON API for programs: `/api/links` and `/api/links/KEY`.
 *
 * @module
 */
import type { Link } from "../links/link.ts";
import type { Store } from "../store.ts";
import { tellMade } from "./access.ts";
import { json } from "./answer.ts";
import { readJSONText } from "./body.ts";
import { HTTPError } from "./problem.ts";
import { allow } from "./request.ts";

/** Answers whatever is asked for under `api`. */
export async function api(
  req: Request,
  path: string,
  store: Store,
  base: string,
): Promise<Response> {
  if (path === "api/links") return await addLink(req, store, base);
  if (!path.startsWith("api/links/")) throw new HTTPError(404, "not found");
  return await oneLink(req, path.slice("api/links/".length), store, base);
}

/** `POST /api/links` */
async function addLink(req: Request, store: Store, base: string): Promise<Response> {
  allow(req, "POST");
  const { url, key = null } = await readLink(req);
  if (key !== null && typeof key !== "string") throw new HTTPError(400, `"key" must be a string`);
  const link = await store.put(url, key ?? undefined);
  const headers = { location: `/api/links/${link.key}` };
  return tellMade(json(show(link, base), { status: 201, headers }), link.key);
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
    const { url } = await readLink(req);
    return json(show(await store.update(key, url), base));
  }
  if (req.method === "DELETE") {
    await store.delete(key);
    return new Response(null, { status: 204 });
  }
  return json(show({ key, url: await store.get(key) }, base));
}

function show({ key, url }: Link, base: string) {
  return { key, url, short: `${base}/${encodeURIComponent(key)}` };
}

/** What is said of a link: its URL, and perhaps more. */
async function readLink(req: Request): Promise<{ url: string; key?: unknown }> {
  const text = await readJSONText(req);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (typeof value !== "object" || value === null) {
    throw new HTTPError(400, "the body is no JSON object");
  }
  const { url, key }: { url?: unknown; key?: unknown } = value;
  if (typeof url !== "string") throw new HTTPError(400, `"url" must be a string`);
  return { url, key };
}
