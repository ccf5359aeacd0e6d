/**
 * Requests with something behind the key.
 *
 * @module
 */
import type { Store } from "../store.ts";
import type { Redirects } from "./location.ts";
import { fail, type OnError } from "./problem.ts";
import { decode, keyOf } from "./request.ts";
import type { Rest } from "./suffix.ts";

/**
 * Makes what answers requests with something behind the key.
 *
 * @param otherwise answers for a key alone
 */
export function placing(
  store: Pick<Store, "get">,
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
    const found = (url: string) => {
      try {
        return redirects.placed(req, key, url, rest);
      } catch (error) {
        return fail(error, key, onError);
      }
    };
    let url: string | Promise<string>;
    try {
      url = store.get(key);
    } catch {
      return whole();
    }
    return typeof url === "string" ? found(url) : url.then(found, whole);
  };
}
