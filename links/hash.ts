/**
 * The hash of keys.
 *
 * @module
 */

/** Constants of a hash. */
export interface HashConstants {
  seed: number;
  /** Must be odd. */
  factor: number;
}

// Nobody outside can tell which keys will collide.
const [SEED, FACTOR] = crypto.getRandomValues(new Uint32Array(2));

/** Constants of this process. */
export const RANDOM_HASH: HashConstants = { seed: SEED, factor: FACTOR | 1 };

/** FNV-1a, but for its constants. */
export function hash(key: string, { seed, factor }: HashConstants): number {
  let code = seed;
  for (let i = 0; i < key.length; i++) code = Math.imul(code ^ key.charCodeAt(i), factor);
  return finish(code);
}

/** That of a key of which each character is a byte. */
export function hashBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  { seed, factor }: HashConstants,
): number {
  let code = seed;
  for (let i = start; i < end; i++) code = Math.imul(code ^ bytes[i], factor);
  return finish(code);
}

/** A last mix of what all characters have gone into, since low bits choose the slot. */
export function finish(code: number): number {
  code = Math.imul(code ^ (code >>> 15), 0x2c1b3c6d);
  return (code ^ (code >>> 13)) >>> 0;
}
