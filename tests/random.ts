/**
 * Random numbers that can be had again: a test names the seed where it fails.
 *
 * @module
 */
export function random(seed = Math.floor(Math.random() * 2 ** 32)): {
  seed: number;
  /** A number from 0 to below `n`. */
  pick: (n: number) => number;
} {
  let state = seed;
  const pick = (n: number) => { // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * n);
  };
  return { seed, pick };
}
