/**
 * What a request asks for.
 *
 * @module
 */
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

/** The type of the body, without its parameters. */
export function mediaType(req: Request): string {
  return (req.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
}

/** Whether `accept` ranks HTML above plain text, as browsers do and curl doesn't. */
export function prefersHTML(req: Request): boolean {
  const accept = req.headers.get("accept") ?? "";
  if (!/text\//i.test(accept)) return false; // it ranks them alike
  const rank = (...types: string[]) => {
    for (const type of types) {
      for (const range of accept.toLowerCase().split(",")) {
        const [name, ...params] = range.split(";").map((part) => part.trim());
        if (name !== type) continue;
        return Number(params.find((param) => param.startsWith("q="))?.slice(2) ?? 1);
      }
    }
    return 0;
  };
  return rank("text/html", "text/*", "*/*") > rank("text/plain", "text/*", "*/*");
}
