/**
 * Requests with something behind the key.
 *
 * @module
 */
import type { Store } from "../store.ts";
import { redirectTo } from "./location.ts";
import { decode, keyOf } from "./request.ts";
import { place, type Rest } from "./suffix.ts";

/**
 * Makes what answers requests with something behind the key.
 *
 * @param otherwise answers for a key alone
 */
export function placing(
  store: Pick<Store, "get">,
  otherwise: (req: Request, key: string) => Response | Promise<Response>,
): (req: Request, rest: Rest) => Response | Promise<Response> {
  return (req, rest) => {
    const { key, path, query } = rest;
    if (path === "" && query === "") return otherwise(req, decode(key));
    // Old entries may have any key, one with a slash, too.
    const whole = () => otherwise(req, keyOf(req.url));
    if (req.method !== "GET" && req.method !== "HEAD") return whole();
    try {
      const url = store.get(decode(key));
      if (typeof url === "string") return redirectTo(place(url, rest));
      return url.then((url) => redirectTo(place(url, rest)), whole);
    } catch {
      return whole();
    }
  };
}
