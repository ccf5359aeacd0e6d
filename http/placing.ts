/**
 * Requests with something behind the key.
 *
 * @module
 */
import type { Store } from "../store.ts";
import type { Redirects } from "./location.ts";
import { decode, keyOf } from "./request.ts";
import { place, type Rest } from "./suffix.ts";

/**
 * Makes what answers requests with something behind the key.
 *
 * @param otherwise answers for a key alone
 */
export function placing(
  store: Pick<Store, "get">,
  redirects: Redirects,
  otherwise: (req: Request, key: string) => Response | Promise<Response>,
): (req: Request, rest: Rest) => Response | Promise<Response> {
  return (req, rest) => {
    const { path, query } = rest;
    const key = decode(rest.key);
    if (path === "" && query === "") return otherwise(req, key);
    // Old entries may have any key, one with a slash, too.
    const whole = () => otherwise(req, keyOf(req.url));
    if (req.method !== "GET" && req.method !== "HEAD") return whole();
    try {
      const found = (url: string) => redirects.placed(req, key, place(url, rest));
      const url = store.get(key);
      return typeof url === "string" ? found(url) : url.then(found, whole);
    } catch {
      return whole();
    }
  };
}
