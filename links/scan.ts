/**
 * Lines of a journal that are links as this program writes them, taken over as they stand: no string
 * is made of one.
 *
 *     {"Key":"1c","URL":"https://example.com/"}
 *     {"Key":"1d","URL":"https://example.com/","Made":1795600000,"ID":"pZ8vD0bQ3e-0"}
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ENDS, HEAD, MAX_SHORT_KEY, MAX_SHORT_URL, SIGNED } from "./entries.ts";
import { finish } from "./hash.ts";
import { type Change, type Facts, MAX_NAME } from "./link.ts";
import type { Block, Table } from "./table.ts";
import { isTime } from "./time.ts";

const BLOCK = 128 << 10; // bytes of entries that the table takes at once
const MAX_ENTRY = HEAD + MAX_SHORT_KEY + MAX_SHORT_URL + 2 + 256; // a multiple of 8
const MARKS = 65_536;
const SURE = 0.9; // of the links that a file seems to have

/** How a line begins, up to its key, and what stands between that and the URL. */
export const START = encode('{"Key":"');
export const MIDDLE = encode('","URL":"');
const MADE = encode(',"Made":');
const EXPIRES = encode(',"Expires":');
const BY = encode(',"By":"');
const CHANGED_BY = encode(',"ChangedBy":"');
const HITS = encode(',"Hits":'); // in exports
const MARK = encode(',"ID":"');
const [QUOTE, BRACE, NEWLINE] = encode('"}\n');

/** 1 for what stands for itself in a JSON string of ASCII, else 0. */
export const PLAIN = Uint8Array.from(
  { length: 256 },
  (_, byte) => Number(byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c),
);

/** A change that bears an id. */
export type Marked = Change & { id: string };

/** Puts the links of lines into a table. */
export class LinkScanner {
  /** How many lines the last scan took. */
  lines = 0;
  readonly #bytes = new Uint8Array(BLOCK + MAX_ENTRY);
  readonly #words = new Uint32Array(this.#bytes.buffer); // the same
  readonly #block: Block;
  readonly #rest = new Rest();
  #marked: string[] = []; // the last lines with an id
  #marks = 0; // how many there were

  /** @param remember told of those that bear an id, the last 65,536 of them, in their order */
  constructor(
    private readonly table: Table,
    private readonly remember: (change: Marked) => void,
  ) {
    const most = BLOCK / HEAD + 1;
    const [starts, codes] = [new Uint32Array(most), new Uint32Array(most)];
    this.#block = { bytes: this.#bytes, count: 0, starts, codes, oldest: Infinity, newest: 0 };
  }

