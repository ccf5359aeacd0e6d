/**
 * What all requests may hold together.
 *
 * @module
 */

/**
 * An amount that many share, such as bytes of memory.
 *
 * @example
 * ```ts
 * const budget = new Budget(100);
 * budget.take(60); // true
 * budget.take(60); // false: there are 40 left
 * budget.give(60);
 * ```
 */
export class Budget {
  /** How much is taken. */
  used = 0;

  constructor(private readonly limit: number) {}

  /** Takes so much, if it is there. */
  take(amount: number): boolean {
    if (this.used + amount > this.limit) return false;
    this.used += amount;
    return true;
  }

  /** Gives back what was taken. */
  give(amount: number): void {
    this.used -= amount;
  }
}
