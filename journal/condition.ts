/**
 * Waiting until things change, where many do.
 *
 * @module
 */
import { setImmediate } from "node:timers"; // not a global in every version of the platform

// So few take less than a millisecond: a request takes several turns, and waits for so many in each.
const WOKEN_AT_ONCE = 8;

interface Waiter {
  wake: () => void;
  timer: ReturnType<typeof setTimeout>;
}

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
  readonly #waiting = new Set<Waiter>();
  readonly #due: Waiter[] = []; // those who are to be woken

  /** Resolves after the next {@linkcode notifyAll}, or after `ms` milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const late = Math.max(0, ms); // of less the runtime would warn
      const waiter = { wake: resolve, timer: setTimeout(() => this.#wakeSoon(waiter), late) };
      this.#waiting.add(waiter);
    });
  }

  notifyAll(): void {
    for (const waiter of this.#waiting) this.#wakeSoon(waiter);
  }

  // Also when its time is over: those who were woken together wait until the same time again.
  #wakeSoon(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    this.#waiting.delete(waiter);
    this.#due.push(waiter);
    if (this.#due.length === 1) setImmediate(() => this.#wakeSome());
  }

  #wakeSome(): void {
    for (const { wake } of this.#due.splice(0, WOKEN_AT_ONCE)) wake();
    if (this.#due.length > 0) setImmediate(() => this.#wakeSome());
  }
}
