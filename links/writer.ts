/**
 * Entries as their owner writes them, and the memory that they take.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Blocks } from "./blocks.ts";
import {
  align,
  COUNTER,
  CREATED,
  ENDS,
  EntryReader,
  EXPIRES,
  FLAGS,
  HEAD,
  HIDDEN,
  KEY_LENGTH,
  LONG,
  LONG_HEAD,
  MAX_SHORT_KEY,
  MAX_SHORT_URL,
  NAMED,
  namesOf,
  type Segments,
  URL_LENGTH,
  WIDE_KEY,
  WIDE_URL,
} from "./entries.ts";
import type { Link } from "./link.ts";
import { shareMemory } from "./memory.ts";

/** The bits of an offset in a segment: a segment has 256 MiB at most, and so has an entry. */
export const SEGMENT_BITS = 28;
/** So many segments there are at most: references reach no further. The first ones are smaller. */
export const MAX_SEGMENTS = 2 ** (32 - (SEGMENT_BITS - 3));
const MIN_SEGMENT = 1 << 20; // bytes, so that few links take little memory
const MOSTLY = 1 / 2; // of what is written in a segment

/** What is known of a segment. */
interface Segment {
  number: number;
  capacity: number;
  /** Where what is written ends. */
  end: number;
  /** Of that, how many bytes are superseded. */
  superseded: number;
  /** How many entries are written that nothing leads to yet. */
  held: number;
}

/**
 * Writes entries one after the other. A segment is as large as all that is there already, so that
 * there are few. Its memory is never used for anything else: what other threads read stays.
 *
 * @example
 * ```ts
 * const entries = new EntryWriter();
 * const ref = entries.add({ key: "docs", url: "https://example.com/" });
 * entries.urlOf(ref); // "https://example.com/"
 * ```
 */
export class EntryWriter extends EntryReader {
  /** How many bytes all entries take. */
  bytes = 0;
  /** How many of them are superseded. */
  superseded = 0;
  /** How often segments came or went. */
  changes = 0;
  /** How many have a key or a URL of two bytes a character. */
  wide = 0;
  readonly blocks = new Blocks(this);
  readonly #opened: Segment[] = []; // in the order in which they were; the last one is written to
  readonly #numbered: (Segment | undefined)[] = [];

  /**
   * @param bits those of an offset in a segment
   * @param most so many segments there are at most; the last one is for those that are rewritten
   */
  constructor(bits = SEGMENT_BITS, private readonly most = MAX_SEGMENTS) {
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
  add(link: Link): number {
    const { key, url, created = 0, expires = 0 } = link;
    const [wideKey, wideURL] = [isWide(key), isWide(url)];
    const keyLength = wideKey ? 2 * key.length : key.length;
    const urlLength = wideURL ? 2 * url.length : url.length;
    const long = keyLength > MAX_SHORT_KEY || urlLength > MAX_SHORT_URL;
    const head = long ? LONG_HEAD : HEAD;
    if (wideKey || wideURL) this.wide++;
    const names = namesOf(link);
    const tail = names === "" ? 0 : 1 + Buffer.byteLength(names);
    const size = head + keyLength + urlLength + (expires > 0 ? EXPIRES : 0) + tail;
    const ref = this.#allocate(size, this.most - 1, created);
    const bytes = this.segments[ref >>> this.shift]!;
    const at = (ref << 3) & this.mask;
    if (long) {
      bytes.writeUInt32LE(keyLength, at + HEAD);
      bytes.writeUInt32LE(urlLength, at + HEAD + 4);
    } else {
      bytes.writeUInt16LE(urlLength, at + URL_LENGTH);
      bytes[at + KEY_LENGTH] = keyLength;
    }
    bytes[at + FLAGS] = (long ? LONG : 0) | (wideKey ? WIDE_KEY : 0) |
      (wideURL ? WIDE_URL : 0) | (expires > 0 ? ENDS : 0) | (tail > 0 ? NAMED : 0);
    if (created > 0) bytes.writeUInt32LE(created, at + CREATED);
    write(bytes, at + head, key, wideKey);
    const end = at + head + keyLength + urlLength;
    write(bytes, end - urlLength, url, wideURL);
    if (expires > 0) bytes.writeUInt32LE(expires, end);
    if (tail > 0) {
      const start = at + size - tail;
      bytes[start] = tail - 1;
      bytes.write(names, start + 1);
    }
    return ref;
  }

  /**
   * Writes entries that were written elsewhere, of links created between `oldest` and `newest`, and gives the
   * reference to the first.
   *
   * @throws {RangeError} as {@linkcode add}
   */
  addBlock(block: Uint8Array, oldest: number, newest: number): number {
    const ref = this.#allocate(block.length, this.most - 1, oldest, newest);
    this.segments[ref >>> this.shift]!.set(block, (ref << 3) & this.mask);
    return ref;
  }

  /**
   * Writes an entry once more: for that there is room, where there is none for new ones.
   *
   * @throws {RangeError} as {@linkcode add}
   */
  copy(ref: number): number {
    const { bytes, at, till } = this.parts(ref);
    const copy = this.#allocate(till - at, this.most, this.createdOf(ref));
    this.segments[copy >>> this.shift]!.set(bytes.subarray(at, till), (copy << 3) & this.mask);
    return copy;
  }

  /** Gives a link a counter. All four bytes come at once: other threads may be reading them. */
  setCounter(ref: number, counter: number): void {
    const at = (ref << 3) & this.mask;
    Atomics.store(this.words[ref >>> this.shift]!, (at + COUNTER) >>> 2, counter);
  }

  /** Hides an entry from all but the owner, or shows it again. */
  hide(ref: number, hidden = true): void {
    const { bytes, at } = this.parts(ref);
    if (hidden) Atomics.or(bytes, at + FLAGS, HIDDEN);
    else Atomics.and(bytes, at + FLAGS, ~HIDDEN);
  }

  /** Nothing leads to an entry any more. */
  supersede(ref: number): void {
    const size = this.sizeOf(ref);
    this.superseded += size;
    this.#numbered[ref >>> this.shift]!.superseded += size;
  }

  /** Keeps the segment of an entry that nothing leads to yet, or, with -1, lets go of it. */
  hold(ref: number, count = 1): void {
    this.#numbered[ref >>> this.shift]!.held += count;
  }

  /** The number of a segment that is mostly superseded; nothing, if there is none. */
  findSparse(): number | undefined {
    return this.#opened.slice(0, -1).find(({ end, superseded, held, number }) =>
      held === 0 && superseded > MOSTLY * (end - startOf(number))
    )?.number;
  }

