/**
 * Counts that are not yet in the log.
 *
 * @module
 */
import { longer } from "./days.ts";
import type { DayCounts } from "./lines.ts";

const MIN_LENGTH = 1024;
const MAX_DAYS = 7;

/**
 * Adds up what threads hand on, by the counters of links, until it is taken: 12 bytes for each link and day. Of
 * seven days at most, which is as long as a disk may refuse: then the counts of the oldest are those of the next.
 *
 * @example
 * ```ts
 * const gathered = new Gathered();
 * gathered.add(20782, 1, 3, 0);
 * gathered.take(); // { day: 20782, counts: Float64Array [1, 3, 0] }
 * ```
 */
export class Gathered {
  #days: GatheredDay[] = []; // the oldest first

  add(day: number, counter: number, hits: number, previews: number): void {
    if (hits + previews === 0) return;
    let counts = this.#days.at(-1);
    if (counts?.day !== day) counts = this.#of(day);
    counts.add(counter, hits, previews);
  }

  /** Of how many links there are counts, on all days. */
  get size(): number {
    return this.#days.reduce((sum, { size }) => sum + size, 0);
  }

  /** Gives the counts of a day, of which nothing is left then. */
  take(): DayCounts | undefined {
    const counts = this.#days.find(({ size }) => size > 0);
    if (counts !== undefined) return { day: counts.day, counts: counts.take() };
  }

  #of(day: number): GatheredDay {
    const known = this.#days.find((counts) => counts.day === day);
    if (known !== undefined) return known;
    this.#days = this.#days.filter(({ size }) => size > 0);
    this.#days.push(new GatheredDay(day));
    this.#days.sort((a, b) => a.day - b.day);
    while (this.#days.length > MAX_DAYS) {
      const oldest = this.#days.shift()!.take();
      for (let i = 0; i < oldest.length; i += 3) {
        this.#days[0].add(oldest[i], oldest[i + 1], oldest[i + 2]);
      }
    }
    return this.#days.find((counts) => counts.day === day) ?? this.#days[0];
  }
}

class GatheredDay {
  /** Of how many links there are counts. */
  size = 0;
  #counters = new Uint32Array(MIN_LENGTH); // of these
  #hits = new Float64Array(MIN_LENGTH); // by counter
  readonly #previews = new Map<number, number>();

  constructor(readonly day: number) {}

  add(counter: number, hits: number, previews: number): void {
    if (counter >= this.#hits.length) {
      const length = Math.max(2 * this.#hits.length, counter + 1);
      this.#hits = longer(this.#hits, new Float64Array(length));
    }
    const isNew = this.#hits[counter] === 0 &&
      (this.#previews.size === 0 || !this.#previews.has(counter));
    if (isNew) this.#note(counter);
    this.#hits[counter] += hits;
    if (previews > 0) this.#previews.set(counter, (this.#previews.get(counter) ?? 0) + previews);
  }

  /** Counter, hits and previews, in turn. */
  take(): Float64Array {
    const counts = new Float64Array(3 * this.size);
    for (let i = 0; i < this.size; i++) {
      const counter = this.#counters[i];
      counts[3 * i] = counter;
      counts[3 * i + 1] = this.#hits[counter];
      counts[3 * i + 2] = this.#previews.size === 0 ? 0 : this.#previews.get(counter) ?? 0;
      this.#hits[counter] = 0;
    }
    this.size = 0;
    this.#previews.clear();
    return counts;
  }

  #note(counter: number): void {
    if (this.size === this.#counters.length) {
      this.#counters = longer(this.#counters, new Uint32Array(2 * this.size));
    }
    this.#counters[this.size++] = counter;
  }
}
