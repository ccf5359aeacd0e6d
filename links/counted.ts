/**
 * The entries of the links that are counted.
 *
 * @module
 */

const MIN_LENGTH = 1024;

/**
 * Leads from a counter to the entry of its link: four bytes each.
 *
 * @example
 * ```ts
 * const counted = new CountedEntries();
 * counted.set(1, 40);
 * counted.of(1); // 40
 * ```
 */
export class CountedEntries {
  #refs = new Uint32Array(MIN_LENGTH);

  /** The entry of the link with that counter; 0 where there is none, or the link has ended. */
  of(counter: number): number {
    return counter < this.#refs.length ? this.#refs[counter] : 0;
  }

  set(counter: number, ref: number): void {
    if (counter >= this.#refs.length) {
      const longer = new Uint32Array(Math.max(2 * this.#refs.length, counter + 1));
      longer.set(this.#refs);
      this.#refs = longer;
    }
    this.#refs[counter] = ref;
  }
}
