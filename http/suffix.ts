/**
 * What follows a key: its place in the URL that the key leads to.
 *
 * @module
 */

/** What stands in a request behind the key, as it came: `some/page` and `x=1`. */
export interface Rest {
  key: string;
  path: string;
  query: string;
}

/**
 * What follows the first part of a path, if anything does.
 *
 * @example
 * ```ts
 * restOf("http://go/docs/some/page?x=1"); // { key: "docs", path: "some/page", query: "x=1" }
 * restOf("http://go/docs"); // undefined
 * ```
 */
export function restOf(url: string): Rest | undefined {
  const start = url.indexOf("/", url.charCodeAt(4) === 0x3a ? 7 : 8) + 1;
  const slash = url.indexOf("/", start);
  const mark = url.indexOf("?", start);
  if (slash === -1 && mark === -1) return;
  const end = mark === -1 ? url.length : mark;
  const query = url.slice(end + 1);
  if (slash === -1 || slash > end) return { key: url.slice(start, end), path: "", query };
  return { key: url.slice(start, slash), path: url.slice(slash + 1, end), query };
}

/** Whether {@linkcode restOf} may find something: two looks, so that a plain link pays next to nothing. */
export function mayHaveRest(url: string, key: string): boolean {
  return url.includes("?") || key.includes("/");
}

/** Whether {@linkcode place} has something to do where nothing follows the key. */
export function hasPlaces(url: string): boolean {
  return url.includes("{") && (hasPath(url) || url.includes("{query}"));
}

function hasPath(url: string): boolean {
  return url.includes("{path}") || url.includes("{+path}");
}

/** Most characters of a URL with what was put into it. */
export const MAX_PLACED = 64 << 10;

/**
 * Puts what follows a key into the URL that the key leads to: in place of `{path}` and `{query}`,
 * escaped for where they stand, and of `{+path}`, as it came; else at the end of its path, and of its
 * query. What stands for the host is left alone: no visitor shall choose it. Nothing, where that would be longer
 * than {@linkcode MAX_PLACED}: old links may have any number of places.
 *
 * @example
 * ```ts
 * place("https://example.com/docs", { path: "some/page", query: "x=1" });
 * // "https://example.com/docs/some/page?x=1"
 * place("https://example.com/search?q={path}", { path: "a+b%20c", query: "" });
 * // "https://example.com/search?q=a%2Bb%20c"
 * place("https://example.com/search?q={+path}", { path: "a+b%20c", query: "" });
 * // "https://example.com/search?q=a+b%20c"
 * ```
 */
export function place(url: string, { path, query }: Omit<Rest, "key">): string | undefined {
  const [, host = "", ...parts] = PARTS.exec(url) ?? [];
  let [way = "", search = "", hash = ""] = parts;
  if (host === "") path = path.replace(/^[/\\]+/, ""); // or it would name a host
  const placed = parts.join("");
  const [pathValue, queryValue] = placed.includes("{") ? [escape(path), escape(query)] : ["", ""];
  const whole = WHOLE_QUERY.exec(search);
  const asCame = path;
  let length = 0;
  const fill = (text: string, path: string, query: string): string => {
    const values = { path, query, "+path": asCame };
    length += lengthOf(text, values);
    // In one pass: what is filled in is no place for more.
    return length > MAX_PLACED ? "" : text.replace(PLACE, (_, name) => values[name as Place]);
  };
  way = fill(way, path, queryValue);
  if (whole === null) {
    search = fill(search, pathValue, queryValue);
  } else {
    const [all, before, after] = whole;
    const rest = query !== "" ? `${before}${query}${after}` : after === "" ? "" : before;
    search = fill(search.slice(0, whole.index), pathValue, queryValue) + rest +
      fill(search.slice(whole.index + all.length), pathValue, queryValue);
  }
  hash = fill(hash, path, query);
  if (path !== "" && !hasPath(placed)) way += way.endsWith("/") ? path : `/${path}`;
  if (query !== "" && !placed.includes("{query}")) {
    search += /^\??$/.test(search) ? `${search ? "" : "?"}${query}` : `&${query}`;
  }
  const filled = `${host}${way}${search}${hash}`;
  return length > MAX_PLACED || filled.length > MAX_PLACED ? undefined : filled;
}

/** How many characters a text has when its places are filled. */
function lengthOf(text: string, values: Record<Place, string>): number {
  let { length } = text;
  if (!text.includes("{")) return length;
  for (const [place, name] of text.matchAll(PLACE)) {
    length += values[name as Place].length - place.length;
  }
  return length;
}

/** Host, path, query, fragment. */
const PARTS = /^([a-z][a-z\d+.-]*:\/\/[^/?#\\]*)?([^?#]*)(\?[^#]*)?(#.*)?$/is;

/** `{query}` where it is all between two separators, with them. */
const WHOLE_QUERY = /([?&])\{query\}(&|$)/;

const PLACE = /\{(path|query|\+path)\}/g;
type Place = "path" | "query" | "+path";

/** A part of a path or a query as the value of a parameter. */
function escape(text: string): string {
  let value = text;
  try {
    value = decodeURIComponent(text);
  } catch {
    // A stray "%" stands for itself.
  }
  return encodeURIComponent(value.toWellFormed());
}
