/**
 * Links as bytes: entries that stand one after the other in large segments of shared memory, each on
 * a multiple of 8 bytes. A reference to one is its offset in units of 8 bytes, so that 32 bits reach
 * 32 GiB.
 *
 * An entry is a head of 16 bytes, the key, and the URL. The head ends with the length of the URL in
 * two bytes, that of the key in one, and flags; a length that is too large for that makes both follow
 * the head, in four bytes each. A character takes a byte, or two where one of them doesn't hold it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Link } from "./link.ts";

const HEAD = 16;
const LONG_HEAD = HEAD + 8;
const URL_LENGTH = 12;
const KEY_LENGTH = 14;
const FLAGS = 15;

const HIDDEN = 1; // for the owner alone
const LONG = 2;
const WIDE_KEY = 4;
const WIDE_URL = 8;

/** The memory of entries, as other threads take it over. */
export type Segments = (Uint8Array<SharedArrayBuffer> | undefined)[];

/** Entries as any thread can read them. A thread may not have heard of the newest segments. */
export class EntryReader {
  protected readonly segments: (Buffer<SharedArrayBuffer> | undefined)[];
  protected readonly shift: number;
  protected readonly mask: number;

  /** @param bits those of an offset in a segment */
  constructor(segments: Segments, readonly bits: number) {
    this.segments = segments.map((bytes) => bytes && Buffer.from(bytes.buffer));
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

  /** Whether there is a URL: that of a deleted link is empty. */
  leads(ref: number): boolean {
    const { url, end } = this.parts(ref);
    return url < end;
  }

  isHidden(ref: number): boolean {
    return (this.segments[ref >>> this.shift]![((ref << 3) & this.mask) + FLAGS] & HIDDEN) !== 0;
  }

  /** The segment of an entry, and where in it what begins and ends. */
  protected parts(ref: number) {
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    const flags = bytes[at + FLAGS];
    const long = (flags & LONG) !== 0;
    const key = at + (long ? LONG_HEAD : HEAD);
    const url = key + (long ? bytes.readUInt32LE(at + HEAD) : bytes[at + KEY_LENGTH]);
    const urlLength = long
      ? bytes.readUInt32LE(at + HEAD + 4)
      : bytes.readUInt16LE(at + URL_LENGTH);
    return { bytes, at, key, url, end: url + urlLength, flags };
  }
}

/**
 * Entries as their owner writes them.
 *
 * @example
 * ```ts
 * const entries = new EntryWriter();
 * const ref = entries.add({ key: "docs", url: "https://example.com/" });
 * entries.urlOf(ref); // "https://example.com/"
 * ```
 */
export class EntryWriter extends EntryReader {
  readonly #ends: number[] = []; // of what is written, by segment

  /** @param bits those of an offset in a segment: 28 make 256 MiB, which take memory as they fill */
  constructor(bits = 28) {
    super([], bits);
  }

  /** The memory that there is now. */
  get memory(): Segments {
    return this.segments;
  }

  /**
   * Writes an entry, and gives the reference to it.
   *
   * @throws {RangeError} no memory is left, or none that a reference can reach
   */
  add({ key, url }: Link): number {
    const [wideKey, wideURL] = [isWide(key), isWide(url)];
    const keyLength = wideKey ? 2 * key.length : key.length;
    const urlLength = wideURL ? 2 * url.length : url.length;
    const long = keyLength > 0xff || urlLength > 0xffff;
    const head = long ? LONG_HEAD : HEAD;
    const at = this.#allocate(head + keyLength + urlLength);
    const segment = this.segments.length - 1;
    const bytes = this.segments[segment]!;
    if (long) {
      bytes.writeUInt32LE(keyLength, at + HEAD);
      bytes.writeUInt32LE(urlLength, at + HEAD + 4);
    } else {
      bytes.writeUInt16LE(urlLength, at + URL_LENGTH);
      bytes[at + KEY_LENGTH] = keyLength;
    }
    bytes[at + FLAGS] = (long ? LONG : 0) | (wideKey ? WIDE_KEY : 0) | (wideURL ? WIDE_URL : 0);
    write(bytes, at + head, key, wideKey);
    write(bytes, at + head + keyLength, url, wideURL);
    return ((segment << this.shift) | (at >>> 3)) >>> 0;
  }

  /** Hides an entry from all but the owner, or shows it again. */
  hide(ref: number, hidden = true): void {
    const { bytes, at } = this.parts(ref);
    if (hidden) Atomics.or(bytes, at + FLAGS, HIDDEN);
    else Atomics.and(bytes, at + FLAGS, ~HIDDEN);
  }

  /** How many bytes an entry takes. */
  sizeOf(ref: number): number {
    const { at, end } = this.parts(ref);
    return align(end - at);
  }

  /** The references to all entries, in the order in which they were written. */
  *all(): Generator<number, void, void> {
    for (let segment = 0; segment < this.segments.length; segment++) {
      let at = startOf(segment);
      while (at < this.#ends[segment]) {
        const ref = ((segment << this.shift) | (at >>> 3)) >>> 0;
        yield ref;
        at += this.sizeOf(ref);
      }
    }
  }

  /** Finds room in the last segment, or in a new one: where it begins. */
  #allocate(size: number): number {
    let segment = this.segments.length - 1;
    if (segment < 0 || this.#ends[segment] + size > this.mask + 1) {
      segment++;
      if (startOf(segment) + size > this.mask + 1) throw new RangeError("The link is too large");
      if (segment > 0xffffffff >>> this.shift) throw new RangeError("32 GiB of links are full");
      this.segments.push(Buffer.from(new SharedArrayBuffer(this.mask + 1)));
      this.#ends.push(startOf(segment));
    }
    const at = this.#ends[segment];
    this.#ends[segment] = align(at + size);
    return at;
  }
}

/** No entry begins where the reference to it would be 0, which leads nowhere. */
function startOf(segment: number): number {
  return segment === 0 ? 8 : 0;
}

function isWide(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

function write(bytes: Buffer, at: number, text: string, wide: boolean): void {
  if (wide) return void bytes.write(text, at, "utf16le");
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

function align(size: number): number {
  return (size + 7) & ~7;
}
