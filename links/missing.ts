/**
 * Keys of which it was said that they lead nowhere.
 *
 * @module
 */

const MISSING_MS = 1000;
const MAX_MISSING = 65_536;
const MAX_KEY = 64; // characters; longer ones would fill the memory

/**
 * Unknown keys, each for a second: who asks for one again and again need not bother the master.
 *
 * @example
 * ```ts
 * const missing = new Missing();
 * missing.add("nothing");
 * missing.has("nothing"); // true, for a second
 * ```
 */
export class Missing {
  readonly #until = new Map<string, number>();

  has(key: string): boolean {
    const until = this.#until.get(key);
    return until !== undefined && until > performance.now();
  }

  add(key: string): void {
    if (key.length > MAX_KEY) return;
    if (this.#until.size >= MAX_MISSING) this.#until.clear();
    this.#until.set(key, performance.now() + MISSING_MS);
  }

  delete(key: string): void {
    this.#until.delete(key);
  }

  clear(): void {
    this.#until.clear();
  }
}
