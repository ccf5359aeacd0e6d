/**
 * The links, in memory that all threads share: a table of slots that lead to entries.
 *
 * One thread writes; every thread reads, without locks and without messages, because nothing that is
 * shown changes its place: an entry is written whole before a slot leads to it, and a changed link is
 * a new entry, to which the slot leads from then on.
 *
 * @module
 */
import { CountedEntries } from "./counted.ts";
import { hash, type HashConstants, RANDOM_HASH } from "./hash.ts";
import type { Link } from "./link.ts";
import { Lister } from "./list.ts";
import type { Listing, Query } from "./query.ts";
import { Rewriter } from "./rewriter.ts";
import type { CountedHits } from "./search.ts";
import { Sharing, type TableMemory } from "./sharing.ts";
import { Slots } from "./slots.ts";
import { writeNumber } from "./digits.ts";
import { EntryWriter } from "./writer.ts";

export { type TableMemory, TableReader } from "./sharing.ts";

/** There are at most 2 to this many slots: 4 GiB, for 469,762,048 keys, as an eighth stays free. */
export const SLOT_BITS = 29;

const MAX_DIGITS = 17; // of a number, and a comma
const COMMA = 0x2c;

/** How a {@linkcode Table} is made. */
export interface TableOptions {
  /** See {@linkcode EntryWriter}. */
  segmentBits?: number;
  /** The most segments. */
  segments?: number;
  /** See {@linkcode SLOT_BITS}. */
  slotBits?: number;
  /** See {@linkcode Slots}. */
  partBits?: number;
  /** Those of the hash; by default, random ones of this process. */
  constants?: HashConstants;
}

/** Entries that were written elsewhere. */
export interface Block {
  bytes: Uint8Array;
  /** How many there are. */
  count: number;
  /** Where each begins, a multiple of 8. */
  starts: Uint32Array;
  /** The hash of each one's key. */
  codes: Uint32Array;
  /** When the first and the last of the links were created. */
  oldest: number;
  newest: number;
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
  /** Those of its hash. */
  readonly constants: HashConstants;
  readonly #entries: EntryWriter;
  readonly #slots: Slots;
  readonly #rewriter: Rewriter;
  readonly #sharing: Sharing;
  readonly #lister: Lister;
  readonly #counted = new CountedEntries();
  #hits?: CountedHits;
  #found = 0;
  #told = 0; // how often segments had come or gone when other threads were told
  #added = 0; // entries that are not shown yet

