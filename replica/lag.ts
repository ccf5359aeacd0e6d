/**
 * How far a mirror is behind its master.
 *
 * @module
 */

const AIM_MS = 100;

/**
 * Tells of when a copy is. A copy that has come to where the master was at some time, is as of then.
 *
 * @example
 * ```ts
 * const lag = new Lag();
 * lag.aim(1000, performance.now()); // so far the master is just now
 * lag.reached(1000);
 * lag.seconds; // 0, and a little
 * ```
 */
export class Lag {
  #asOf = -Infinity; // of when the copy is
  #target = { position: Infinity, time: -Infinity }; // where the master was, and when that was

  /** The copy has everything that there was at `time`, which is in the past. */
  caughtUp(time = performance.now()): void {
    this.#asOf = Math.max(this.#asOf, Math.min(time, performance.now()));
  }

  /** The master was at `position` at `time`. */
  aim(position: number, time: number): void {
    this.#target = { position, time };
  }

  /** The copy has come to `position`; whether it is time to ask where the master is. */
  reached(position: number): boolean {
    if (position < this.#target.position) return false;
    this.caughtUp(this.#target.time);
    return performance.now() - this.#target.time > AIM_MS;
  }

  /** How old the copy is at most; nothing, if that is unknown. */
  get seconds(): number | undefined {
    if (this.#asOf === -Infinity) return undefined;
    return Math.round(performance.now() - this.#asOf) / 1000;
  }
}