  /**
   * Takes lines over, from the one that begins at `at`, as long as they are such. Where does the
   * first other one begin?
   *
   * @param lines whole ones
   * @throws {RangeError} there is no room for them
   */
  scan(lines: Uint8Array, at: number): number {
    this.lines = 0;
    const { seed, factor } = this.table.constants;
    const block = this.#block;
    const { starts, codes } = block;
    const [bytes, words, rest] = [this.#bytes, this.#words, this.#rest];
    let count = 0;
    let entry = 0; // where the next one begins
    while (at < lines.length && startsWith(lines, at, START)) {
      if (entry >= BLOCK) {
        this.#flush(count, entry);
        count = entry = 0;
      }
      let from = at + START.length;
      let to = entry + HEAD;
      let code = seed;
      let byte;
      // A newline is not plain, so nothing runs past the end.
      while (PLAIN[byte = lines[from]] === 1) {
        code = Math.imul(code ^ byte, factor);
        bytes[to++] = byte;
        from++;
      }
      const keyLength = to - entry - HEAD;
      if (keyLength === 0 || keyLength > MAX_SHORT_KEY || !startsWith(lines, from, MIDDLE)) break;
      from += MIDDLE.length;
      const url = to;
      while (PLAIN[byte = lines[from]] === 1) {
        bytes[to++] = byte;
        from++;
      }
      const urlLength = to - url;
      if (urlLength > MAX_SHORT_URL) break;
      const end = rest.read(lines, from);
      if (end === -1) break;
      if (rest.marked) this.#mark(lines, at, end);
      const { made, expires, by, changedBy } = rest;
      if (made < block.oldest) block.oldest = made;
      if (made > block.newest) block.newest = made;
      if (by.end > 0 || changedBy.end > 0) to = sign(bytes, to, lines, by, changedBy);
      const head = entry >>> 2; // in words, of which every platform has the lowest byte first
      words[head] = 0;
      words[head + 1] = expires;
      words[head + 2] = made;
      words[head + 3] = urlLength | keyLength << 16 | (expires === 0 ? 0 : ENDS << 24) |
        (by.end + changedBy.end === 0 ? 0 : SIGNED << 24);
      starts[count] = entry;
      codes[count++] = finish(code);
      entry = (to + 7) & ~7;
      at = end;
    }
    this.#flush(count, entry);
    return at;
  }

  /** Makes room for what is to come, when so many bytes of `total` are read. */
  expect(done: number, total: number): void {
    // A little less, since half of the room would be empty if it were a little too much.
    this.table.reserve(Math.floor(SURE * this.table.size * total / done));
  }

  /** Lets those be remembered that bear an id. */
  finish(): void {
    const first = this.#marks - this.#marked.length;
    for (let i = first; i < this.#marks; i++) {
      const { Key: key, URL: url, Made: made, Expires: expires, ID: id, ...names } = JSON.parse(
        this.#marked[i % MARKS],
      );
      const times = { ...(made ? { made } : {}), ...(expires ? { expires } : {}) };
      this.remember({ key, url, ...times, ...namesOf(names), id });
    }
    this.#marked = [];
    this.#marks = 0;
  }

  #mark(lines: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(lines.buffer, lines.byteOffset + start, end - start).toString(
      "latin1",
    );
    this.#marked[this.#marks++ % MARKS] = text;
  }

  #flush(count: number, end: number): void {
    if (count === 0) return;
    this.lines += count;
    this.#block.count = count;
    this.#block.bytes = this.#bytes.subarray(0, end);
    this.table.setBlock(this.#block);
    this.#block.oldest = Infinity;
    this.#block.newest = 0;
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Whether `text` stands at `at`. */
export function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** A part of a line. */
interface Span {
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

/** Writes names behind the URL of an entry, which ends at `to`, and gives where they end. */
function sign(
  bytes: Uint8Array,
  to: number,
  lines: Uint8Array,
  by: Span,
  changedBy: Span,
): number {
  const length = to++;
  for (let at = by.start; at < by.end; at++) bytes[to++] = lines[at];
  if (changedBy.end > 0) {
    bytes[to++] = NEWLINE;
    for (let at = changedBy.start; at < changedBy.end; at++) bytes[to++] = lines[at];
  }
  bytes[length] = to - length - 1;
  return to;
}

function namesOf({ By, ChangedBy }: { By?: string; ChangedBy?: string }): Facts {
  return {
    ...(By === undefined ? {} : { by: By }),
    ...(ChangedBy === undefined ? {} : { changedBy: ChangedBy }),
  };
}

/** What stands behind the URL of a line. */
export class Rest {
  made = 0;
  expires = 0;
  /** Where names begin and end; at 0, where there are none. */
  readonly by: Span = { start: 0, end: 0 };
  readonly changedBy: Span = { start: 0, end: 0 };
  /** Whether it bears an id. */
  marked = false;

  /** Reads it from `at`, where the URL ends. Where does the line end? -1 if it is not as we write it. */
  read(lines: Uint8Array, at: number): number {
    this.made =
      this.expires =
      this.by.end =
      this.changedBy.end =
        0;
    this.marked = false;
    if (lines[at] !== QUOTE) return -1;
    at++;
    if (lines[at] === BRACE) return lines[at + 1] === NEWLINE ? at + 2 : -1;
    if (startsWith(lines, at, MADE)) {
      at = this.#number(lines, at + MADE.length);
      this.made = this.#last;
    }
    if (at !== -1 && startsWith(lines, at, EXPIRES)) {
      at = this.#number(lines, at + EXPIRES.length);
      this.expires = this.#last;
    }
    if (at !== -1) at = readName(lines, at, BY, this.by);
    if (at !== -1) at = readName(lines, at, CHANGED_BY, this.changedBy);
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
