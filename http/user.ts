/**
 * Who creates and changes links, as a proxy in front says.
 *
 * @module
 */
import { isName, MAX_NAME } from "../links/link.ts";
import { trim } from "../links/text.ts";
import type { Store } from "../store.ts";
import { HTTPError } from "./problem.ts";

/**
 * Gives each request the store: with a `header` that names users, as the author or editor of what it changes.
 *
 * @example
 * ```ts
 * import { Journal } from "../journal/journal.ts";
 * import { URLStore } from "../store.ts";
 *
 * const store = new URLStore(await Journal.open("named.jsonl"));
 * const storeFor = withUser(store, "X-Forwarded-User");
 * const headers = { "x-forwarded-user": "ada" };
 * storeFor(new Request("http://go/add", { headers })); // its author is ada
 * ```
 */
export function withUser(store: Store, header?: string): (req: Request) => Store {
  if (header === undefined) return () => store;
  return (req) => {
    const user = userOf(req, header);
    return user === undefined ? store : storeOf(store, user);
  };
}

/** The same store, where `user` is the author or editor of every change. */
function storeOf(store: Store, user: string): Store {
  return {
    get: (...args) => store.get(...args),
    link: (...args) => store.link(...args),
    list: (...args) => store.list(...args),
    traffic: (key) => store.traffic(key),
    health: () => store.health(),
    put: (url, key, options) => store.put(url, key, { ...options, author: user }),
    update: (key, url, options) => store.update(key, url, { ...options, editor: user }),
    delete: (key, options) => store.delete(key, { ...options, editor: user }),
  };
}

/**
 * The user whom a request names in a header, whose bytes are UTF-8, or, where they aren't, Latin-1.
 *
 * @throws {HTTPError} it is no name
 */
export function userOf(req: Request, header: string): string | undefined {
  let name = req.headers.get(header) ?? "";
  try {
    const bytes = Uint8Array.from(name, (char) => char.charCodeAt(0));
    name = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Latin-1 it is.
  }
  name = trim(name);
  if (name === "") return;
  if (!isName(name)) {
    throw new HTTPError(400, `${header} has more than ${MAX_NAME} bytes, or control characters`);
  }
  return name;
}
