/**
 * Requests with something behind the key.
 *
 * @module
 */
import type { Followed } from "../hits/tally.ts";
import type { Found, Store } from "../store.ts";
import { followed, type Redirects } from "./location.ts";
import { fail, type OnError } from "./problem.ts";
import { decode, keyOf } from "./request.ts";
import type { Rest } from "./suffix.ts";

/**
 * Makes what answers requests with something behind the key.
 *
 * @param otherwise answers for a key alone
 */
export function placing(
  store: Store,
  redirects: Redirects,
  otherwise: (req: Request, key: string) => Response | Promise<Response>,
  onError?: OnError,
): (req: Request, rest: Rest) => Response | Promise<Response> {
  return (req, rest) => {
    const { path, query } = rest;
    const key = decode(rest.key);
    if (path === "" && query === "") return otherwise(req, key);
    // Old entries may have any key, one with a slash, too.
    const whole = () => otherwise(req, keyOf(req.url));
    if (req.method !== "GET" && req.method !== "HEAD") return whole();
    const placed = (url: string, link?: Followed) => {
      try {
        return redirects.placed(req, key, url, rest, link);
      } catch (error) {
        return fail(error, key, onError);
      }
    };
    let found: Found;
    try {
      found = store.follow?.(key) ?? store.get(key);
    } catch {
      return whole();
    }
    if (typeof found === "string") return placed(found, store);
    if (!(found instanceof Promise)) return placed(...followed(found));
    return found.then((found) => placed(...followed(found)), whole);
  };
}
