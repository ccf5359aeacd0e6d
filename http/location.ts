/**
 * Where a redirect leads.
 *
 * @module
 */

const MAX_KEPT = 10_000; // answers: about 10 MB
const MAX_OTHERS = 1_000_000;

/**
 * Makes the answers that redirect. A Response without a body can be given any number of times, and to
 * make one is most of what a redirect costs beyond the runtime's own work. So those to the links that
 * are asked for first are kept, until so many other answers were made that there may be better ones.
 */
export class Redirects {
  #kept = new Map<string, { url: string; response: Response }>();
  #others = 0;

  /** The answer for `key`, which leads to `url` just now. */
  to(key: string, url: string): Response {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.url === url) return kept.response;
    const location = PLAIN_URL.test(url) ? url : toLocation(url);
    const response = new Response(null, { status: 302, headers: { location } });
    if (kept !== undefined || this.#kept.size < MAX_KEPT) {
      this.#kept.set(key, { url, response });
    } else if (++this.#others === MAX_OTHERS) {
      this.#kept.clear();
      this.#others = 0;
    }
    return response;
  }
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
