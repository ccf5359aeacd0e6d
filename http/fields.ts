/**
 * What forms and queries say: named fields, taken exactly or not at all.
 *
 * @module
 */
import { quote } from "../links/text.ts";
import { HTTPError } from "./problem.ts";

/** The values of fields by their names. */
export type Fields = ReadonlyMap<string, string>;

/**
 * Takes fields, each of them once.
 *
 * @param names the fields that there are; without them, any
 * @param what a field is called: "field", or "parameter"
 * @throws {HTTPError} 400: another field, or one that comes twice
 * @example
 * ```ts
 * takeFields([["url", "https://example.com/"]], ["url", "key"], "field").get("key"); // undefined
 * ```
 */
export function takeFields(
  entries: Iterable<[name: string, value: string]>,
  names: readonly string[] | undefined,
  what: "field" | "parameter",
): Fields {
  const fields = new Map<string, string>();
  for (const [name, value] of entries) {
    if (names && !names.includes(name)) {
      const known = names.length > 0 ? `; known: ${names.join(", ")}` : "";
      const hint = fields.has("url") ? '; an "&" within a URL is written as %26' : "";
      throw new HTTPError(400, `the ${what} ${quote(name)} is not known${known}${hint}`);
    }
    if (fields.has(name)) throw new HTTPError(400, `the ${what} ${quote(name)} comes twice`);
    fields.set(name, value);
  }
  return fields;
}

/**
 * The fields of `application/x-www-form-urlencoded`, which queries are, too.
 *
 * @throws {HTTPError} 400: bytes that are no UTF-8
 * @example
 * ```ts
 * readEncoded("q=caf%C3%A9+au+lait&limit=10"); // [["q", "café au lait"], ["limit", "10"]]
 * ```
 */
export function readEncoded(text: string): [name: string, value: string][] {
  const fields: [name: string, value: string][] = [];
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decodeField(equals === -1 ? pair : pair.slice(0, equals)) ?? "";
    const value = equals === -1 ? "" : decodeField(pair.slice(equals + 1));
    fields.push([name, value ?? refuseBytes(name)]);
  }
  return fields;
}

function refuseBytes(name: string): never {
  throw new HTTPError(400, `${quote(name)} is not UTF-8`);
}

/** A name or a value as it is meant, where a stray "%" stands for itself; nothing, where it is no UTF-8. */
function decodeField(text: string): string | undefined {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // A stray "%", or bytes that are no UTF-8.
  }
  try {
    return spaced.replace(/(?:%[\da-f]{2})+/gi, (bytes) => decodeURIComponent(bytes));
  } catch {
    return undefined;
  }
}
