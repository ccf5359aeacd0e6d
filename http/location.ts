/**
 * Where a redirect leads.
 *
 * @module
 */
import type { Followed, Tally } from "../hits/tally.ts";
import { hash, RANDOM_HASH } from "../links/hash.ts";
import type { Link } from "../links/link.ts";
import { HTTPError } from "./problem.ts";
import { hasPlaces, MAX_PLACED, place, type Rest } from "./suffix.ts";

const PLACES = 4096; // for answers that are kept, a power of 2: about 4 MB, if all are taken

/**
 * Makes the answers that redirect. One without a body can be given any number of times. For a link
 * that is asked for again, before another one takes its place, the answer is kept: that saves
 * 5% of what a redirect costs, and more would be lost than saved by keeping all.
 *
 * @example
 * ```ts
 * const redirects = new Redirects();
 * const request = new Request("http://localhost:8080/docs");
 * redirects.to(request, "docs", "https://example.com/"); // 302, with that Location
 * ```
 */
export class Redirects {
  readonly #asked = new Uint32Array(PLACES); // the hash of the key that was asked for last
  readonly #kept = new Array<{ url: string; response: Response } | undefined>(PLACES)
    .fill(undefined);

  /**
   * @param suffix whether `{path}`, `{+path}` and `{query}` are places in a URL, which may stay empty
   * @param tally counts what is given
   */
  constructor(private readonly suffix = false, private readonly tally?: Tally) {}

  /**
   * The answer to a request for `key`, which leads to `url` just now.
   *
   * @param link what tells how it is counted
   */
  to(req: Request, key: string, url: string, link?: Followed): Response {
    this.tally?.count(req, key, link);
    const code = hash(key, RANDOM_HASH);
    const slot = code & (PLACES - 1);
    if (this.#asked[slot] !== code) {
      this.#asked[slot] = code;
      return this.#make(url);
    }
    const kept = this.#kept[slot];
    if (kept !== undefined && kept.url === url) return kept.response;
    const response = this.#make(url);
    this.#kept[slot] = { url, response };
    return response;
  }

  /**
   * The answer to a request for `key`, which leads to `url`, with something behind it.
   *
   * @throws {HTTPError} 414: it leads to an address that is too long
   */
  placed(
    req: Request,
    key: string,
    url: string,
    rest: Omit<Rest, "key">,
    link?: Followed,
  ): Response {
    const placed = place(url, rest);
    const location = placed === undefined ? undefined : locationOf(placed);
    if (location === undefined || location.length > MAX_PLACED) throw errTooLong;
    this.tally?.count(req, key, link);
    return redirectTo(location);
  }

  #make(url: string): Response {
    const placed = this.suffix && hasPlaces(url) ? place(url, NOTHING) : url;
    if (placed === undefined) throw errTooLong;
    return redirectTo(locationOf(placed));
  }
}

/** The URL of a link that was asked for elsewhere, and what tells how it is counted. */
export function followed(found: string | Link): [url: string, link?: Followed] {
  return typeof found === "string" ? [found] : [found.url, { created: found.created ?? 0 }];
}

const NOTHING = { path: "", query: "" };

const errTooLong = new HTTPError(
  414,
  `what follows the key is too long: the address would have more than ${MAX_PLACED} characters`,
);

function redirectTo(location: string): Response {
  // Without the second one, a link that is changed stays as it was in somebody's cache.
  return new Response(null, { status: 302, headers: { location, "cache-control": "no-store" } });
}

function locationOf(url: string): string {
  return PLAIN_URL.test(url) ? url : toLocation(url);
}

/** What can stand in a header as it is: all that was added since links are checked. */
const PLAIN_URL = /^https?:\/\/[!-~]+$/;

/**
 * What Go's http.Redirect makes of an old entry: a path starts at the root, without dots; non-ASCII
 * is percent-encoded; a line break is a space. Other control characters, which Deno can't send, are
 * percent-encoded too.
 */
export function toLocation(url: string): string {
  return (isPath(url) ? cleanPath(url) : url).toWellFormed()
    .replace(/[\r\n]/g, " ")
    .replace(/[^\t -~]+/g, (text) => encodeURIComponent(text).toLowerCase())
    .trim();
}

/** Whether Go takes `url` for a path: it can parse it, and finds neither scheme nor host. */
function isPath(url: string): boolean {
  // deno-lint-ignore no-control-regex
  return !/^(?:[^/?#]*:|\/\/[^/?#]|[^#]*[\0-\x1f\x7f]|(?:[^?#]*|[^#]*#.*)%(?![\da-f]{2}))/is
    .test(url);
}

function cleanPath(url: string): string {
  const [, path = "", query = ""] = /^([^?]*)(.*)$/s.exec(url) ?? [];
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}${path.endsWith("/") && segments.length > 0 ? "/" : ""}${query}`;
}
