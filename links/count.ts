/**
 * Numbers of things.
 *
 * @module
 */

/** Whether a value is a number of things, as far as numbers are exact. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
