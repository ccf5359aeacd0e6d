/**
 * The slots of a table, and how they become more.
 *
 * @module
 */
import type { EntryReader } from "./entries.ts";
import { find, findSame, leadsTo, moveTo, newPart, type Part, replace } from "./part.ts";

const FIRST_SLOTS = 1024;
/**
 * A part has 2 to this many slots at most, of 8 bytes each: 32 MiB. While the system takes back a piece of
 * memory, whoever asks it for another may have to wait, so pieces are small.
 */
export const PART_BITS = 22;
const STEP = 64; // slots that each new entry moves while the table grows

/**
 * Slots as any thread can read them: one part, or several of the same size. The part is chosen by further
 * bits of the hash, of which those parts that have been split take one more: linear hashing.
 */
export interface SlotTable {
  parts: Part[];
  /** Of the bits that choose the part. */
  mask: number;
  /** Those of a slot's number in its part, where there are several. */
  bits: number;
}

/** The part in which a key with the hash `code` is found. */
export function partOf({ parts, mask, bits }: SlotTable, code: number): Part {
  const number = (code >>> bits) & mask;
  return parts[number < parts.length ? number : number & (mask >>> 1)];
}

/** Slots as their owner has them: parts are split one after the other, a few slots with each new entry. */
export class Slots {
  #now: SlotTable;
  #room = 3 / 4 * FIRST_SLOTS; // for so many keys there are slots enough
  #move?: Move;
  #isShared = false; // whether other threads may read

  /**
   * @param most so many there are at most, a power of 2
   * @param bits those of a slot's number in its part, 10 at least
   */
  constructor(
    private readonly entries: EntryReader,
    private readonly most: number,
    private readonly bits = PART_BITS,
  ) {
    this.#now = tableOf([newPart(FIRST_SLOTS)], bits);
  }

  /** Those that other threads read: all entries are there, but for new ones of a part that moves. */
  get shared(): SlotTable {
    this.#isShared = true;
    return this.#now;
  }

  /** The entry of `key`, whose hash is `code`, or 0. */
  find(key: string, code: number): number {
    const part = partOf(this.#now, code);
    const next = this.#move?.next(part, code);
    const ref = next === undefined ? 0 : find(next, this.entries, key, code);
    return ref !== 0 ? ref : find(part, this.entries, key, code);
  }

  /** Whether a slot leads to the entry at `ref`, the hash of whose key is `code`. */
  has(code: number, ref: number): boolean {
    const part = partOf(this.#now, code);
    const next = this.#move?.next(part, code);
    return leadsTo(part, code, ref) || next !== undefined && leadsTo(next, code, ref);
  }

  /**
   * Lets the slot of a key, whose hash is `code`, lead to its entry at `ref`.
   *
   * @returns the entry that it led to before, or 0 if the key is new
   */
  put(code: number, ref: number): number {
    const part = partOf(this.#now, code);
    const next = this.#move?.next(part, code);
    const slots = next ?? part;
    const mask = slots.length / 2 - 1;
    let i = code & mask;
    for (let other; (other = slots[2 * i + 1]) !== 0; i = (i + 1) & mask) {
      if (slots[2 * i] !== code || !this.entries.haveSameKey(other, ref)) continue;
      this.replace(code, other, ref);
      return other;
    }
    if (next !== undefined) {
      const other = findSame(part, this.entries, code, ref);
      if (other !== 0) {
        replace(part, code, other, ref);
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
    const part = partOf(this.#now, code);
    const next = this.#move?.next(part, code);
    // Other threads may still read the part that moves.
    replace(part, code, before, ref);
    if (next !== undefined) replace(next, code, before, ref);
  }

  /**
   * Whether there is no room for `used` keys: at last an eighth of the slots stays free. (Where there are
   * several parts, so it is in each of them, give or take a few thousand of its four million.)
   */
  isFull(used: number): boolean {
    return 8 * used > 7 * this.most;
  }

  /**
   * Keeps nearly a quarter of the slots free for `used` keys, as long as there can be more. Gives whether
   * those that other threads read are others now.
   *
   * @throws {RangeError} there is no memory for them
   */
  grow(used: number): boolean {
    const move = this.#move;
    if (move === undefined) {
      if (used > this.#room) this.#move = this.#begin();
      return false;
    }
    if (!move.step(STEP)) return false;
    this.#end(move); // others must hear of that, whether or not there is memory for the next one
    return true;
  }

  /** Makes room for `used` keys at once, while nobody waits. Gives what `grow` gives. */
  reserve(used: number): boolean {
    let count = this.#base;
    while (4 * used > 3 * count && count < this.most) count *= 2;
    if (count === this.#base) return false;
    if (this.#move?.step(Infinity)) this.#end(this.#move);
    if (count === this.#base) return true;
    const before = this.#now.parts;
    const size = Math.min(count, 2 ** this.bits);
    this.#set(Array.from({ length: count / size }, () => newPart(size)));
    for (const part of before) moveTo(part, (code) => partOf(this.#now, code));
    return true;
  }

  /** How many slots there were when the number of parts was last a power of 2. */
  get #base(): number {
    const { parts } = this.#now;
    return parts[0].length / 2 * powerIn(parts.length);
  }

  #set(parts: Part[]): void {
    this.#now = tableOf(parts, this.bits);
    this.#room = this.#base < this.most ? 3 / 4 * this.#base : Infinity;
    this.#move = undefined;
  }

  /** Doubles the only part, as long as it is small; else splits the next one. */
  #begin(): Move {
    const { parts } = this.#now;
    const size = parts[0].length / 2;
    if (size < 2 ** this.bits) return new Move(parts[0], [newPart(2 * size)], 0);
    const power = powerIn(parts.length);
    const halves = [newPart(size), newPart(size)];
    return new Move(parts[parts.length - power], halves, power << this.bits);
  }

  #end({ from, to }: Move): void {
    const [first, ...more] = to;
    const parts = this.#now.parts.map((part) => part === from ? first : part);
    this.#set([...parts, ...more]);
  }
}

/** The slots of a part on their way to the parts that take its place. */
class Move {
  #done = 0; // how many of them

  /** @param bit that of the hash which tells one of two parts from the other, or 0 */
  constructor(readonly from: Part, readonly to: Part[], private readonly bit: number) {}

  /** Where a key with the hash `code` goes, if it is in the part that moves. */
  next(part: Part, code: number): Part | undefined {
    return part === this.from ? this.#target(code) : undefined;
  }

  /** Moves so many more, and gives whether all are done. */
  step(count: number): boolean {
    const start = this.#done;
    this.#done = Math.min(start + count, this.from.length / 2);
    moveTo(this.from, (code) => this.#target(code), start, this.#done);
    return this.#done === this.from.length / 2;
  }

  #target(code: number): Part {
    return this.to[(code & this.bit) === 0 ? 0 : 1];
  }
}

function tableOf(parts: Part[], bits: number): SlotTable {
  return { parts, mask: 2 ** Math.ceil(Math.log2(parts.length)) - 1, bits };
}

/** The greatest power of 2 in a number. */
function powerIn(count: number): number {
  return 1 << (31 - Math.clz32(count));
}
