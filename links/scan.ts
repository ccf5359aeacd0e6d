/**
 * Lines of a journal that are links as this program writes them, taken over as they stand: no string
 * is made of one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { align, ENDS, EXPIRES, HEAD, MAX_SHORT_KEY, MAX_SHORT_URL, NAMED } from "./entries.ts";
import { finish } from "./hash.ts";
import type { Change, Facts } from "./link.ts";
import { MIDDLE, NEWLINE, PLAIN, Rest, type Span, START, startsWith } from "./syntax.ts";
import type { Block, Table } from "./table.ts";

const BLOCK = 128 << 10; // bytes of entries that the table takes at once
const MAX_ENTRY = HEAD + MAX_SHORT_KEY + MAX_SHORT_URL + EXPIRES + 2 + 256; // a multiple of 8
const MARKS = 65_536;
const SURE = 0.9; // of the links that a file seems to have

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
    const most = BLOCK / align(HEAD + 1) + 1;
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
      const { created, expires, author, editor } = rest;
      if (created < block.oldest) block.oldest = created;
      if (created > block.newest) block.newest = created;
      if (expires > 0) to = writeTime(bytes, to, expires);
      if (author.end > 0 || editor.end > 0) to = writeNames(bytes, to, lines, author, editor);
      const head = entry >>> 2; // in words, of which every platform has the lowest byte first
      words[head] = 0;
      words[head + 1] = created;
      words[head + 2] = urlLength | keyLength << 16 | (expires === 0 ? 0 : ENDS << 24) |
        (author.end + editor.end === 0 ? 0 : NAMED << 24);
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
      const { Key: key, URL: url, Created: created, Expires: expires, ID: id, ...names } = JSON
        .parse(
          this.#marked[i % MARKS],
        );
      const times = { ...(created ? { created } : {}), ...(expires ? { expires } : {}) };
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

/** Writes when a link ends behind its URL, which ends at `to`, and gives where that ends. */
function writeTime(bytes: Uint8Array, to: number, time: number): number {
  for (let i = 0; i < EXPIRES; i++) bytes[to++] = time >>> (8 * i);
  return to;
}

/** Writes names behind that, which ends at `to`, and gives where they end. */
function writeNames(
  bytes: Uint8Array,
  to: number,
  lines: Uint8Array,
  author: Span,
  editor: Span,
): number {
  const length = to++;
  for (let at = author.start; at < author.end; at++) bytes[to++] = lines[at];
  if (editor.end > 0) {
    bytes[to++] = NEWLINE;
    for (let at = editor.start; at < editor.end; at++) bytes[to++] = lines[at];
  }
  bytes[length] = to - length - 1;
  return to;
}

function namesOf({ Author, Editor }: { Author?: string; Editor?: string }): Facts {
  return {
    ...(Author === undefined ? {} : { author: Author }),
    ...(Editor === undefined ? {} : { editor: Editor }),
  };
}
