/**
 * What was counted, added up.
 *
 * @module
 */
import { Days } from "./days.ts";
import { DAYS, type Traffic } from "./traffic.ts";

/** So many days of links are kept, all links together: about 60 MB. Where there are more, the oldest go. */
export const MAX_DAYS = 4 << 20;

// A row has four numbers of 32 bits, so that to add touches one place in memory. What doesn't fit into them,
// which is seldom, is carried over to a map.
const ROW = 4;
const HITS = 0;
const NOW = 1; // how often the link was followed on the last day
const LAST = 2; // the last day, and, in the upper 16 bits, how often the link was previewed
const EARLIER = 3; // where the days before begin, the latest first; 0 where there are none
const PREVIEWS = 2;
const CARRIES = 3; // HITS, NOW, PREVIEWS
const WORD = 2 ** 32;
const CHUNK_BITS = 16; // rows of a chunk: it takes 1 MiB

/**
 * The sums of links, each of which has a row, from 1 on. A row takes 16 bytes, and 14 more for each day but the
 * last on which the link was followed; a link that nobody follows has no row.
 *
 * @example
 * ```ts
 * const sums = new Sums();
 * const row = sums.newRow();
 * sums.add(row, 20782, 3, 0);
 * sums.trafficOf(row); // { hits: 3, previews: 0, last: 20782, days: [[20782, 3]] }
 * ```
 */
export class Sums {
  /** The highest row that was given away. */
  rows = 0;
  #chunks: Uint32Array[] = [new Uint32Array(ROW << CHUNK_BITS)];
  #carried = new Map<number, number>(); // what is above the bits of a row's number
  #days = new Days();
  #today = 0;
  #window = DAYS; // of so many days something is kept
  #unswept = 0; // rows that may have days which are too old

  /** @param limit see {@linkcode MAX_DAYS} */
  constructor(private readonly limit = MAX_DAYS) {}

  /** How many days are kept, of all rows, beside the last day of each. */
  get days(): number {
    return this.#days.count;
  }

  /** How many bytes all that takes. */
  get bytes(): number {
    return this.#chunks.length * this.#chunks[0].byteLength + this.#days.bytes;
  }

  /** The same sums, which stay as they are. */
  copy(): Sums {
    const copy = new Sums(this.limit);
    copy.rows = this.rows;
    copy.#chunks = this.#chunks.map((chunk) => chunk.slice());
    copy.#carried = new Map(this.#carried);
    copy.#days = this.#days.copy();
    copy.#today = this.#today;
    return copy;
  }

  /** A row for one more link. */
  newRow(): number {
    if (this.#chunks.length << CHUNK_BITS <= ++this.rows) {
      this.#chunks.push(new Uint32Array(ROW << CHUNK_BITS));
    }
    return this.rows;
  }

