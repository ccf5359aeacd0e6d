/**
 * The slots of a table, by open addressing. A slot has 32 bits of hash and 32 bits of reference to an
 * entry.
 *
 * @module
 */
import type { EntryReader } from "./entries.ts";

const FIRST_SLOTS = 1024;
const STEP = 16; // slots that each new entry moves while the table grows

/** Slots as any thread can read them. */
export type SlotArray = Uint32Array<SharedArrayBuffer>;

/** The entry of `key`, whose hash is `code`, or 0. */
export function find(slots: SlotArray, entries: EntryReader, key: string, code: number): number {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask;; i = (i + 1) & mask) {
    const ref = slots[2 * i + 1];
    if (ref === 0 || (slots[2 * i] === code && entries.isOf(ref, key))) return ref;
  }
}

/** Slots as their owner has them: they move to twice as many, a few with each new entry. */
export class Slots {
  #now = newSlots(FIRST_SLOTS);
  #old?: SlotArray; // the slots before, from which those now are filled
  #moved = 0; // how many of them are done
  #isShared = false; // whether other threads may read

  /** @param most so many there are at most, a power of 2 */
  constructor(private readonly entries: EntryReader, private readonly most: number) {}

  /** Those that other threads read: all entries are there, but for new ones while they move. */
  get shared(): SlotArray {
    this.#isShared = true;
    return this.#old ?? this.#now;
  }

  /** The entry of `key`, whose hash is `code`, or 0. */
  find(key: string, code: number): number {
    const ref = find(this.#now, this.entries, key, code);
    return ref === 0 && this.#old ? find(this.#old, this.entries, key, code) : ref;
  }

  /** Whether a slot leads to the entry at `ref`, the hash of whose key is `code`. */
  has(code: number, ref: number): boolean {
    return leadsTo(this.#now, code, ref) ||
      this.#old !== undefined && leadsTo(this.#old, code, ref);
  }

  /**
   * Lets the slot of a key, whose hash is `code`, lead to its entry at `ref`.
   *
   * @returns the entry that it led to before, or 0 if the key is new
   */
  put(code: number, ref: number): number {
    const slots = this.#now;
    const mask = slots.length / 2 - 1;
    let i = code & mask;
    for (let other; (other = slots[2 * i + 1]) !== 0; i = (i + 1) & mask) {
      if (slots[2 * i] !== code || !this.entries.haveSameKey(other, ref)) continue;
      this.replace(code, other, ref);
      return other;
    }
    if (this.#old) {
      const other = findSame(this.#old, this.entries, code, ref);
      if (other !== 0) {
        replace(this.#old, code, other, ref);
        return other;
      }
    }
    slots[2 * i] = code;
    // No other thread sees it before all that it leads to.
    if (this.#isShared) Atomics.store(slots, 2 * i + 1, ref);
    else slots[2 * i + 1] = ref; // which takes a third of the time
    return 0;
  }

  /** Lets the slot that leads to one entry lead to another one. */
  replace(code: number, before: number, ref: number): void {
    // Other threads may still read the old slots.
    if (this.#old) replace(this.#old, code, before, ref);
    replace(this.#now, code, before, ref);
  }

  /** Whether there is no room for `used` keys: at last an eighth of the slots stays free. */
  isFull(used: number): boolean {
    return 8 * used > 7 * this.most;
  }

  /**
   * Keeps a quarter of the slots free for `used` keys, as long as there can be more. Gives whether
   * those that other threads read are others now.
   */
  grow(used: number): boolean {
    const moved = this.#old !== undefined && this.#move(STEP);
    const count = this.#now.length / 2;
    if (4 * used <= 3 * count || count >= this.most) return moved;
    return this.#begin(2 * count) || moved;
  }

  /** Makes room for `used` keys at once, while nobody waits. Gives what `grow` gives. */
  reserve(used: number): boolean {
    let count = this.#now.length / 2;
    while (4 * used > 3 * count && count < this.most) count *= 2;
    if (2 * count === this.#now.length) return false;
    this.#begin(count);
    return this.#move(Infinity);
  }

  /** Gives whether slots before had to be finished. */
  #begin(count: number): boolean {
    const moved = this.#old !== undefined && this.#move(Infinity);
    const larger = newSlots(count);
    this.#old = this.#now;
    this.#now = larger;
    this.#moved = 0;
    return moved;
  }

  /** Gives whether all are done. */
  #move(count: number): boolean {
    const old = this.#old!;
    const end = Math.min(this.#moved + count, old.length / 2);
    for (; this.#moved < end; this.#moved++) {
      const ref = old[2 * this.#moved + 1];
      if (ref !== 0) insert(this.#now, old[2 * this.#moved], ref);
    }
    if (end < old.length / 2) return false;
    this.#old = undefined;
    return true;
  }
}

function newSlots(count: number): SlotArray {
  return new Uint32Array(new SharedArrayBuffer(8 * count));
}

/** The entry with the key that the one at `ref` has, whose hash is `code`, or 0. */
function findSame(slots: SlotArray, entries: EntryReader, code: number, ref: number): number {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask;; i = (i + 1) & mask) {
    const other = slots[2 * i + 1];
    if (other === 0 || (slots[2 * i] === code && entries.haveSameKey(other, ref))) return other;
  }
}

function leadsTo(slots: SlotArray, code: number, ref: number): boolean {
  const mask = slots.length / 2 - 1;
  let i = code & mask;
  while (slots[2 * i + 1] !== 0 && slots[2 * i + 1] !== ref) i = (i + 1) & mask;
  return slots[2 * i + 1] === ref;
}

/** For slots that no other thread reads yet. */
function insert(slots: SlotArray, code: number, ref: number): void {
  const mask = slots.length / 2 - 1;
  let i = code & mask;
  while (slots[2 * i + 1] !== 0) i = (i + 1) & mask;
  slots[2 * i] = code;
  slots[2 * i + 1] = ref;
}

/** Nothing happens where no slot leads to `before`. */
function replace(slots: SlotArray, code: number, before: number, ref: number): void {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask; slots[2 * i + 1] !== 0; i = (i + 1) & mask) {
    if (slots[2 * i + 1] === before) return void Atomics.store(slots, 2 * i + 1, ref);
  }
}
