/**
 * On which days links were followed, and how often.
 *
 * @module
 */

const MIN_LENGTH = 1024;

/** The days of all rows, in chains, the latest first. Places that are free are chained, too. */
export class Days {
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

  /** The same days, to be read. */
  copy(): Days {
    const copy = new Days();
    copy.#day = this.#day.slice();
    copy.#hits = this.#hits.slice();
    copy.#next = this.#next.slice();
    return copy;
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
export function longer<Column extends Float64Array | Uint32Array | Uint16Array>(
  column: Column,
  to: Column,
): Column {
  to.set(column);
  return to;
}
