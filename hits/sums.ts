/**
 * What was counted, added up.
 *
 * @module
 */
import { DAYS, type Traffic } from "./traffic.ts";

/** So many days of links are kept, all links together: about 60 MB. Where there are more, the oldest go. */
export const MAX_DAYS = 4 << 20;
const MIN_LENGTH = 1024;

// A row has 32 bytes, so that to add touches one place in memory: three numbers of 8 bytes,
const ROW = 4;
const PREVIEWS = 1;
const NOW = 2; // how often the link was followed on the last day
// and, seen as numbers of 4 bytes, two more.
const HALVES = 8;
const LAST = 6; // the last day
const EARLIER = 7; // where the days before begin, the latest first; 0 where there are none

/**
 * The sums of links, each of which has a row, from 1 on. A row takes 32 bytes, and 14 more for each day but the
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
  /** What was counted of all links. */
  hits = 0;
  previews = 0;
  /** The highest row that was given away. */
  rows = 0;
  #numbers = new Float64Array(ROW * MIN_LENGTH);
  #halves = new Uint32Array(this.#numbers.buffer);
  readonly #days: Days;
  #today = 0;
  #window = DAYS; // of so many days something is kept
  #unswept = 0; // rows that may have days which are too old

  /** @param limit see {@linkcode MAX_DAYS} */
  constructor(private readonly limit = MAX_DAYS) {
    this.#days = new Days();
  }

  /** How many bytes all that takes. */
  get bytes(): number {
    return this.#numbers.byteLength + this.#days.bytes;
  }

  /** A row for one more link. */
  newRow(): number {
    const row = ++this.rows;
    if (ROW * row === this.#numbers.length) {
      this.#numbers = longer(this.#numbers, new Float64Array(2 * ROW * row));
      this.#halves = new Uint32Array(this.#numbers.buffer);
    }
    return row;
  }

  /** Adds what was counted of a link on a day. */
  add(row: number, day: number, hits: number, previews = 0): void {
    const numbers = this.#numbers;
    const halves = this.#halves;
    const at = ROW * row;
    this.hits += hits;
    numbers[at] += hits;
    if (previews > 0) {
      this.previews += previews;
      numbers[at + PREVIEWS] += previews;
    }
    if (day > this.#today) this.#begin(day);
    if (this.#unswept > 0) this.#sweep();
    if (hits === 0) return;
    const last = halves[HALVES * row + LAST];
    if (day === last) {
      numbers[at + NOW] += hits;
    } else if (day > last) {
      if (last !== 0) this.#keep(row, last, numbers[at + NOW]);
      halves[HALVES * row + LAST] = day;
      numbers[at + NOW] = hits;
    } else {
      this.#keep(row, day, hits);
    }
  }

  /** What was counted of a link is no more. */
  reset(row: number): void {
    this.#cut(row, Infinity);
    const at = ROW * row;
    this.hits -= this.#numbers[at];
    this.previews -= this.#numbers[at + PREVIEWS];
    this.#numbers.fill(0, at, at + ROW);
  }

  hitsOf(row: number): number {
    return this.#numbers[ROW * row];
  }

  trafficOf(row: number): Traffic {
    const [hits, previews, now] = this.#numbers.subarray(ROW * row);
    const last = this.#halves[HALVES * row + LAST];
    const first = this.#today - DAYS + 1;
    const days = this.#days.from(this.#halves[HALVES * row + EARLIER], first);
    if (last >= first) days.push([last, now]);
    return { hits, previews, ...(last === 0 ? {} : { last }), days };
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
    const at = HALVES * row + EARLIER;
    if (this.#days.count < this.limit) {
      this.#halves[at] = this.#days.add(this.#halves[at], day, hits);
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
    const at = HALVES * row + EARLIER;
    this.#halves[at] = this.#days.cut(this.#halves[at], today - this.#window + 1);
  }
}

/** The days of all rows, in chains, the latest first. Places that are free are chained, too. */
class Days {
  /** How many there are. */
  count = 0;
  #day = new Uint16Array(MIN_LENGTH);
  #hits = new Float64Array(MIN_LENGTH);
  #next = new Uint32Array(MIN_LENGTH); // 0 at the end of a chain: the first place stays empty
  #used = 1;
  #free = 0;

  get bytes(): number {
    return this.#day.byteLength + this.#hits.byteLength + this.#next.byteLength;
  }

  /** Adds to a day of the chain that begins at `first`, and gives where it begins then. */
  add(first: number, day: number, hits: number): number {
    let before = 0;
    let at = first;
    while (at !== 0 && this.#day[at] > day) [before, at] = [at, this.#next[at]];
    if (at !== 0 && this.#day[at] === day) {
      this.#hits[at] += hits;
      return first;
    }
    const place = this.#take();
    this.#day[place] = day;
    this.#hits[place] = hits;
    this.#next[place] = at;
    if (before === 0) return place;
    this.#next[before] = place;
    return first;
  }

  /** Frees the days of a chain that are before `day`, and gives where it begins then. */
  cut(first: number, day: number): number {
    let before = 0;
    let at = first;
    while (at !== 0 && this.#day[at] >= day) [before, at] = [at, this.#next[at]];
    if (at === 0) return first;
    if (before !== 0) this.#next[before] = 0;
    while (at !== 0) {
      const next = this.#next[at];
      this.#next[at] = this.#free;
      this.#free = at;
      this.count--;
      at = next;
    }
    return before === 0 ? 0 : first;
  }

  /** The days of a chain from `day` on, the oldest first. */
  from(first: number, day: number): [day: number, hits: number][] {
    const days: [number, number][] = [];
    for (let at = first; at !== 0 && this.#day[at] >= day; at = this.#next[at]) {
      days.push([this.#day[at], this.#hits[at]]);
    }
    return days.reverse();
  }

  #take(): number {
    this.count++;
    if (this.#free !== 0) {
      const place = this.#free;
      this.#free = this.#next[place];
      return place;
    }
    const place = this.#used++;
    if (place === this.#day.length) {
      this.#day = longer(this.#day, new Uint16Array(2 * place));
      this.#hits = longer(this.#hits, new Float64Array(2 * place));
      this.#next = longer(this.#next, new Uint32Array(2 * place));
    }
    return place;
  }
}

/** Moves a column to a longer one. */
function longer<Column extends Float64Array | Uint32Array | Uint16Array>(
  column: Column,
  to: Column,
): Column {
  to.set(column);
  return to;
}
