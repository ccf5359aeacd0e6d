/**
 * Which lines of a journal no later one replaces.
 *
 * @module
 */
import type { Change } from "../links/link.ts";
import { MIDDLE, NEWLINE, PLAIN, Rest, START, startsWith } from "../links/syntax.ts";
import { readLines } from "./lines.ts";

const UNIT = 16; // bytes; every change is longer, so no two begin in one unit
const FULL = 3 / 4; // of the slots

/**
 * Notes the last line of each key. A slot takes 12 bytes, and each unit of the file a bit: keys
 * themselves are not kept, but 64 bits of hash, whose constants are new each time. Should two keys
 * have one hash, there are fewer keys than there should be.
 *
 * @example
 * ```ts
 * const lines = new TextEncoder().encode('{"Key":"a","URL":"b"}\n{"Key":"a","URL":"c"}\n');
 * const last = new LastLines(1, lines.length, 1795600000);
 * last.note(lines, 0);
 * last.stays(0); // false
 * last.stays(22); // true
 * ```
 */
export class LastLines {
  /** How many keys there are. */
  keys = 0;
  readonly #slots: Uint32Array; // three a key: two hashes, and 1 + the unit in which its last line begins
  readonly #mask: number;
  readonly #stays: Uint8Array; // a bit for each unit
  readonly #over: Uint8Array; // the same
  readonly #rest = new Rest();
  readonly #constants = crypto.getRandomValues(new Uint32Array(4)).map((n) => n | 1);

  /**
   * @param most so many keys there are at most
   * @param size of the file, in bytes
   * @param now the time at which links are over, in seconds since 1970
   * @throws {RangeError} there is no room for so many
   */
  constructor(private readonly most: number, size: number, private readonly now: number) {
    const slots = 2 ** Math.ceil(Math.log2(most / FULL + 1));
    this.#slots = new Uint32Array(3 * slots);
    this.#mask = slots - 1;
    this.#stays = new Uint8Array(Math.ceil(size / UNIT / 8) + 1);
    this.#over = new Uint8Array(this.#stays.length);
  }

  /**
   * Notes whole lines, which begin at `at` in the file. Those that speak of the journal itself are
   * passed over.
   *
   * @throws {RangeError} there are more keys than there should be
   */
  note(lines: Uint8Array, at: number): void {
    const [seed, otherSeed, factor, otherFactor] = this.#constants;
    for (let start = 0, end; start < lines.length; start = end) {
      let code = seed;
      let other = otherSeed;
      let from = start + START.length;
      if (startsWith(lines, start, START)) {
        for (let byte; PLAIN[byte = lines[from]] === 1; from++) {
          code = Math.imul(code ^ byte, factor);
          other = Math.imul((other << 7 | other >>> 25) ^ byte, otherFactor);
        }
      }
      end = from > start + START.length ? this.#endOf(lines, from) : -1;
      let { expires } = this.#rest;
      if (end === -1) {
        end = lines.indexOf(NEWLINE, start) + 1;
        const change = changeOf(lines.subarray(start, end));
        if (change === undefined) continue;
        const { key } = change;
        expires = change.expires ?? 0;
        [code, other] = [seed, otherSeed];
        for (let i = 0; i < key.length; i++) {
          code = Math.imul(code ^ key.charCodeAt(i), factor);
          other = Math.imul((other << 7 | other >>> 25) ^ key.charCodeAt(i), otherFactor);
        }
      }
      const unit = Math.floor((at + start) / UNIT);
      this.#put(code, other, unit);
      if (expires !== 0 && expires <= this.now) this.#over[unit >>> 3] |= 1 << (unit & 7);
    }
  }

  /** Whether the line that begins at `at` stays. */
  stays(at: number): boolean {
    const unit = Math.floor(at / UNIT);
    return (this.#stays[unit >>> 3] & 1 << (unit & 7)) !== 0;
  }

  /** Whether the link in the line that begins at `at` is over. */
  isExpired(at: number): boolean {
    const unit = Math.floor(at / UNIT);
    return (this.#over[unit >>> 3] & 1 << (unit & 7)) !== 0;
  }

  /** Where the line ends whose plain key ends at `at`; -1 if it is not as we write it. */
  #endOf(lines: Uint8Array, at: number): number {
    if (!startsWith(lines, at, MIDDLE)) return -1;
    at += MIDDLE.length;
    while (PLAIN[lines[at]] === 1) at++;
    return this.#rest.read(lines, at);
  }

  #put(code: number, other: number, unit: number): void {
    const slots = this.#slots;
    [code, other] = [code >>> 0, other >>> 0];
    let slot = (code ^ code >>> 15) & this.#mask;
    for (;; slot = (slot + 1) & this.#mask) {
      const before = slots[3 * slot + 2];
      if (before === 0) {
        if (++this.keys > this.most) throw new RangeError("There are more keys than there were");
        slots[3 * slot] = code;
        slots[3 * slot + 1] = other;
        break;
      }
      if (slots[3 * slot] !== code || slots[3 * slot + 1] !== other) continue;
      this.#stays[(before - 1) >>> 3] &= ~(1 << ((before - 1) & 7));
      break;
    }
    slots[3 * slot + 2] = unit + 1;
    this.#stays[unit >>> 3] |= 1 << (unit & 7);
  }
}

/** The change in a line; nothing, if it speaks of the journal itself. */
export function changeOf(line: Uint8Array): Change | undefined {
  let found: Change | undefined;
  readLines(line, (change) => found = change, refuse);
  return found;
}

function refuse(_line: number, reason: string): never {
  throw new Error(reason);
}
