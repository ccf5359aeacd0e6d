/**
 * How many changes of links one client may make.
 *
 * @module
 */

const MINUTE_MS = 60_000;
const MAX_CLIENTS = 65_536; // about 10 MB

/** What limits clients; it may be in another thread. */
export interface Limit {
  /** Takes one for `client`: 0, or in how many seconds there is one again. */
  take(client: string): number | Promise<number>;
  /** Gives one back that was not used. */
  giveBack(client: string): void | Promise<void>;
}

/**
 * A number a minute for each client: all at once, if nothing was taken for a minute, then one after the
 * other. So many clients are remembered; of more, the one that has taken nothing for longest is
 * forgotten.
 *
 * @example
 * ```ts
 * const rate = new Rate(2);
 * rate.take("192.0.2.7"); // 0
 * rate.take("192.0.2.7"); // 0
 * rate.take("192.0.2.7"); // 30: in so many seconds
 * ```
 */
export class Rate implements Limit {
  /** By client: the time by which all that was taken is made up for. Who took last stands last. */
  readonly #until = new Map<string, number>();
  readonly #each: number;

  /** @param now the time in milliseconds */
  constructor(perMinute: number, private readonly now = () => performance.now()) {
    this.#each = MINUTE_MS / perMinute;
  }

  /** How many clients are remembered. */
  get size(): number {
    return this.#until.size;
  }

  take(client: string): number {
    const now = this.now();
    const until = Math.max(this.#until.get(client) ?? now, now) + this.#each;
    const early = until - now - MINUTE_MS;
    // What was given is not exact to the last bit.
    if (early > 1e-6) return Math.ceil(early / 1000);
    this.#until.delete(client);
    this.#until.set(client, until);
    this.#forget(now);
    return 0;
  }

  giveBack(client: string): void {
    const until = this.#until.get(client);
    if (until !== undefined) this.#until.set(client, until - this.#each);
  }

  /** Forgets some of those who have everything again, and whoever there is no room for. */
  #forget(now: number): void {
    let looked = 0;
    for (const [client, until] of this.#until) {
      if (until > now && this.#until.size <= MAX_CLIENTS || looked++ === 2) return;
      this.#until.delete(client);
    }
  }
}
