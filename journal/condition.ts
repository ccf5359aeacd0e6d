/**
 * Waiting until things change, where many do.
 *
 * @module
 */

// So few take less than a millisecond: a request takes several turns, and waits for so many in each.
const WOKEN_AT_ONCE = 8;

/**
 * A condition variable: some wait, for a time at most, until another says that things changed. They
 * are woken after whoever said so has gone on, and a few at a time, so that nobody pays for their number.
 *
 * @example
 * ```ts
 * const grown = new Condition();
 * setTimeout(() => grown.notifyAll(), 10);
 * await grown.wait(1000); // 10 ms
 * ```
 */
export class Condition {
  #waiting = new Set<() => void>();
  #due = new Set<() => void>(); // those who are to be woken
  #waking = false;

  /** Resolves after the next {@linkcode notifyAll}, or after `ms` milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        this.#due.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  notifyAll(): void {
    for (const wake of this.#waiting) this.#due.add(wake);
    this.#waiting.clear();
    if (!this.#waking && this.#due.size > 0) setImmediate(() => this.#wakeSome());
    this.#waking = this.#due.size > 0;
  }

  #wakeSome(): void {
    let left = WOKEN_AT_ONCE;
    for (const wake of this.#due) {
      if (left-- === 0) break;
      wake();
    }
    this.#waking = this.#due.size > 0;
    if (this.#waking) setImmediate(() => this.#wakeSome());
  }
}
