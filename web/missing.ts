/**
 * Keys that lead nowhere as they are.
 *
 * @module
 */
import { fail, type OnError } from "../http/problem.ts";
import { prefersHTML } from "../http/request.ts";
import { errExpired, errNotFound } from "../links/errors.ts";
import { offerForm } from "./form.ts";
import { detailOf, page, seeOther } from "./page.ts";

/** Answers a request for a key that gave an error. */
export type Otherwise = (error: unknown, req: Request, key: string) => Response | Promise<Response>;

/**
 * A slash at the end is passed over, `KEY+` shows the link, and a browser is offered to make it. All
 * that costs a redirect nothing, since the link as it was asked for comes first.
 *
 * @param retry looks for another key
 */
export function missing(
  { base, suffix, onError }: { base: string; suffix?: boolean; onError?: OnError },
  retry: (req: Request, key: string) => Response | Promise<Response>,
): Otherwise {
  return (error, req, key) => {
    // Its key is free again.
    if (error === errExpired && prefersHTML(req)) return page(410, offerForm(key, base, true));
    if (error !== errNotFound) return fail(error, key, onError);
    const { length } = key;
    if (length > 1 && key[length - 1] === "/" && key[length - 2] !== "/") {
      return retry(req, key.slice(0, -1));
    }
    if (length > 1 && key[length - 1] === "+") return seeOther(detailOf(key.slice(0, -1)));
    if (!prefersHTML(req)) return fail(error, key, onError);
    // What follows a key is no part of it.
    const end = suffix ? key.indexOf("/") : -1;
    return page(404, offerForm(end === -1 ? key : key.slice(0, end), base));
  };
}
