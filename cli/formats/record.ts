/**
 * Links of a row of a table, or of an object.
 *
 * @module
 */
import { trim } from "../../links/text.ts";
import { checkGuards } from "./guards.ts";
import type { Fact, Layout } from "./layout.ts";
import { plain } from "./program.ts";
import type { Remarks } from "./remarks.ts";
import type { Row } from "./row.ts";
import { isUnset, quote, readClicks, readName, readSeconds, readTime, Unfit } from "./values.ts";

/** A whole short URL, of which the key is the one part behind the host. */
const SHORT_URL = /^https?:\/\/[^\s/?#@\\]+\/([^\s/?#\\]+)$/i;

/** A URL without its scheme, as people write it; not a number, a day, or a note (`1.234`, `n.a.`). */
const BARE = /^[^\s/?#:@\\]+\.(?:\p{L}{2,}|xn--[\w-]+)(?::\d+)?(?:[/?#]|$)/iu;
/** What has another scheme, of which a store says that it doesn't take it; `localhost:80` has none. */
const OTHER_SCHEME = /^(?!https?:)[a-z][a-z+-]*:(?!\d)/i;

/**
 * The links of `values`, which stand as the layout says: several where they have several keys. What can't
 * be taken over has a reason.
 */
export function readRecord(
  layout: Layout,
  values: unknown[],
  line: number,
  remarks: Remarks,
): Row[] {
  const { key, url } = layout;
  const raw = { key: text(values[key.at]), url: text(values[url.at]), line };
  try {
    checkGuards(layout.guards, values, remarks);
    const facts = readFacts(layout, values, remarks);
    const target = readURL(layout, values[url.at]);
    const keys = readKeys(layout, values);
    checkCopies(layout, values, keys[0]);
    return keys.map((key) => ({ key, url: target, ...facts, line }));
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    return [{ ...raw, reason: error.message }];
  }
}

/** What stands there, as far as it is a text. */
function text(value: unknown): string {
  return typeof value === "string" ? value : isUnset(value) ? "" : quote(value);
}

function readFacts({ facts }: Layout, values: unknown[], remarks: Remarks): Partial<Row> {
  const found: Partial<Row> = {};
  const read = <T>(fact: Fact, parse: (value: unknown, name: string) => T): T | undefined => {
    const column = facts[fact];
    return column && (parse(values[column.at], column.name) || undefined);
  };
  const created = read("created", (value, name) => readTime(value, name, false, remarks));
  const expires = read("expires", (value, name) => readTime(value, name, true, remarks)) ??
    read("expirySeconds", (value, name) => readSeconds(value, name, true));
  const author = read("author", readName);
  const editor = read("editor", readName);
  const clicks = read("clicks", readClicks);
  if (created !== undefined) found.created = created;
  if (expires !== undefined) found.expires = expires;
  if (author !== undefined) found.author = author;
  if (editor !== undefined) found.editor = editor;
  if (clicks !== undefined) found.clicks = clicks;
  return found;
}

function readURL({ program, url: { name } }: Layout, value: unknown): string {
  if (isUnset(value)) throw new Unfit("it has no URL");
  if (typeof value !== "string") throw new Unfit(`${name} ${quote(value)} is not a URL`);
  const text = trim(value);
  const isWeb = /^https?:\/\//i.test(text) || program === undefined && BARE.test(text);
  if (!isWeb && !OTHER_SCHEME.test(text)) {
    throw new Unfit(`${name} ${quote(value)} doesn't begin with https:// or http://`);
  }
  if (program === undefined) return value;
  if (!program.hasPlaces && /\{\+?(?:path|query)\}/.test(value)) {
    throw new Unfit(`${name} has {path} or {query} in it, which stand for what follows a key here`);
  }
  return program.toURL?.(value) ?? value;
}

/** All keys of the link. */
function readKeys({ program, key, more }: Layout, values: unknown[]): string[] {
  const keys = new Set<string>();
  for (const { at, name } of [key, ...more]) {
    for (const value of [values[at]].flat()) {
      if (value === "" || value === null || value === undefined) continue;
      if (typeof value !== "string") throw new Unfit(`${name} ${quote(value)} is not a key`);
      const [, last] = SHORT_URL.exec(value) ?? [];
      const key = last ?? program?.toKey?.(value) ?? value;
      // A column of short URLs may have that of a domain itself.
      const isURL = /(?:url|link)s?$/.test(plain(name));
      if (last === undefined && isURL && key.includes(".") && !key.includes("/")) {
        throw new Unfit(`${name} ${quote(value)} is a host without a part behind it`);
      }
      if (/^https?:\/\//i.test(key)) {
        throw new Unfit(`${name} ${quote(value)} is not a host with one part behind it`);
      }
      if (key.includes("/")) throw new Unfit(`${name} ${quote(value)}: a key has no slash`);
      keys.add(key);
    }
  }
  if (keys.size === 0) throw new Unfit("it has no key");
  return [...keys];
}

/** Refuses a link of which another column has another key. */
function checkCopies({ key: { name }, copies }: Layout, values: unknown[], key: string): void {
  for (const copy of copies) {
    const value = values[copy.at];
    if (typeof value !== "string" || value === "") continue;
    let text = value;
    try {
      text = decodeURIComponent(value);
    } catch {
      // It is no escaped text.
    }
    if (text !== key && value !== key && !text.endsWith(`/${key}`)) {
      throw new Unfit(`${copy.name} ${quote(value)} doesn't end with its ${name}`);
    }
  }
}
