/**
 * The lines of a journal as this program writes them, read byte by byte. (Any others are read as JSON.)
 *
 *     {"Key":"1c","URL":"https://example.com/"}
 *     {"Key":"1d","URL":"https://example.com/","Created":1795600000,"ID":"pZ8vD0bQ3e-0"}
 *
 * @module
 */
import { MAX_NAME } from "./link.ts";
import { isTime } from "./time.ts";

/** How a line begins, up to its key, and what stands between that and the URL. */
export const START = encode('{"Key":"');
export const MIDDLE = encode('","URL":"');
const CREATED = encode(',"Created":');
const EXPIRES = encode(',"Expires":');
const AUTHOR = encode(',"Author":"');
const EDITOR = encode(',"Editor":"');
const HITS = encode(',"Hits":'); // in exports
const MARK = encode(',"ID":"');
const [QUOTE, BRACE] = encode('"}');
export const NEWLINE = 10;

/** 1 for what stands for itself in a JSON string of ASCII, else 0. */
export const PLAIN = Uint8Array.from(
  { length: 256 },
  (_, byte) => Number(byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c),
);

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Whether `text` stands at `at`. */
export function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** A part of a line. */
export interface Span {
  start: number;
  end: number;
}

/** Reads a name from `at`, if one is there, and gives where it ends; -1 if it is not as we write it. */
function readName(lines: Uint8Array, at: number, head: Uint8Array, name: Span): number {
  if (!startsWith(lines, at, head)) return at;
  name.start = at += head.length;
  while (PLAIN[lines[at]] === 1) at++;
  name.end = at;
  return lines[at] === QUOTE && at > name.start && at - name.start <= MAX_NAME ? at + 1 : -1;
}

/** What stands behind the URL of a line. */
export class Rest {
  created = 0;
  expires = 0;
  /** Where names begin and end; at 0, where there are none. */
  readonly author: Span = { start: 0, end: 0 };
  readonly editor: Span = { start: 0, end: 0 };
  /** Whether it bears an id. */
  marked = false;

  /** Reads it from `at`, where the URL ends. Where does the line end? -1 if it is not as we write it. */
  read(lines: Uint8Array, at: number): number {
    this.created =
      this.expires =
      this.author.end =
      this.editor.end =
        0;
    this.marked = false;
    if (lines[at] !== QUOTE) return -1;
    at++;
    if (lines[at] === BRACE) return lines[at + 1] === NEWLINE ? at + 2 : -1;
    if (startsWith(lines, at, CREATED)) {
      at = this.#number(lines, at + CREATED.length);
      this.created = this.#last;
    }
    if (at !== -1 && startsWith(lines, at, EXPIRES)) {
      at = this.#number(lines, at + EXPIRES.length);
      this.expires = this.#last;
    }
    if (at !== -1) at = readName(lines, at, AUTHOR, this.author);
    if (at !== -1) at = readName(lines, at, EDITOR, this.editor);
    if (at !== -1 && startsWith(lines, at, HITS)) {
      at += HITS.length;
      if (lines[at] <= 0x30 || lines[at] > 0x39) return -1;
      while (lines[at] >= 0x30 && lines[at] <= 0x39) at++;
    }
    if (at !== -1 && startsWith(lines, at, MARK)) {
      at += MARK.length;
      while (PLAIN[lines[at]] === 1) at++;
      if (lines[at++] !== QUOTE) return -1;
      this.marked = true;
    }
    return at !== -1 && lines[at] === BRACE && lines[at + 1] === NEWLINE ? at + 2 : -1;
  }

  #last = 0;

  /** Reads a time, and gives where it ends; -1 if it is not as we write it. */
  #number(lines: Uint8Array, at: number): number {
    let value = 0;
    const start = at;
    for (let digit; (digit = lines[at] - 0x30) >= 0 && digit <= 9; at++) value = 10 * value + digit;
    this.#last = value;
    return lines[start] === 0x30 || !isTime(value) ? -1 : at;
  }
}
