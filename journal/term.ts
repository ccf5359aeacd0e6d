/**
 * Terms: each master that takes over begins a later one, and whoever knows a later term refuses the
 * masters of those before.
 *
 * @module
 */

const PARTS = 256; // of a millisecond
const DAY_MS = 86_400_000;

/**
 * Returns the term after `term`. It tells the time, in 256ths of a millisecond since 1970, and the last
 * byte is random: a backup that is restored twice gets two terms.
 *
 * @example
 * ```ts
 * nextTerm(1, 1795600000000); // 459673600000000 to 459673600000255
 * ```
 */
export function nextTerm(term: number, now = Date.now()): number {
  const [byte] = crypto.getRandomValues(new Uint8Array(1));
  return Math.max(term + 1, now * PARTS + byte);
}

/** Whether a term was begun over a day after now, as this clock has it: then one of the two is wrong. */
export function isFuture(term: number, now = Date.now()): boolean {
  return term > (now + DAY_MS) * PARTS;
}

/** The terms that others have followed: a master of an earlier one takes no more changes. */
export class FollowedTerms {
  #latest = 0;

  /** Notes a term; one that no clock can have come to is passed over. */
  see(term: number): void {
    if (term > this.#latest && !isFuture(term)) this.#latest = term;
  }

  /** Why a master of this term takes no changes; nothing, if it does. */
  refusal(term: number): string | undefined {
    return this.#latest <= term
      ? undefined
      : `another master took over: its term is ${this.#latest}, and this one's ${term}`;
  }
}
