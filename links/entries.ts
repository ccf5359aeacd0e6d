/**
 * Links as bytes: entries that stand one after the other in large segments of shared memory, each on
 * a multiple of 8 bytes. A reference to one is its offset in units of 8 bytes, so that 32 bits reach
 * 32 GiB.
 *
 * An entry is a head of 12 bytes, the key, and the URL. In the head there stand, in four bytes each, the
 * number of the counter of the link's hits, and when it was created, in seconds since 1970, or 0. Then come
 * the length of the URL in two bytes, that of the key in one, and flags. Lengths that are too large for
 * that follow the head, in four bytes each. A character takes a byte, or two where one of them doesn't
 * hold it. Behind the URL may stand, in four bytes, when the link ends, and then names: their length
 * in one byte, the author, in UTF-8, and, after a newline, the editor.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { hash, hashBytes, type HashConstants } from "./hash.ts";
import { compareKeys, rankOf } from "./keys.ts";
import type { Link } from "./link.ts";
import { PLAIN } from "./syntax.ts";
import { isExpired } from "./time.ts";

/** How long the head is, and that of an entry whose lengths follow it. */
export const HEAD = 12;
export const LONG_HEAD = HEAD + 8;
/** Where in the head what stands. */
export const COUNTER = 0;
export const CREATED = 4;
export const URL_LENGTH = 8;
export const KEY_LENGTH = 10;
export const FLAGS = 11;
/** How many bytes it takes to say when a link ends. */
export const EXPIRES = 4;

/**
 * Flags: for the owner alone; lengths follow the head; the key, the URL has two bytes a character; the
 * link ends at some time; behind the URL stand its author and its editor.
 */
export const HIDDEN = 1;
export const LONG = 2;
export const WIDE_KEY = 4;
export const WIDE_URL = 8;
export const ENDS = 16;
export const NAMED = 32;

/** The most that a length in the head itself can be. */
export const MAX_SHORT_KEY = 0xff;
export const MAX_SHORT_URL = 0xffff;

/** The memory of entries, as other threads take it over. */
export type Segments = (Uint8Array<SharedArrayBuffer> | undefined)[];

const QUOTE = 0x22;
const MAX_ESCAPE = 6; // bytes that one takes in JSON
const encoder = new TextEncoder();

/** Entries as any thread can read them. A thread may not have heard of the newest segments. */
export class EntryReader {
  protected readonly segments: (Buffer<SharedArrayBuffer> | undefined)[];
  protected readonly words: (Uint32Array<SharedArrayBuffer> | undefined)[];
  protected readonly shift: number;
  protected readonly mask: number;

  /** @param bits those of an offset in a segment */
  constructor(segments: Segments, readonly bits: number) {
    this.segments = segments.map((bytes) => bytes && Buffer.from(bytes.buffer));
    this.words = segments.map((bytes) => bytes && new Uint32Array(bytes.buffer));
    this.shift = bits - 3;
    this.mask = 2 ** bits - 1;
  }