  constructor(options: TableOptions = {}) {
    const { segmentBits, segments, slotBits = SLOT_BITS, partBits } = options;
    const { constants = RANDOM_HASH } = options;
    this.constants = constants;
    this.#entries = new EntryWriter(segmentBits, segments);
    this.#slots = new Slots(this.#entries, 2 ** slotBits, partBits);
    this.#rewriter = new Rewriter(this.#entries, this.#slots, constants, (ref) => this.#moved(ref));
    this.#sharing = new Sharing(() => ({
      slots: this.#slots.shared,
      segments: this.#entries.memory,
      segmentBits: this.#entries.bits,
      constants,
    }));
    this.#lister = new Lister({
      entries: this.#entries,
      count: () => this.count,
      find: (key) => this.#find(key),
    });
  }

  /** Gives a page of links, as {@linkcode Lister.list} does. */
  list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    return this.#lister.list(query, signal);
  }

  /** What knows how often links are followed, by their counters: lists tell of it. */
  set hits(hits: CountedHits) {
    this.#hits = this.#lister.hits = hits;
  }

  /** How many bytes the entries take. */
  get bytes(): number {
    return this.#entries.bytes;
  }

  /** How many of them are those of entries that others have replaced. */
  get superseded(): number {
    return this.#entries.superseded;
  }

  /**
   * The URL of `key`: "" if it was deleted, or its time is over; nothing if there is none, or if it is
   * hidden.
   */
  get(key: string): string | undefined {
    const ref = this.#found = this.#find(key);
    return ref === 0 ? undefined : this.#entries.shownURL(ref);
  }

  /** All of the link of `key`, also where it is deleted, hidden, or over. */
  peek(key: string): Link | undefined {
    const ref = this.#find(key);
    return ref === 0 ? undefined : this.#entries.linkOf(ref);
  }

  /** Whether the time of the link of `key` is over. */
  isExpired(key: string): boolean {
    const ref = this.#find(key);
    return ref !== 0 && this.#entries.isExpired(ref);
  }

  /** That of the key that {@linkcode get} found last. */
  get counter(): number {
    return this.#found === 0 ? 0 : this.#entries.counterOf(this.#found);
  }

  /** When the link was created that {@linkcode get} found last, or 0 where that isn't known. */
  get created(): number {
    return this.#found === 0 ? 0 : this.#entries.createdOf(this.#found);
  }

  /** The number of the counter of the link of `key`, or 0 where it has none. */
  counterOf(key: string): number {
    const ref = this.#find(key);
    return ref === 0 ? 0 : this.#entries.counterOf(ref);
  }

  /**
   * The number of the counter of the link of `key`, which keeps it until it is deleted, or its key is taken
   * again.
   *
   * @param created when the link was created that is meant; none for the one that is there
   * @param next gives the number of one for a link that has none yet
   * @returns 0 where there is no such link
   */
  counterFor(key: string, created: number | undefined, next: () => number): number {
    const ref = this.#find(key);
    if (ref === 0 || this.#entries.isDeleted(ref)) return 0;
    if (created !== undefined && this.#entries.createdOf(ref) !== created) return 0;
    let counter = this.#entries.counterOf(ref);
    if (counter === 0) {
      counter = next();
      this.#entries.setCounter(ref, counter);
      this.#counted.set(counter, ref);
    }
    return counter;
  }

  /** The link with that counter; nothing where it has ended. */
  counted(counter: number): { key: string; created: number } | undefined {
    const ref = this.#counted.of(counter);
    if (ref === 0) return;
    return { key: this.#entries.keyOf(ref), created: this.#entries.createdOf(ref) };
  }

  /** Whether there is a link with that counter. */
  isCounted(counter: number): boolean {
    return this.#counted.of(counter) !== 0;
  }

  /** How many bytes {@linkcode writeCounted} takes at most; 0 where the link has ended. */
  roomFor(counter: number): number {
    const ref = this.#counted.of(counter);
    return ref === 0 ? 0 : this.#entries.keyRoom(ref) + MAX_DIGITS;
  }

  /**
   * Writes the key of the link with that counter, in JSON, a comma, and when it was created, to `to`, from `at` on.
   *
   * @returns where it ends
   */
  writeCounted(counter: number, to: Uint8Array, at: number): number {
    const ref = this.#counted.of(counter);
    at = this.#entries.writeKey(ref, to, at);
    to[at++] = COMMA;
    return writeNumber(this.#entries.createdOf(ref), to, at);
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
    this.#check(link.key);
    this.#grow();
    if (this.#rewriter.step()) this.#replace();
    const ref = this.#entries.add(link);
    this.#entries.hold(ref);
    this.#added++;
    this.#tell();
    return ref;
  }

  /** Shows what was added, in place of what its key led to, or, if `hidden`, hides that key. */
  show(ref: number, hidden = false): void {
    this.#release(ref);
    if (hidden) this.#entries.hide(ref);
    this.#place(ref, this.#entries.codeOf(ref, this.constants));
  }

  /** Takes back what was added. */
  drop(ref: number): void {
    this.#release(ref);
    this.#entries.supersede(ref);
  }

  /**
   * Sets many links at once.
   *
   * @throws {RangeError} there is no room for them
   */
  setBlock({ bytes, count, starts, codes, oldest, newest }: Block): void {
    const first = this.#entries.addBlock(bytes, oldest, newest);
    for (let i = 0; i < count; i++) {
      const ref = first + (starts[i] >>> 3);
      if (this.#isFull) this.#check(this.#entries.keyOf(ref));
      this.#grow();
      this.#place(ref, codes[i]);
    }
    if (this.#rewriter.step(count)) this.#replace();
    this.#tell();
  }

  /** Makes room for so many keys, at once. */
  reserve(keys: number): void {
    if (this.#slots.reserve(keys)) this.#replace();
  }

  /** Hides a key until it is set again, or `hidden` is false. */
  hide(key: string, hidden = true): void {
    const ref = this.#find(key);
    if (ref === 0 || this.#entries.isHidden(ref) === hidden) return;
    if (hidden && this.#entries.leads(ref)) this.count--;
    this.#entries.hide(ref, hidden);
    if (!hidden) this.#lister.forget();
    if (!hidden && this.#entries.leads(ref)) this.count++;
  }

  /** Whether other threads may read what is not hidden; if not, they must ask. */
  set readable(readable: boolean) {
    this.#sharing.readable = readable;
  }

  /** What another thread can read it by, as long as the table keeps its place. */
  get memory(): TableMemory {
    return this.#sharing.memory;
  }

  /** Gives {@linkcode memory} to `take`, now and whenever it has become another. */
  share(take: (memory: TableMemory) => void): void {
    this.#sharing.share(take);
  }

  /**
   * All links that are not deleted, those first that were set first, except where memory was made
   * free. The table must not be changed meanwhile.
   */
  *[Symbol.iterator](): Generator<[key: string, url: string], void, void> {
    for (const ref of this.#entries.all()) {
      const key = this.#entries.keyOf(ref);
      if (this.#find(key) === ref) yield [key, this.#entries.urlOf(ref)];
    }
  }

  #find(key: string): number {
    return this.#slots.find(key, hash(key, this.constants));
  }

  get #isFull(): boolean {
    return this.#slots.isFull(this.size + this.#added + 1);
  }

  /** Refuses a new key that there is no room for. */
  #check(key: string): void {
    if (!this.#isFull || this.has(key)) return;
    throw new RangeError(`${this.size} links are as many as there can be`);
  }

  #release(ref: number): void {
    this.#entries.hold(ref, -1);
    this.#added--;
  }

  /** Lets a key, whose hash is `code`, lead to its new entry. */
  #place(ref: number, code: number): void {
    const before = this.#slots.put(code, ref);
    if (before === 0) {
      this.size++;
    } else {
      const counter = this.#entries.counterOf(before);
      if (counter !== 0) this.#count(ref, before, counter);
      this.#entries.supersede(before);
      if (this.#entries.leads(before)) this.count--;
    }
    if (this.#entries.leads(ref)) this.count++;
  }

  /** Lets the counter of an entry be that of the one in its place, if it is the same link. */
  #count(ref: number, before: number, counter: number): void {
    const entries = this.#entries;
    if (!entries.isDeleted(ref) && entries.createdOf(ref) === entries.createdOf(before)) {
      entries.setCounter(ref, counter);
      this.#counted.set(counter, ref);
    } else {
      this.#counted.set(counter, 0);
      this.#hits?.end(counter);
    }
  }

  /** An entry was copied to another place. */
  #moved(ref: number): void {
    const counter = this.#entries.counterOf(ref);
    if (counter !== 0) this.#counted.set(counter, ref);
  }

  /** Has room for one more key. */
  #grow(): void {
    if (this.#slots.grow(this.size + this.#added + 1)) this.#replace();
  }

  #replace(): void {
    this.#told = this.#entries.changes;
    this.#sharing.replace();
  }

  /** Other threads are told where segments have come. */
  #tell(): void {
    if (this.#told === this.#entries.changes) return;
    this.#told = this.#entries.changes;
    this.#sharing.tell();
  }
}
