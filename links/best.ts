/**
 * The best of many.
 *
 * @module
 */

/**
 * Keeps the first `limit` of all items that it is offered in any order. It is a binary heap with the last of them
 * on top, so that an offer takes a time that grows with the logarithm of `limit`.
 *
 * @example
 * ```ts
 * const best = new Best<number>(2, (a, b) => a - b);
 * for (const n of [3, 1, 2]) best.offer(n);
 * best.last; // 2
 * best.removeLast(); // 2
 * best.last; // 1
 * ```
 */
export class Best<T> {
  readonly #heap: T[] = [];

  /** @param compare below 0 where the first comes before the second */
  constructor(readonly limit: number, private readonly compare: (a: T, b: T) => number) {}

  get size(): number {
    return this.#heap.length;
  }

  get isFull(): boolean {
    return this.#heap.length >= this.limit;
  }

  /** The last one of those that are kept. */
  get last(): T | undefined {
    return this.#heap[0];
  }

  /** Offers an item. Returns the one that is not kept any more: an earlier one, or this one, if there is one. */
  offer(item: T): T | undefined {
    const heap = this.#heap;
    if (!this.isFull) {
      heap.push(item);
      this.#rise(heap.length - 1, item);
      return;
    }
    const out = heap[0];
    if (this.limit === 0 || this.compare(item, out) >= 0) return item;
    this.#sink(item);
    return out;
  }

  /** Removes the last one, and returns it. */
  removeLast(): T | undefined {
    const out = this.#heap[0];
    const item = this.#heap.pop();
    if (item !== undefined && this.#heap.length > 0) this.#sink(item);
    return out;
  }

  #rise(at: number, item: T): void {
    const heap = this.#heap;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.compare(heap[parent], item) >= 0) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = item;
  }

  /** Puts one on top, and lets it sink below those that come later. */
  #sink(item: T): void {
    const heap = this.#heap;
    let at = 0;
    for (let child; (child = 2 * at + 1) < heap.length;) {
      if (child + 1 < heap.length && this.compare(heap[child + 1], heap[child]) > 0) child++;
      if (this.compare(heap[child], item) <= 0) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = item;
  }
}
