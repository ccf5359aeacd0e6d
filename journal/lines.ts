/**
 * The journal's lines: JSON, one a change, in the format of the Go program.
 *
 *     {"Key":"1c","URL":"https://example.com/","Created":1795600000}
 *
 * A later line for a key replaces the earlier one; an empty URL deletes. A line with an empty key,
 * which leads nowhere, speaks of the journal itself:
 *
 *     {"Key":"","URL":"","Term":2,"Base":123456,"Kept":130000,"Sum":"1c291ca3","FileSum":"90a5f06b"}
 *     {"Key":"","URL":"","Sum":"1c291ca3"}
 *
 * {@linkcode Checksum} says what the sums are of.
 *
 * @module
 */
import { type Change, isName } from "../links/link.ts";
import { NEWLINE } from "../links/syntax.ts";
import { isTime } from "../links/time.ts";
import { formatSum, parseSum, type Start } from "./checksum.ts";

/** Takes one change from a journal. */
export type Apply = (change: Change) => void;

/** Told of a line that is no change: its number, from 1, and what is wrong with it. */
export type Bad = (line: number, reason: string) => void;

/** What a line says of the journal itself. What it is silent about stays as it was. */
export interface About {
  /** The term: 1 for the first master, and a later one for each that took over. */
  term?: number;
  /** In the first line of a file: the position at which the file begins; */
  base?: number;
  /** from which position on it holds the bytes of the history; */
  kept?: number;
  /** and the checksum of its lines up to there. */
  fileSum?: number;
  /** The checksum of the history, at `kept`, or, in a line of its own, at its beginning. */
  sum?: number;
}

/** What the first line of a compacted log says of its checksums; nothing, where it is none. */
export function startOf({ kept, sum, fileSum }: About): Start | undefined {
  if (kept === undefined || sum === undefined || fileSum === undefined) return;
  return { kept, sum, fileSum };
}

/** Told of a line about the journal itself: its number, from 1, and what it says. */
export type Tell = (line: number, about: About) => void;

/** What is wrong with a line that would be good without what some editors put before a text. */
export const BYTE_ORDER_MARK = "a byte order mark";
const MARK = "\ufeff";
/** The bytes that it is made of, of which no JSON begins with one. */
export const MARK_BYTES: readonly number[] = [0xef, 0xbb, 0xbf];

/** What is wrong with a line that bears a name that a member had before. */
export const OLD_NAME = "is an old name";
const NEW_NAMES = new Map([["Made", "Created"], ["By", "Author"], ["ChangedBy", "Editor"]]);

const MAX_COUNT = 1e15 - 1; // as many digits as a header may have

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * One line of the journal.
 *
 * @example
 * ```ts
 * formatLine({ key: "1c", url: "https://example.com/" }); // {"Key":"1c","URL":"https://example.com/"}\n
 * formatLine({ key: "1c", url: "", created: 1795600000 }); // {"Key":"1c","URL":"","Created":1795600000}\n
 * ```
 */
export function formatLine(
  { key, url, created, expires, author, editor, hits, id }: Change,
): string {
  // Keys and URLs are checked before they get here; only quoting is left to do.
  const names = (author ? `,"Author":${JSON.stringify(author)}` : "") +
    (editor ? `,"Editor":${JSON.stringify(editor)}` : "");
  const times = (created ? `,"Created":${created}` : "") + (expires ? `,"Expires":${expires}` : "");
  const mark = (hits ? `,"Hits":${hits}` : "") +
    (id === undefined ? "" : `,"ID":${JSON.stringify(id)}`);
  return `{"Key":${JSON.stringify(key)},"URL":${JSON.stringify(url)}${times}${names}${mark}}\n`;
}

/**
 * A line about the journal itself. The numbers are padded, so that lines of one term have one length.
 *
 * @example
 * ```ts
 * formatAbout({ term: 2 }); // {"Key":"","URL":"","Term":2}\n
 * ```
 */
export function formatAbout({ term, base, kept, sum, fileSum }: About): string {
  const members = [
    term === undefined ? "" : `,"Term":${term}`,
    base === undefined ? "" : `,"Base":${String(base).padEnd(15)}`,
    kept === undefined ? "" : `,"Kept":${String(kept).padEnd(15)}`,
    sum === undefined ? "" : `,"Sum":"${formatSum(sum)}"`,
    fileSum === undefined ? "" : `,"FileSum":"${formatSum(fileSum)}"`,
  ];
  return `{"Key":"","URL":""${members.join("")}}\n`;
}

/**
 * Gives every line of `bytes`, which must end with a newline, to `apply`, those that are no changes to
 * `bad`, and what is said of the journal itself to `tell`.
 *
 * @returns how many lines there are
 */
