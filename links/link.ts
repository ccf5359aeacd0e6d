/**
 * A link, and what its key and its URL must be.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isCount } from "./count.ts";
import { StoreError } from "./errors.ts";
import { trim } from "./text.ts";
import { isTime } from "./time.ts";

/** A short link: `key` leads to `url`. Times are seconds since 1970, in whole numbers. */
export interface Link {
  key: string;
  url: string;
  /** When it was created, where that is known. */
  created?: number;
  /** From when on it leads nowhere; a link without it leads somewhere for good. */
  expires?: number;
  /** Who created it, where that is known. */
  author?: string;
  /** Who changed it last, where that is known. */
  editor?: string;
  /** How often it was followed: lists tell it, where that is counted. */
  hits?: number;
}

/** What is known of a link beside its key and its URL. */
export type Facts = Omit<Link, "key" | "url" | "hits">;

/** Most bytes of a name. */
export const MAX_NAME = 100;

/**
 * Whether a value can be kept as the name of an author or editor: at most 100 bytes of UTF-8,
 * without a control character, or one that breaks a line.
 */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME &&
    !/[\p{C}\p{Zl}\p{Zp}]/u.test(value) && Buffer.byteLength(value) <= MAX_NAME;
}

/**
 * A name as it is, if there is one.
 *
 * @throws {StoreError} invalid name: it can't be kept
 */
export function parseName(name?: string): string | undefined {
  if (name === undefined || isName(name)) return name;
  throw new StoreError("invalid name", `invalid name: use 1 to ${MAX_NAME} bytes of visible UTF-8`);
}

/** Whether what came from elsewhere is a link, but for its key. */
export function isLink(value: unknown): value is Link {
  const { url, created = 1, expires = 1, author, editor, hits = 0 }: {
    [Name in keyof Link]?: unknown;
  } = Object(value);
  return typeof url === "string" && url !== "" && isTime(created) && isTime(expires) &&
    isCount(hits) && (author === undefined || isName(author)) &&
    (editor === undefined || isName(editor));
}

/** A change of a link: its new URL, or "" where it was deleted. */
export interface Change extends Link {
  /** The writer's own mark, by which a repeated write is known. */
  id?: string;
}

/** The digits of a key, from 0 to 61. */
export const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const RANDOM_KEY_LENGTH = 10; // 59 bits: among a million links, one guess in 10^12 hits
const MAX_URL = 8192;
const KEY = /^(?!\.)[A-Za-z0-9_.-]{1,64}(?<!\.)$/;
const MAX_PLACES = 4; // each is filled with as much as a request can bring

/** The first segments of the paths that mean something else than a link. */
export const RESERVED: ReadonlySet<string> = new Set(
  ["add", "api", "rpc", "healthz", "readyz", "metrics", "favicon.ico", "robots.txt"],
);

/**
 * A key that can't be guessed from others.
 *
 * @example
 * ```ts
 * randomKey(); // "pZ8vD0bQ3e"
 * ```
 */
export function randomKey(): string {
  let key = "";
  while (key.length < RANDOM_KEY_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(2 * RANDOM_KEY_LENGTH))) {
      // 248 is the last multiple of 62 in a byte: beyond it some digits would come more often.
      if (byte < 248 && key.length < RANDOM_KEY_LENGTH) key += DIGITS[byte % 62];
    }
  }
  return key;
}

/** Whether what came from elsewhere is a key as a master makes it. */
export function isKey(value: unknown): value is string {
  return typeof value === "string" && KEY.test(value);
}

/**
 * Refuses a key that nobody may choose.
 *
 * @throws {StoreError} invalid key
 */
export function checkKey(key: string): void {
  if (!KEY.test(key)) {
    throw new StoreError(
      "invalid key",
      "invalid key: use 1 to 64 of A-Z a-z 0-9 _ -, and dots inside",
    );
  }
  if (RESERVED.has(key)) throw new StoreError("invalid key", `invalid key: "${key}" is reserved`);
}

/**
 * The form in which a URL is stored: absolute, http or https. `host` is where short links live, as
 * {@linkcode plainHost} has it; a link to there would be a loop.
 *
 * @throws {StoreError} invalid url
 * @example
 * ```ts
 * checkURL("example.com/x", "localhost:8080"); // "https://example.com/x"
 * ```
 */
