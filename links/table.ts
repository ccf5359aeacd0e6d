/**
 * The links, in memory that all threads share: an open-addressing table of slots that lead to
 * entries. A slot has 32 bits of hash and 32 bits of reference.
 *
 * One thread writes; every thread reads, without locks and without messages, because nothing that is
 * shown changes its place: an entry is written whole before a slot leads to it, and a changed link is
 * a new entry, to which the slot leads from then on.
 *
 * @module
 */
import { EntryReader, EntryWriter, type Segments } from "./entries.ts";
import type { Link } from "./link.ts";

const FIRST_SLOTS = 1024;
const MAX_SLOTS = 2 ** 29; // 4 GiB
const STEP = 16; // slots that each new entry moves while the table grows

// Nobody outside can tell which keys will collide.
const [SEED, FACTOR] = crypto.getRandomValues(new Uint32Array(2));

/** How a {@linkcode Table} is made. */
export interface TableOptions {
  /** See {@linkcode EntryWriter}. */
  segmentBits?: number;
  /** Constants of the hash; by default, random ones of this process. */
  seed?: number;
  factor?: number;
}

/** What another thread reads a table by. The memory itself is shared, not copied. */
export interface TableMemory {
  /** Holds `generation` as long as all this is right, and 0 while only the owner may read. */
  control: Int32Array<SharedArrayBuffer>;
  generation: number;
  slots: Uint32Array<SharedArrayBuffer>;
  segments: Segments;
  segmentBits: number;
  seed: number;
  factor: number;
}

/**
 * A table as other threads read it.
 *
 * @example
 * ```ts
 * const table = new Table();
 * table.set({ key: "docs", url: "https://example.com/" });
 * const reader = new TableReader(table.memory); // perhaps after a postMessage
 * reader.get("docs"); // "https://example.com/"
 * ```
 */
export class TableReader {
  readonly #entries: EntryReader;

  constructor(private readonly memory: TableMemory) {
    this.#entries = new EntryReader(memory.segments, memory.segmentBits);
  }

  /** The URL of `key`: "" if it was deleted, nothing where only the owner can tell. */
  get(key: string): string | undefined {
    const { control, generation, slots, seed, factor } = this.memory;
    // A table that has grown is not kept up to date where it was.
    if (Atomics.load(control, 0) !== generation) return;
    const ref = find(slots, this.#entries, key, hash(key, seed, factor));
    return ref === 0 || this.#entries.isHidden(ref) ? undefined : this.#entries.urlOf(ref);
  }
}

/**
 * A table, as the thread has it that owns the links. A key stays for good: that of a deleted link
 * leads to "".
 *
 * @example
 * ```ts
 * const table = new Table();
 * table.set({ key: "docs", url: "https://example.com/" });
 * table.get("docs"); // "https://example.com/"
 * ```
 */
export class Table {
  /** How many keys there are. */
  size = 0;
  /** How many of them lead somewhere, and are not hidden. */
  count = 0;
  /** How many bytes the entries take that others have replaced. */
  superseded = 0;
  readonly #entries: EntryWriter;
  readonly #seed: number;
  readonly #factor: number;
  readonly #control = new Int32Array(new SharedArrayBuffer(4));
  #generation = 1;
  #readable = true;
  #slots = newSlots(FIRST_SLOTS);
  #old?: Uint32Array<SharedArrayBuffer>; // the slots before, from which the table is moving
  #moved = 0; // how many of them are done
  #added = 0; // entries that are not shown yet
  #listeners: ((memory: TableMemory) => void)[] = [];

  constructor({ segmentBits, seed = SEED, factor = FACTOR }: TableOptions = {}) {
    this.#entries = new EntryWriter(segmentBits);
    this.#seed = seed;
    this.#factor = factor;
    this.#control[0] = this.#generation;
  }

  /** The URL of `key`: "" if it was deleted, nothing if there is none, or if it is hidden. */
  get(key: string): string | undefined {
    const ref = this.#find(key);
    return ref === 0 || this.#entries.isHidden(ref) ? undefined : this.#entries.urlOf(ref);
  }

  /** As {@linkcode get}, but what is hidden counts, too. */
  peek(key: string): string | undefined {
    const ref = this.#find(key);
    return ref === 0 ? undefined : this.#entries.urlOf(ref);
  }

  /** Whether `key` was ever set. */
  has(key: string): boolean {
    return this.#find(key) !== 0;
  }

  /**
   * Lets a key lead to a URL.
   *
   * @throws {RangeError} there is no room for it
   */
  set(link: Link): void {
    this.show(this.add(link));
  }