  /** Adds what was counted of a link on a day. */
  add(row: number, day: number, hits: number, previews = 0): void {
    const chunk = this.#chunkOf(row);
    const at = placeOf(row);
    if (day > this.#today) this.#begin(day);
    if (this.#unswept > 0) this.#sweep();
    if (previews > 0) this.#preview(row, chunk, at, previews);
    if (hits === 0) return;
    this.#increase(row, HITS, chunk, at, hits);
    const last = chunk[at + LAST] & 0xffff;
    if (day === last) {
      this.#increase(row, NOW, chunk, at, hits);
    } else if (day > last) {
      if (last !== 0) this.#keep(row, last, this.#valueOf(row, NOW));
      chunk[at + LAST] = (chunk[at + LAST] & ~0xffff) | day;
      chunk[at + NOW] = 0;
      if (this.#carried.size > 0) this.#carried.delete(CARRIES * row + NOW);
      this.#increase(row, NOW, chunk, at, hits);
    } else {
      this.#keep(row, day, hits);
    }
  }

  /** What was counted of a link is no more. */
  reset(row: number): void {
    this.#cut(row, Infinity);
    const at = placeOf(row);
    this.#chunkOf(row).fill(0, at, at + ROW);
    for (let field = 0; field < CARRIES; field++) this.#carried.delete(CARRIES * row + field);
  }

  /** How often a link was followed; 0 for a row that was never given away. */
  hitsOf(row: number): number {
    return row > this.rows ? 0 : this.#valueOf(row, HITS);
  }

  trafficOf(row: number): Traffic {
    const [chunk, at] = [this.#chunkOf(row), placeOf(row)];
    const last = chunk[at + LAST] & 0xffff;
    const previews = (chunk[at + LAST] >>> 16) + 2 ** 16 * this.#carriedOf(row, PREVIEWS);
    const first = this.#today - DAYS + 1;
    const days = this.#days.from(chunk[at + EARLIER], first);
    if (last !== 0 && last >= first) days.push([last, this.#valueOf(row, NOW)]);
    return { hits: this.hitsOf(row), previews, ...(last === 0 ? {} : { last }), days };
  }

  #chunkOf(row: number): Uint32Array {
    return this.#chunks[row >>> CHUNK_BITS];
  }

  #valueOf(row: number, field: typeof HITS | typeof NOW): number {
    const value = this.#chunkOf(row)[placeOf(row) + field] + WORD * this.#carriedOf(row, field);
    return Math.min(value, Number.MAX_SAFE_INTEGER); // what is beyond can't be written, or read
  }

  #carriedOf(row: number, field: number): number {
    return this.#carried.size === 0 ? 0 : this.#carried.get(CARRIES * row + field) ?? 0;
  }

  #carry(row: number, field: number, count: number): void {
    this.#carried.set(CARRIES * row + field, this.#carriedOf(row, field) + count);
  }

  #increase(
    row: number,
    field: typeof HITS | typeof NOW,
    chunk: Uint32Array,
    at: number,
    by: number,
  ): void {
    const sum = chunk[at + field] + by;
    chunk[at + field] = sum; // of which the lower bits stay
    if (sum >= WORD) this.#carry(row, field, Math.floor(sum / WORD));
  }

  #preview(row: number, chunk: Uint32Array, at: number, by: number): void {
    const sum = (chunk[at + LAST] >>> 16) + by;
    chunk[at + LAST] = (chunk[at + LAST] & 0xffff) | (sum % 2 ** 16) << 16;
    if (sum >= 2 ** 16) this.#carry(row, PREVIEWS, Math.floor(sum / 2 ** 16));
  }

  /** Another day has come: what is too old then goes a little at a time. */
  #begin(day: number): void {
    this.#today = day;
    if (this.#unswept === 0) this.#unswept = this.rows;
    if (this.#days.count < this.limit / 2) this.#window = DAYS;
  }

  /** Keeps how often a link was followed on a day before its last one. */
  #keep(row: number, day: number, hits: number): void {
    this.#cut(row, this.#today);
    if (day <= this.#today - this.#window) return;
    const [chunk, at] = [this.#chunkOf(row), placeOf(row) + EARLIER];
    if (this.#days.count < this.limit) {
      chunk[at] = this.#days.add(chunk[at], day, hits);
    } else if (this.#unswept === 0 && this.#window > 1) {
      // Fewer days, from now on; until enough of them are gone, the sums alone are kept.
      this.#window--;
      this.#unswept = this.rows;
    }
  }

  #sweep(): void {
    for (let i = 0; i < 2 && this.#unswept > 0; i++) this.#cut(this.#unswept--, this.#today);
  }

  /** Lets go of those days of a row which are too old on `today`. */
  #cut(row: number, today: number): void {
    const [chunk, at] = [this.#chunkOf(row), placeOf(row) + EARLIER];
    chunk[at] = this.#days.cut(chunk[at], today - this.#window + 1);
  }
}

/** Where a row begins in its chunk. */
function placeOf(row: number): number {
  return ROW * (row & (2 ** CHUNK_BITS - 1));
}
