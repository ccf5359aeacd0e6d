/**
 * Numbers as bytes.
 *
 * @module
 */
const ZERO = 0x30;
const WORD = 2 ** 30;

/**
 * Writes a whole number to `to`, from `at` on, and returns where it ends: a text would take three times as long.
 *
 * @example
 * ```ts
 * const bytes = new Uint8Array(16);
 * const end = writeNumber(20782, bytes, 0);
 * new TextDecoder().decode(bytes.subarray(0, end)); // "20782"
 * ```
 */
export function writeNumber(n: number, to: Uint8Array, at: number): number {
  if (n < 10) {
    to[at] = ZERO + n;
    return at + 1;
  }
  let end = at + 1;
  for (let least = 10; n >= least; least *= 10) end++;
  let digit = end;
  for (; n >= WORD; n = Math.floor(n / 10)) to[--digit] = ZERO + n % 10;
  // The rest is small enough for whole numbers of the processor's.
  for (let rest = n | 0; digit > at; rest = (rest / 10) | 0) to[--digit] = ZERO + rest % 10;
  return end;
}