export function checkURL(text: string, host?: string): string {
  text = trim(text);
  if (text === "") throw invalidURL("it is empty");
  if (text.length > MAX_URL) throw invalidURL(`it is longer than ${MAX_URL} characters`);
  // deno-lint-ignore no-control-regex
  if (/[\0-\x1f\x7f-\x9f]/.test(text)) throw invalidURL("it has control characters");
  if (!text.isWellFormed()) throw invalidURL("it has a lone surrogate, which is no character");
  // What was typed as escaped is no place: in lower case it can be told from the braces that are escaped here.
  if (text.includes("{")) text = text.replaceAll(/%7B(\+?path|query)%7D/g, "%7b$1%7d");
  const url = URL.parse(hasScheme(text) ? text : `https://${text}`);
  if (url === null) throw invalidURL("it can't be parsed");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw invalidURL("it must start with http:// or https://");
  }
  if (hasTwoSchemes(url)) throw invalidURL(`it begins with two schemes: leave one of them out`);
  const { hostname } = url;
  if (/[{}]/.test(hostname)) {
    throw invalidURL("it has a place in its host, where nothing is put");
  }
  // One dot at the end is the root of all names.
  if (/^\.|\.\./.test(hostname)) throw invalidURL("the name of its host lacks a part");
  if (url.username || url.password) throw invalidURL("it has credentials");
  if (host && isBelow(url, host)) throw invalidURL("it points back at this server");
  const href = text.includes("{") ? keepPlaces(text, url.href) : url.href;
  if (countPlaces(href) > MAX_PLACES) {
    throw invalidURL(`it has more than ${MAX_PLACES} places ({path}, {query})`);
  }
  if (href.length > MAX_URL) throw invalidURL(`it is longer than ${MAX_URL} characters`);
  return href;
}

/** The names of schemes, which stand for a host where a URL was cut short, or begins with two of them. */
export const SCHEME = /^(?:about|blob|data|file|ftp|https?|javascript|mailto|wss?)\.?$/;

/**
 * Whether what stands for the host is a second scheme, as in `http://https://example.com/`, which is one for
 * a host "https". Hosts may be called `ftp`, but no server `https`.
 */
function hasTwoSchemes({ hostname, pathname }: URL): boolean {
  return SCHEME.test(hostname) && (pathname.startsWith("//") || hostname.startsWith("http"));
}

/** The places for what follows a key, such as `{path}`, stand in a URL as they were typed. */
function keepPlaces(text: string, href: string): string {
  for (const name of ["path", "+path", "query"]) {
    if (text.includes(`{${name}}`)) href = href.replaceAll(`%7B${name}%7D`, `{${name}}`);
  }
  return href;
}

function countPlaces(href: string): number {
  return href.includes("{") ? href.split(/\{(?:\+?path|query)\}/, MAX_PLACES + 2).length - 1 : 0;
}

/** Whether `url` is at `host`, which may have a path. */
function isBelow(url: URL, host: string): boolean {
  if (!host.startsWith(url.hostname.replace(/\.$/, ""))) return false; // most are elsewhere
  return `${plainHost(url)}${url.pathname}/`.startsWith(`${host}/`);
}

/**
 * A host as it is compared: without the dot that may end its name, and without the port where it is that of
 * http or https.
 *
 * @example
 * ```ts
 * plainHost(new URL("http://GO.example.com.:443/")); // "go.example.com"
 * ```
 */
export function plainHost({ hostname, port }: URL): string {
  const name = hostname.replace(/\.$/, "");
  return port === "" || port === "80" || port === "443" ? name : `${name}:${port}`;
}

/** Whether a URL is to be taken as it is; `example.com/x` and `localhost:80` lack a scheme. */
function hasScheme(text: string): boolean {
  // No part can end in more than one place, so it takes a linear time, whatever is typed.
  const [, host = ""] = /^(\[[\da-f:.]+\]|[^/?#:@\\]*)(?::\d+)?(?:[/?#]|$)/i.exec(text) ?? [];
  const isHost = host.includes(".") || /^(?:localhost|\[[\da-f:.]+\])$/i.test(host);
  return !isHost || text.startsWith(".");
}

function invalidURL(why: string): StoreError {
  return new StoreError("invalid url", `invalid URL: ${why}`);
}
