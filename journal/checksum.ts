/**
 * The running checksum of a log: the CRC-32 of all bytes that were ever appended to it. Two logs whose
 * checksums at one position are the same have the same history up to there.
 *
 * A compaction takes bytes away that the checksum covers. So the first line of a compacted file bears
 * two: that of the history at {@linkcode Start.kept}, from where on the file holds the bytes of the
 * history again, and that of the file's own lines up to there.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { NEWLINE } from "../links/syntax.ts";
import { crc32 } from "./crc32.ts";

const SPACING = 64 << 10; // bytes between two points
const SUM = '{"Key":"","URL":"","Sum":"'; // what a line with a checksum begins with
const DIGITS = 8;

/** What was copied, or is there, is not what was written. */
export class ChecksumError extends Error {
  override name = "ChecksumError";
}

/** A position, and the checksum of all bytes before it. */
export interface Point {
  position: number;
  sum: number;
}

/** What the first line of a compacted file says of its checksums. */
export interface Start {
  /** The position from which on the file holds the bytes of the history. */
  kept: number;
  /** The checksum of the history at `kept`. */
  sum: number;
  /** The checksum of the lines behind the first one, up to `kept`. */
  fileSum: number;
}

/**
 * Adds up a log as it grows. It keeps the checksum at its end and at a point every 64 KiB, from which
 * any other one can be had by reading what lies between.
 *
 * Up to `kept` the checksum is that of the file's own lines. There it becomes the history's; where the
 * lines before are not those that were written, it becomes another one, as their copies differ, too.
 *
 * @example
 * ```ts
 * const checksum = new Checksum();
 * checksum.append(new TextEncoder().encode('{"Key":"a","URL":"b"}\n'));
 * formatSum(checksum.sum); // "0a3f2a8f", of the first 22 bytes
 * ```
 */
export class Checksum {
  /** The position behind all that was added. */
  end = 0;
  /** The checksum there. */
  sum = 0;
  /** The position of the last line with a checksum; where none is, that of the beginning. */
  written = 0;
  /** What the first line said. */
  start?: Start;
  #points: Point[] = [];
  #isFirst = false; // whether the first line of a compacted file comes next

  constructor(position = 0, sum = 0) {
    this.begin(position, sum);
  }

  /** Begins anew at a position; `start` is what the first line says of a compacted file that begins there. */
  begin(position: number, sum = 0, start?: Start): void {
    this.end = position;
    this.sum = start ? 0 : sum;
    this.start = start;
    this.#isFirst = start !== undefined;
    this.written = start?.kept ?? position;
    this.#points = [{ position, sum: this.sum }];
  }

  /**
   * Adds whole lines.
   *
   * @returns the first position where a checksum in the lines, or in the first line of the file, shows that
   * what came before is not what was once written
   */
  append(lines: Uint8Array): number | undefined {
    let wrong: number | undefined;
    let at = 0;
    for (const { start, sum } of sumsIn(lines)) {
      if (!this.add(lines.subarray(at, start))) wrong ??= this.start?.kept;
      if (this.sum !== sum) wrong ??= this.end;
      this.written = this.end;
      at = start;
    }
    if (!this.add(lines.subarray(at))) wrong ??= this.start?.kept;
    return wrong;
  }

  /** Adds bytes, the first line as a whole; false if those up to `kept` are not what was once written. */
  add(bytes: Uint8Array): boolean {
    let fits = true;
    let at = 0;
    if (this.#isFirst && bytes.length > 0) {
      at = bytes.indexOf(NEWLINE) + 1;
      this.end += at;
      this.#isFirst = false;
      const { kept, sum, fileSum } = this.start ?? { kept: -1, sum: 0, fileSum: 0 };
      if (kept === this.end) { // all lines before were left out
        fits = fileSum === 0;
        this.sum = (sum ^ fileSum) >>> 0;
      }
      this.#points = [{ position: this.end, sum: this.sum }];
    }
    while (at < bytes.length) {
      const next = this.#points[this.#points.length - 1].position + SPACING;
      const { kept = 0, sum = 0, fileSum = 0 } = this.start ?? {};
      const stop = kept > this.end ? Math.min(kept, next) : next;
      const length = Math.min(bytes.length - at, stop - this.end);
      this.sum = crc32(bytes.subarray(at, at + length), this.sum);
      at += length;
      this.end += length;
      if (this.end < stop) break;
      if (stop === kept) { // from here on it is the history's, if the lines before are what was written
        fits = this.sum === fileSum;
        this.sum = (sum ^ this.sum ^ fileSum) >>> 0;
      }
      this.#points.push({ position: this.end, sum: this.sum });
    }
    return fits;
  }

  /** The last point at `position` or before; nothing, where none is known. */
  before(position: number): Point | undefined {
    if (position > this.end) return;
    if (position === this.end) return { position, sum: this.sum };
    return this.#points.findLast((point) => point.position <= position);
  }

  /** Forgets the points before a position, but for the last one. */
  forget(position: number): void {
    const first = this.#points.findIndex((point) => point.position >= position);
    this.#points.splice(0, first === -1 ? this.#points.length - 1 : first);
  }
}

/** The lines with a checksum among others: where each begins, and what it says. */
function sumsIn(lines: Uint8Array): { start: number; sum: number }[] {
  const found = [];
  // A text is searched ten times as fast as bytes; in Latin-1 each byte is a character.
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.length).toString("latin1");
  for (let start = -1; (start = text.indexOf(SUM, start + 1)) !== -1;) {
    if (start > 0 && text[start - 1] !== "\n") continue; // it stands within a line
    const digits = start + SUM.length;
    found.push({ start, sum: parseInt(text.slice(digits, digits + DIGITS), 16) });
  }
  return found;
}

/** A checksum as it is written. */
export function formatSum(sum: number): string {
  return sum.toString(16).padStart(DIGITS, "0");
}

/** Reads what {@linkcode formatSum} writes; nothing, where it is something else. */
export function parseSum(text: unknown): number | undefined {
  return typeof text === "string" && /^[\da-f]{8}$/.test(text) ? parseInt(text, 16) : undefined;
}