  /** Lets go of a segment, all of which is superseded. */
  free(number: number): void {
    const segment = this.#numbered[number]!;
    this.bytes -= segment.end - startOf(number);
    this.superseded -= segment.superseded;
    this.#opened.splice(this.#opened.indexOf(segment), 1);
    this.segments[number] = this.words[number] = this.#numbered[number] = undefined;
    this.blocks.drop(number);
    this.changes++;
  }

  /** The references to the entries of a segment, in the order in which they were written. */
  *of(number: number): Generator<number, void, void> {
    const segment = this.#numbered[number]!;
    let at = startOf(number);
    while (at < segment.end) {
      const ref = this.refTo(number, at);
      at += this.sizeOf(ref); // before whoever gets it may let go of the segment
      yield ref;
    }
  }

  /** The references to all entries, in the order in which they were written. */
  *all(): Generator<number, void, void> {
    for (const { number } of [...this.#opened]) {
      if (this.#numbered[number]) yield* this.of(number);
    }
  }

  /** Finds room in the last segment, or in a new one, of which there are `most`. */
  #allocate(size: number, most: number, oldest: number, newest = oldest): number {
    let segment = this.#opened.at(-1);
    if (segment === undefined || segment.end + size > segment.capacity) {
      segment = this.#open(size, most);
    }
    const at = segment.end;
    segment.end = align(at + size);
    this.bytes += segment.end - at;
    this.blocks.note(segment.number, at, segment.end, oldest, newest);
    return this.refTo(segment.number, at);
  }

  #open(size: number, most: number): Segment {
    const free = this.#numbered.indexOf(undefined);
    const number = free === -1 ? this.#numbered.length : free;
    const end = startOf(number);
    const largest = this.mask + 1;
    if (end + size > largest) throw new RangeError("The link is too large");
    if (this.#opened.length >= most) throw new RangeError("All memory for links is full");
    let capacity = Math.min(MIN_SEGMENT, largest);
    while (capacity < largest && capacity < Math.max(this.bytes, end + size)) capacity *= 2;
    const memory = shareMemory(capacity);
    this.segments[number] = Buffer.from(memory);
    this.words[number] = new Uint32Array(memory);
    const segment = { number, capacity, end, superseded: 0, held: 0 };
    this.#numbered[number] = segment;
    this.#opened.push(segment);
    this.changes++;
    return segment;
  }
}

/** No entry begins where the reference to it would be 0, which leads nowhere. */
function startOf(number: number): number {
  return number === 0 ? 8 : 0;
}

function isWide(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return true;
  return false;
}

function write(bytes: Buffer, at: number, text: string, wide: boolean): void {
  if (wide) return void bytes.write(text, at, "utf16le");
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}
