/**
 * Tokens, and what asks for them.
 *
 * @module
 */
import { HTTPError } from "./problem.ts";
import { query } from "./request.ts";

/** What names links by the thousand: who may not change them need not know them all. */
const LISTS: ReadonlySet<string> = new Set([".all", ".export", "api/links"]);

/**
 * Whether a request for `path` asks for the writers' token: it changes something, or lists links.
 * Replicas have a token of their own.
 *
 * @example
 * ```ts
 * isGuarded("POST", "add"); // true
 * isGuarded("GET", "add"); // false
 * ```
 */
export function isGuarded(method: string, path: string): boolean {
  if (path === "rpc" || method === "OPTIONS") return false;
  return LISTS.has(path) || method !== "GET" && method !== "HEAD";
}

/**
 * Whether a request for `path` tells of links, beside where one leads to whoever follows it.
 *
 * @example
 * ```ts
 * readsLinks(new Request("http://go/.detail/docs"), ".detail/docs"); // true
 * readsLinks(new Request("http://go/docs"), "docs"); // false
 * ```
 */
export function readsLinks(req: Request, path: string): boolean {
  if (req.method !== "GET" && req.method !== "HEAD") return false;
  if (path === "" || path === "add") return query(req).has("key"); // where does it lead, if it is taken?
  return LISTS.has(path) || path === "api" || path.startsWith("api/") ||
    path.startsWith(".detail/");
}

/**
 * Refuses whoever doesn't bear the `token` of writers, as a bearer or as the password of any user, for
 * which a browser asks.
 *
 * @throws {HTTPError} 401
 */
export async function authorizeWriter(req: Request, token: string): Promise<void> {
  const given = req.headers.get("authorization") ?? "";
  const [, scheme = "", value = ""] = /^(\w+) +(\S+) *$/.exec(given) ?? [];
  await compare(scheme.toLowerCase() === "basic" ? passwordOf(value) : bearerOf(given), token, {
    // Chromium doesn't ask where the other scheme has no parameter: it takes its name for one of Basic's.
    "www-authenticate": 'Basic realm="goto", charset="UTF-8", Bearer realm="goto"',
  });
}

/**
 * Refuses whoever doesn't bear the `token` of replicas.
 *
 * @throws {HTTPError} 401
 */
export async function authorizeReplica(req: Request, token: string): Promise<void> {
  const given = req.headers.get("authorization") ?? "";
  await compare(bearerOf(given), token, { "www-authenticate": "Bearer" });
}

function bearerOf(authorization: string): string {
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? "";
}

/** The password in `USER:PASSWORD`, which is there in base64; none where it is something else. */
function passwordOf(value: string): string {
  try {
    const text = atob(value);
    return text.includes(":") ? text.slice(text.indexOf(":") + 1) : "";
  } catch {
    return "";
  }
}

/** Compares in a time that tells nothing: digests have one length, and are looked at to their end. */
async function compare(
  given: string,
  token: string,
  headers: Record<string, string>,
): Promise<void> {
  const [a, b] = await Promise.all(
    [given, token].map(async (text) =>
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
    ),
  );
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  if (difference === 0) return;
  throw new HTTPError(401, given === "" ? "a token is needed" : "that is another token", headers);
}