  /**
   * Makes room for a link and writes it there, without showing it yet: what can't be held is
   * refused before anything depends on it. What it gives is for `show` or `drop`.
   *
   * @throws {RangeError} there is no room for it
   */
  add(link: Link): number {
    this.#grow();
    const { length } = this.#entries.memory;
    const ref = this.#entries.add(link);
    this.#added++;
    if (this.#entries.memory.length > length) this.#tell();
    return ref;
  }

  /** Shows what was added, in place of what its key led to, or, if `hidden`, hides that key. */
  show(ref: number, hidden = false): void {
    this.#added--;
    if (hidden) this.#entries.hide(ref);
    const key = this.#entries.keyOf(ref);
    const code = hash(key, this.#seed, this.#factor);
    const before = this.#find(key);
    if (before === 0) {
      insert(this.#slots, code, ref);
      this.size++;
    } else {
      // Other threads may still read the old slots.
      if (this.#old) replace(this.#old, code, before, ref);
      replace(this.#slots, code, before, ref);
      this.superseded += this.#entries.sizeOf(before);
      if (this.#counts(before)) this.count--;
    }
    if (this.#counts(ref)) this.count++;
  }

  /** Takes back what was added. */
  drop(ref: number): void {
    this.#added--;
    this.superseded += this.#entries.sizeOf(ref);
  }

  /** Hides a key until it is set again, or `hidden` is false. */
  hide(key: string, hidden = true): void {
    const ref = this.#find(key);
    if (ref === 0 || this.#entries.isHidden(ref) === hidden) return;
    if (hidden && this.#counts(ref)) this.count--;
    this.#entries.hide(ref, hidden);
    if (!hidden && this.#counts(ref)) this.count++;
  }

  /** Whether other threads may read what is not hidden; if not, they must ask. */
  set readable(readable: boolean) {
    this.#readable = readable;
    Atomics.store(this.#control, 0, readable ? this.#generation : 0);
  }

  /** What another thread can read it by, as long as the table keeps its place. */
  get memory(): TableMemory {
    return {
      control: this.#control,
      generation: this.#generation,
      slots: this.#old ?? this.#slots,
      segments: this.#entries.memory,
      segmentBits: this.#entries.bits,
      seed: this.#seed,
      factor: this.#factor,
    };
  }

  /** Gives {@linkcode memory} to `take`, now and whenever it has become another. */
  share(take: (memory: TableMemory) => void): void {
    this.#listeners.push(take);
    take(this.memory);
  }

  /** All links that are not deleted, those first that were set first. */
  *[Symbol.iterator](): Generator<[key: string, url: string], void, void> {
    for (const ref of this.#entries.all()) {
      const key = this.#entries.keyOf(ref);
      if (this.#find(key) === ref) yield [key, this.#entries.urlOf(ref)];
    }
  }

  #counts(ref: number): boolean {
    return !this.#entries.isHidden(ref) && this.#entries.leads(ref);
  }

  #find(key: string): number {
    const code = hash(key, this.#seed, this.#factor);
    const ref = find(this.#slots, this.#entries, key, code);
    return ref === 0 && this.#old ? find(this.#old, this.#entries, key, code) : ref;
  }

  /** Keeps a quarter of the slots free, by moving to twice as many, a few with each new entry. */
  #grow(): void {
    if (this.#old) this.#move(STEP);
    const used = this.size + this.#added + 1;
    const slots = this.#slots.length / 2;
    if (4 * used <= 3 * slots) return;
    if (this.#old) this.#move(Infinity);
    if (slots >= MAX_SLOTS) {
      if (8 * used <= 7 * slots) return;
      throw new RangeError(`${this.size} links are as many as there can be`);
    }
    const larger = newSlots(2 * slots);
    this.#old = this.#slots;
    this.#slots = larger;
    this.#moved = 0;
  }

  #move(count: number): void {
    const old = this.#old!;
    const end = Math.min(this.#moved + count, old.length / 2);
    for (; this.#moved < end; this.#moved++) {
      const ref = old[2 * this.#moved + 1];
      if (ref !== 0) insert(this.#slots, old[2 * this.#moved], ref);
    }
    if (end < old.length / 2) return;
    this.#old = undefined;
    this.#generation++;
    if (this.#readable) Atomics.store(this.#control, 0, this.#generation);
    this.#tell();
  }

  #tell(): void {
    for (const take of this.#listeners) take(this.memory);
  }
}

function newSlots(count: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(8 * count));
}

/** FNV-1a, with constants of this process, and a final mix, since low bits choose the slot. */
function hash(key: string, seed: number, factor: number): number {
  let code = seed;
  for (let i = 0; i < key.length; i++) code = Math.imul(code ^ key.charCodeAt(i), factor | 1);
  code = Math.imul(code ^ (code >>> 15), 0x2c1b3c6d);
  return (code ^ (code >>> 13)) >>> 0;
}

/** The entry of `key`, or 0. */
function find(slots: Uint32Array, entries: EntryReader, key: string, code: number): number {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask;; i = (i + 1) & mask) {
    const ref = slots[2 * i + 1];
    if (ref === 0 || (slots[2 * i] === code && entries.isOf(ref, key))) return ref;
  }
}

function insert(slots: Uint32Array, code: number, ref: number): void {
  const mask = slots.length / 2 - 1;
  let i = code & mask;
  while (slots[2 * i + 1] !== 0) i = (i + 1) & mask;
  slots[2 * i] = code;
  Atomics.store(slots, 2 * i + 1, ref); // no other thread sees it before all that it leads to
}

/** Lets the slot that leads to one entry lead to another; nothing happens where there is none. */
function replace(slots: Uint32Array, code: number, before: number, ref: number): void {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask; slots[2 * i + 1] !== 0; i = (i + 1) & mask) {
    if (slots[2 * i + 1] === before) return void Atomics.store(slots, 2 * i + 1, ref);
  }
}
