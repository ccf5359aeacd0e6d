/**
 * golink: `/.export`.
 *
 * @module
 */
import type { Program } from "../program.ts";
import { Unfit } from "../values.ts";

/** `{"Short":"docs","Long":"https://example.com/{{.Path}}","Owner":…}` */
export const golink: Program = {
  signs: [["short"], ["long"]],
  keys: ["short"],
  toURL: toPlaces,
};

const ACTION = /\{\{(.*?)\}\}/gs;
const PARTS = /^([a-z][a-z\d+.-]*:\/\/[^/?#\\]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;

/**
 * The URL whose places take what follows a key as golink's template does.
 *
 * @throws {Unfit} there is none
 * @example
 * ```ts
 * toPlaces("https://example.com/{{.Path}}"); // "https://example.com/{path}"
 * toPlaces("https://example.com/?q={{.Path}}"); // "https://example.com/?q={+path}"
 * toPlaces("https://example.com/?q={{QueryEscape .Path}}"); // "https://example.com/?q={path}"
 * ```
 */
export function toPlaces(long: string): string {
  if (!long.includes("{{")) return long;
  const [, host, path, query = "", hash = ""] = PARTS.exec(long) ?? [];
  if (host === undefined || host.includes("{{") || (path === "" && long.startsWith("{{"))) {
    throw new Unfit("a template stands in the host of its URL");
  }
  return host + placed(path, "path") + placed(query, "query") + placed(hash, "fragment");
}

/** A part of a URL, with a place for each template. */
function placed(part: string, where: "path" | "query" | "fragment"): string {
  const text = part.replace(ACTION, (action, inner) => {
    const [, escape] = /^\s*(?:(Path|Query)Escape\s+)?\.Path\s*$/.exec(inner) ?? [];
    if (!/\.Path\s*$/.test(inner) || (escape === undefined && inner.trim() !== ".Path")) {
      throw new Unfit(`its template ${action} does more than place .Path`);
    }
    if (where === "query") return escape === undefined ? "{+path}" : "{path}";
    if (escape === undefined) return "{path}";
    throw new Unfit(`its template ${action} escapes slashes in a ${where}, and a link here can't`);
  });
  if (/\{\{|\}\}/.test(text)) throw new Unfit("its template doesn't end");
  return text;
}
