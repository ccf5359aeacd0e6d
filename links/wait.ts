/**
 * Waiting, for a time at most.
 *
 * @module
 */

/** Waits `ms` milliseconds, or until `signal`, if there is one, says otherwise. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}

/** Ever longer times between tries, each shorter by chance, so that those who lost something together don't come back so. */
export class Backoff {
  /**
   * @param least milliseconds, after which twice as many follow
   * @param most milliseconds at last
   * @param next milliseconds of the next time
   */
  constructor(
    private readonly least: number,
    private readonly most: number,
    private next: number = least,
  ) {}

  /** Waits; the next time it is twice as long. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = this.next;
    this.next = Math.min(Math.max(2 * ms, this.least), this.most);
    await pause(ms * (1 + Math.random()) / 2, signal);
  }

  /** The next time takes `ms` milliseconds at most. */
  ease(ms: number): void {
    this.next = Math.min(this.next, ms);
  }
}

/**
 * Runs what can be broken off, for `ms` milliseconds at most, and until `outer` says otherwise.
 *
 * @param error the reason of the signal after that time
 */
export async function limit<T>(
  ms: number,
  error: Error,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Not AbortSignal.any(), whose signal may go with the garbage while it is waited for.
  const controller = new AbortController();
  const abort = () => controller.abort(outer.reason);
  const timer = setTimeout(() => controller.abort(error), ms);
  outer.addEventListener("abort", abort);
  if (outer.aborted) abort();
  try {
    return await run(controller.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", abort);
  }
}

/**
 * Says when it is time again for what shall not be done often: at once, then after ever longer times,
 * and at once again where nothing was asked for twice the longest of them.
 *
 * @example
 * ```ts
 * const seldom = new Seldom(1000, 600_000);
 * seldom.due(0); // true
 * seldom.due(500); // false: a second must pass
 * seldom.due(1000); // true, and now it takes two
 * ```
 */
export class Seldom {
  #last = -Infinity;
  #wait = 0;

  /** @param least milliseconds from the first time to the second */
  constructor(private readonly least: number, private readonly most: number) {}

  /** Whether it is time; if so, it is taken for done. */
  due(now = performance.now()): boolean {
    const passed = now - this.#last;
    if (passed < this.#wait) return false;
    const quiet = passed > 2 * this.most;
    this.#wait = quiet ? this.least : Math.min(Math.max(2 * this.#wait, this.least), this.most);
    this.#last = now;
    return true;
  }
}