  /** Whether the entry is at hand, and that of `key`. */
  isOf(ref: number, key: string): boolean {
    const bytes = this.segments[ref >>> this.shift];
    if (bytes === undefined) return false;
    const at = (ref << 3) & this.mask;
    if ((bytes[at + FLAGS] & (LONG | WIDE_KEY)) !== 0) return this.keyOf(ref) === key;
    const length = bytes[at + KEY_LENGTH];
    if (length !== key.length) return false;
    for (let i = 0, p = at + HEAD; i < length; i++, p++) {
      if (bytes[p] !== key.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Whether two entries, which are at hand, are of one key. */
  haveSameKey(ref: number, other: number): boolean {
    const bytes = this.segments[ref >>> this.shift]!;
    const otherBytes = this.segments[other >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    const otherAt = (other << 3) & this.mask;
    if (((bytes[at + FLAGS] | otherBytes[otherAt + FLAGS]) & (LONG | WIDE_KEY)) !== 0) {
      return this.keyOf(ref) === this.keyOf(other);
    }
    const length = bytes[at + KEY_LENGTH];
    if (length !== otherBytes[otherAt + KEY_LENGTH]) return false;
    for (let i = HEAD; i < HEAD + length; i++) {
      if (bytes[at + i] !== otherBytes[otherAt + i]) return false;
    }
    return true;
  }

  /** Compares the key of an entry, which is at hand, with another, as {@linkcode compareKeys} does. */
  compareKey(ref: number, key: string): number {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    if ((bytes[at + FLAGS] & (LONG | WIDE_KEY)) !== 0) return compareKeys(this.keyOf(ref), key);
    const length = bytes[at + KEY_LENGTH];
    if (length !== key.length) return length - key.length;
    for (let i = 0, p = at + HEAD; i < length; i++, p++) {
      const difference = rankOf(bytes[p]) - rankOf(key.charCodeAt(i));
      if (difference !== 0) return difference;
    }
    return 0;
  }

  keyOf(ref: number): string {
    const { bytes, key, url, flags } = this.parts(ref);
    return bytes.toString((flags & WIDE_KEY) !== 0 ? "utf16le" : "latin1", key, url);
  }

  urlOf(ref: number): string {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    if ((bytes[at + FLAGS] & (LONG | WIDE_URL)) !== 0) {
      const { url, end, flags } = this.parts(ref);
      return bytes.toString((flags & WIDE_URL) !== 0 ? "utf16le" : "latin1", url, end);
    }
    const url = at + HEAD + bytes[at + KEY_LENGTH];
    const length = bytes[at + URL_LENGTH] | bytes[at + URL_LENGTH + 1] << 8;
    return bytes.toString("latin1", url, url + length);
  }

  /** Whether others are led somewhere. */
  leads(ref: number): boolean {
    return (this.flagsOf(ref) & HIDDEN) === 0 && !this.isDeleted(ref);
  }

  /** Whether the link was deleted: its URL is empty. */
  isDeleted(ref: number): boolean {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    if ((bytes[at + FLAGS] & LONG) !== 0) return bytes.readUInt32LE(at + HEAD + 4) === 0;
    return (bytes[at + URL_LENGTH] | bytes[at + URL_LENGTH + 1]) === 0;
  }

  isHidden(ref: number): boolean {
    return (this.flagsOf(ref) & HIDDEN) !== 0;
  }

  flagsOf(ref: number): number {
    return this.segments[ref >>> this.shift]![((ref << 3) & this.mask) + FLAGS];
  }

  /** When the link ends, in seconds since 1970, or 0. */
  expiresOf(ref: number): number {
    const { bytes, end, flags } = this.parts(ref);
    return (flags & ENDS) === 0 ? 0 : bytes.readUInt32LE(end);
  }

  /** Whether the link has come to its end. */
  isExpired(ref: number): boolean {
    return (this.flagsOf(ref) & ENDS) !== 0 && isExpired(this.expiresOf(ref));
  }

  /** The URL as it is shown: "" where the link is over, nothing where it is hidden. */
  shownURL(ref: number): string | undefined {
    const flags = this.flagsOf(ref);
    // Those that have no end pay nothing for those that have one.
    if ((flags & (HIDDEN | ENDS)) !== 0) {
      if ((flags & HIDDEN) !== 0) return;
      if (isExpired(this.expiresOf(ref))) return "";
    }
    return this.urlOf(ref);
  }

  /** All of a link. */
  linkOf(ref: number): Link {
    const created = this.createdOf(ref);
    const link: Link = { key: this.keyOf(ref), url: this.urlOf(ref) };
    if (created > 0) link.created = created;
    const { bytes, end, names, till } = this.parts(ref);
    if (names > end) link.expires = bytes.readUInt32LE(end);
    if (till === names) return link;
    const [author, editor] = bytes.toString("utf8", names + 1, till).split("\n");
    if (author !== "") link.author = author;
    if (editor) link.editor = editor;
    return link;
  }

  /** The hash of the key. */
  codeOf(ref: number, constants: HashConstants): number {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    if ((bytes[at + FLAGS] & (LONG | WIDE_KEY)) !== 0) return hash(this.keyOf(ref), constants);
    const start = at + HEAD;
    return hashBytes(bytes, start, start + bytes[at + KEY_LENGTH], constants);
  }

  /** When the link was created, in seconds since 1970, or 0 where that isn't known. */
  createdOf(ref: number): number {
    return this.words[ref >>> this.shift]![(((ref << 3) & this.mask) + CREATED) >>> 2];
  }

  /** The number of the counter of a link, or 0 where it has none. */
  counterOf(ref: number): number {
    return this.words[ref >>> this.shift]![(((ref << 3) & this.mask) + COUNTER) >>> 2];
  }

  /** How many bytes the key of an entry takes in a text of JSON, with its quotes, at most. */
  keyRoom(ref: number): number {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    const long = (bytes[at + FLAGS] & LONG) !== 0;
    return 2 + MAX_ESCAPE * (long ? bytes.readUInt32LE(at + HEAD) : bytes[at + KEY_LENGTH]);
  }

  /** Writes that to `to`, from `at` on, where there must be room for it, and returns where it ends. */
  writeKey(ref: number, to: Uint8Array, at: number): number {
    const bytes = this.segments[ref >>> this.shift]!;
    const start = (ref << 3) & this.mask;
    const begin = at;
    if ((bytes[start + FLAGS] & (LONG | WIDE_KEY)) === 0) {
      const end = start + HEAD + bytes[start + KEY_LENGTH];
      let from = start + HEAD;
      to[at++] = QUOTE;
      while (from < end && PLAIN[bytes[from]] === 1) to[at++] = bytes[from++];
      to[at++] = QUOTE;
      if (from === end) return at;
    }
    const key = JSON.stringify(this.keyOf(ref));
    return begin + encoder.encodeInto(key, to.subarray(begin)).written;
  }

  /** How many bytes an entry takes. */
  sizeOf(ref: number): number {
    const { at, till } = this.parts(ref);
    return align(till - at);
  }

  /** The memory of a segment. */
  bytesOf(segment: number): Buffer<SharedArrayBuffer> {
    return this.segments[segment]!;
  }

  /** Where in its segment an entry begins. */
  offsetOf(ref: number): number {
    return (ref << 3) & this.mask;
  }

  /** The reference to what begins at `at` in a segment. */
  refTo(segment: number, at: number): number {
    return ((segment << this.shift) | (at >>> 3)) >>> 0;
  }

  /** The segment of an entry, and where in it what begins and ends. */
  parts(ref: number) {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    const flags = bytes[at + FLAGS];
    const long = (flags & LONG) !== 0;
    const key = at + (long ? LONG_HEAD : HEAD);
    const url = key + (long ? bytes.readUInt32LE(at + HEAD) : bytes[at + KEY_LENGTH]);
    const urlLength = long
      ? bytes.readUInt32LE(at + HEAD + 4)
      : bytes.readUInt16LE(at + URL_LENGTH);
    const end = url + urlLength;
    const names = (flags & ENDS) === 0 ? end : end + EXPIRES;
    const till = (flags & NAMED) === 0 ? names : names + 1 + bytes[names];
    return { bytes, at, key, url, end, names, till, flags };
  }
}

/** The next multiple of 8. */
export function align(size: number): number {
  return (size + 7) & ~7;
}

/** The names of a link, as they stand in an entry; "" if it has none. */
export function namesOf({ author = "", editor }: Pick<Link, "author" | "editor">): string {
  return editor === undefined ? author : `${author}\n${editor}`;
}
