/**
 * The order of keys.
 *
 * @module
 */

/**
 * Compares two keys as they are counted: the shorter one comes first; of equal length, digits come before small
 * letters, and those before capitals. So keys that the server made stand in the order in which it made them.
 *
 * @example
 * ```ts
 * ["10", "Z", "a", "9"].sort(compareKeys); // ["9", "a", "Z", "10"]
 * ```
 */
export function compareKeys(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    const difference = rankOf(a.charCodeAt(i)) - rankOf(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Where a character stands among others: one bit less puts small letters before capitals. */
export function rankOf(char: number): number {
  return char ^ 0x20;
}
