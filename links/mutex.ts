/**
 * One at a time.
 *
 * @module
 */

/**
 * A lock that is given to those who ask in their order.
 *
 * @example
 * ```ts
 * const mutex = new Mutex();
 * const unlock = await mutex.lock();
 * unlock();
 * ```
 */
export class Mutex {
  #last: Promise<void> = Promise.resolve();

  /** Waits until nobody has the lock; what it gives unlocks it, and may be called again. */
  async lock(): Promise<() => void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return resolve;
  }

  /** Runs what must not be done twice at once. */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const unlock = await this.lock();
    try {
      return await work();
    } finally {
      unlock();
    }
  }
}