export function readLines(
  bytes: Uint8Array,
  apply: Apply,
  bad: Bad,
  tell: Tell = () => {},
): number {
  let text;
  try {
    text = utf8.decode(bytes);
  } catch {
    return readLinesOneByOne(bytes, apply, bad, tell);
  }
  // JSON allows no control character inside a string: where there is one, JSON.parse decides.
  // deno-lint-ignore no-control-regex
  const odd = /[\0-\x09\x0b-\x1f]/.test(text);
  let escape = odd ? 0 : text.indexOf("\\");
  let line = 0;
  for (let start = 0, end; start < text.length; start = end + 1) {
    line++;
    end = text.indexOf("\n", start);
    if (!odd && escape !== -1 && escape < start) escape = text.indexOf("\\", start);
    // A line as we write it is cut apart in place, which is three times as fast as JSON.parse.
    if ((escape === -1 || escape > end) && text.startsWith('{"Key":"', start)) {
      const keyEnd = text.indexOf('"', start + 8);
      if (keyEnd > start + 8 && text.startsWith('","URL":"', keyEnd)) {
        const urlEnd = text.indexOf('"', keyEnd + 9);
        if (text.charCodeAt(end - 1) === 0x7d) {
          const [key, url] = [text.slice(start + 8, keyEnd), text.slice(keyEnd + 9, urlEnd)];
          if (urlEnd === end - 2) {
            apply({ key, url });
            continue;
          }
          // A time of today, and nothing behind it.
          const created = text.startsWith(',"Created":', urlEnd + 1)
            ? text.slice(urlEnd + 12, end - 1)
            : "";
          if (/^[1-9]\d{9}$/.test(created) && isTime(Number(created))) {
            apply({ key, url, created: Number(created) });
            continue;
          }
        }
      }
    }
    const reason = readLine(text.slice(start, end), apply, (about) => tell(line, about));
    if (reason) bad(line, reason);
  }
  return line;
}

/** {@linkcode readLines} where a line isn't UTF-8: which one is it? */
function readLinesOneByOne(bytes: Uint8Array, apply: Apply, bad: Bad, tell: Tell): number {
  let line = 0;
  for (let start = 0, end; start < bytes.length; start = end) {
    line++;
    end = bytes.indexOf(NEWLINE, start) + 1;
    let reason: string | undefined = "invalid UTF-8";
    try {
      const text = utf8.decode(bytes.subarray(start, end - 1));
      reason = readLine(text, apply, (about) => tell(line, about));
    } catch {
      // The reason stands.
    }
    if (reason) bad(line, reason);
  }
  return line;
}

/** How many lines end in `bytes`. */
export function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = -1; (at = bytes.indexOf(NEWLINE, at + 1)) !== -1;) count++;
  return count;
}

/** Whether `bytes` are whole JSON: what was torn off a line isn't, as it lacks its "}". */
export function isJSON(bytes: Uint8Array): boolean {
  try {
    JSON.parse(withoutMark(utf8.decode(bytes)));
    return true;
  } catch {
    return false;
  }
}

function withoutMark(text: string): string {
  return text.startsWith(MARK) ? text.replace(/^\ufeff+/, "") : text;
}

/** A line, as it may be. */
interface Line {
  Key: string;
  URL: string;
  Created: number;
  Expires: number;
  Author: string;
  Editor: string;
  ID: string;
}

/** Applies one line, or says why it can't. */
function readLine(
  line: string,
  apply: Apply,
  tell: (about: About) => void,
): string | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    if (line.startsWith(MARK)) {
      return readLine(withoutMark(line), () => {}, () => {}) ?? BYTE_ORDER_MARK;
    }
    return line.includes("\0") ? "NUL bytes" : line.trim() ? "bad JSON" : "a blank line";
  }
  if (typeof record !== "object" || record === null) return "not a JSON object";
  const old = NEW_NAMES.keys().find((name) => name in record);
  if (old !== undefined) return `"${old}" ${OLD_NAME}`;
  const { Key, URL, Created, Expires, Author, Editor, ID }: { [Name in keyof Line]?: unknown } =
    record;
  if (typeof Key !== "string") return `"Key" is ${Key === undefined ? "missing" : "no string"}`;
  if (typeof URL !== "string") return `"URL" is ${URL === undefined ? "missing" : "no string"}`;
  if (Key === "") return readAbout({ ...record }, tell);
  const change: Change = { key: Key, url: URL, id: typeof ID === "string" ? ID : undefined };
  if (isTime(Created)) change.created = Created;
  if (isTime(Expires)) change.expires = Expires;
  if (isName(Author)) change.author = Author;
  if (isName(Editor)) change.editor = Editor;
  apply(change);
}

/** Tells what a line with an empty key says, or says why it can't. */
function readAbout(
  { Term, Base, Kept, Sum, FileSum }: Record<string, unknown>,
  tell: (about: About) => void,
): string | undefined {
  if (Term !== undefined && !isCount(Term, 1)) return '"Term" is no whole number';
  if (Base !== undefined && !isCount(Base, 0)) return '"Base" is no whole number';
  if (Kept !== undefined && !isCount(Kept, 0)) return '"Kept" is no whole number';
  const [sum, fileSum] = [Sum, FileSum].map(parseSum);
  if (Sum !== undefined && sum === undefined) return '"Sum" is no checksum';
  if (FileSum !== undefined && fileSum === undefined) return '"FileSum" is no checksum';
  tell({ term: Term, base: Base, kept: Kept, sum, fileSum });
}

function isCount(value: unknown, least: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= least &&
    value <= MAX_COUNT;
}
