/**
 * Answers that end with a newline, so that a terminal's prompt doesn't follow them on the same line.
 *
 * @module
 */
import { respond } from "./answers.ts";

/**
 * @param line what is said
 * @param init status and headers, as of a `Response`
 * @example
 * ```ts
 * console.log(await text("key not found", { status: 404 }).text()); // key not found, and a newline
 * ```
 */
export function text(line: string, init?: ResponseInit): Response {
  return new Response(line + "\n", init);
}

/**
 * @param value what is to be said as JSON
 * @param init status and headers, as of a `Response`; the content type is `application/json` unless they say another
 * @example
 * ```ts
 * console.log((await json({ key: "0" }).text()).endsWith("\n")); // true
 * ```
 */
export function json(value: unknown, init: ResponseInit = {}): Response {
  const headers = new Headers(init.headers);
  if (!headers.has("content-type")) headers.set("content-type", "application/json");
  headers.set("cache-control", "no-store"); // some caches go by the name, as that of /api/links/report.pdf
  return respond(JSON.stringify(value) + "\n", { ...init, headers });
}
