/**
 * What a request asks for.
 *
 * @module
 */
import { quote } from "../links/text.ts";
import { type Fields, readEncoded, takeFields } from "./fields.ts";
import { HTTPError } from "./problem.ts";

/**
 * What stands between `http://HOST/` and a query. A URL object would cost more than all the rest.
 *
 * @example
 * ```ts
 * keyOf("http://localhost:8080/docs?x=1"); // "docs"
 * ```
 */
export function keyOf(url: string): string {
  const start = url.indexOf("/", url.charCodeAt(4) === 0x3a ? 7 : 8) + 1;
  const end = url.indexOf("?", start);
  const key = end === -1 ? url.slice(start) : url.slice(start, end);
  return key.includes("%") ? decode(key) : key;
}

/** A path as it is meant; as it is, where it has a stray "%". */
export function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // no key holds a stray "%", so this one is not found
  }
}

/**
 * What a query says, as {@linkcode takeFields} takes it. (`new URL(req.url)` would throw for a client that
 * sends an odd Host.)
 *
 * @param names the parameters that there are; without them, any others are passed over
 * @throws {HTTPError} 400
 */
export function query({ url }: Request, names?: readonly string[]): Fields {
  const start = url.indexOf("?");
  if (start === -1) return NOTHING;
  return takeFields(readEncoded(url.slice(start + 1)), names, "parameter");
}

const NOTHING: Fields = new Map();

/** Refuses other methods. */
export function allow(req: Request, ...methods: string[]): void {
  if (methods.includes(req.method)) return;
  throw new HTTPError(405, "method not allowed", { allow: methods.join(", ") });
}

/**
 * Refuses a Host that reaches into the path of `req.url`: what a proxy in front keeps from the public
 * shall not be named there.
 */
export function checkHost(req: Request): void {
  if (/[/?#\\]/.test(req.headers.get("host") ?? "")) throw new HTTPError(400, "bad Host");
}

/**
 * A media type without its parameters.
 *
 * @example
 * ```ts
 * mediaType("Text/Plain; charset=utf-8"); // "text/plain"
 * ```
 */
export function mediaType(type: string): string {
  const end = type.indexOf(";");
  return (end === -1 ? type : type.slice(0, end)).trim().toLowerCase();
}

/**
 * A parameter of a media type, where it has one.
 *
 * @example
 * ```ts
 * parameterOf('text/plain; charset="utf-8"', "charset"); // "utf-8"
 * ```
 */
export function parameterOf(type: string, name: "boundary" | "charset"): string | undefined {
  for (const [, known, quoted, bare] of type.matchAll(/;[ \t]*([\w-]+)=(?:"([^"]*)"|([^\s;]*))/g)) {
    if (known.toLowerCase() === name) return quoted ?? bare;
  }
}

/** The characters in which a media type says that something is written. */
export function charsetOf(type: string): string | undefined {
  if (!type.includes(";")) return; // most have none: to look for it would cost more than to read a form
  return parameterOf(type, "charset")?.toLowerCase();
}

/** Those in which ASCII is as in UTF-8. */
const LIKE_ASCII = /^(?:us-ascii|ascii|latin1|iso-8859-\d{1,2}|windows-125\d)$/;

/**
 * Refuses a text that was read as UTF-8, where it was written in other characters. Some clients name others
 * where they send ASCII alone.
 *
 * @throws {HTTPError} 400
 */
export function checkCharset(charset: string | undefined, text: string): void {
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return;
  if (LIKE_ASCII.test(charset) && !/[^\0-\x7f]/.test(text)) return;
  throw new HTTPError(400, `${quote(charset)} is not read: use charset=utf-8`);
}

const MAX_RANGES = 64; // in Accept: browsers send ten at most
const RANKED = ["text/html", "text/plain", "text/*", "*/*"] as const;

/** Whether `accept` ranks HTML above plain text, as browsers do and curl doesn't. */
export function prefersHTML(req: Request): boolean {
  const accept = req.headers.get("accept") ?? "";
  if (!/text\//i.test(accept)) return false; // it ranks them alike
  const ranks = new Map<string, number>();
  for (const range of accept.toLowerCase().split(",", MAX_RANGES)) {
    const [name = "", ...params] = range.split(";").map((part) => part.trim());
    if (ranks.has(name) || !RANKED.some((known) => known === name)) continue;
    ranks.set(name, Number(params.find((param) => param.startsWith("q="))?.slice(2) ?? 1));
  }
  const rankOf = (type: string) => ranks.get(type) ?? ranks.get("text/*") ?? ranks.get("*/*") ?? 0;
  return rankOf("text/html") > rankOf("text/plain");
}
