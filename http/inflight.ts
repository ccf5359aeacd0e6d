/**
 * Requests in flight.
 *
 * @module
 */

/** So many requests of those that came in one stretch of time are in flight. */
export interface Stretch {
  count: number;
}

/**
 * Counts requests in flight. (A map of them would keep the collector of garbage busy: a table that a map has
 * outgrown leads to the next one, and so on to all that came since.)
 *
 * @example
 * ```ts
 * const inFlight = new InFlight();
 * const stretch = inFlight.begin(false);
 * const answered = inFlight.answered();
 * inFlight.begin(false); // it came later
 * inFlight.end(stretch, false);
 * await answered;
 * ```
 */
export class InFlight {
  /** How many of them may still be coming in over HTTP/1.1. */
  incoming = 0;
  #now: Stretch = { count: 0 };
  #before: Stretch[] = []; // those of which some are still in flight
  #next?: PromiseWithResolvers<void>;

  get count(): number {
    return this.#before.reduce((sum, { count }) => sum + count, this.#now.count);
  }

  /** Counts a request, and gives what ends it. */
  begin(isIncoming: boolean): Stretch {
    if (isIncoming) this.incoming++;
    this.#now.count++;
    return this.#now;
  }

  /** Counts a request no more. */
  end(stretch: Stretch, isIncoming: boolean): void {
    if (isIncoming) this.incoming--;
    stretch.count--;
    if (this.#next === undefined) return;
    this.#next.resolve();
    this.#next = undefined;
  }

  /** Resolves once the next one is answered. */
  next(): Promise<void> {
    this.#next ??= Promise.withResolvers<void>();
    return this.#next.promise;
  }

  /** Resolves once all that came so far are answered. */
  async answered(): Promise<void> {
    const all = [...this.#before, this.#now].filter(({ count }) => count > 0);
    this.#before = all;
    this.#now = { count: 0 };
    while (all.some(({ count }) => count > 0)) await this.next();
  }
}
