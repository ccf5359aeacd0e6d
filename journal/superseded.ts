/**
 * Leaving out the lines of links that later ones replace.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { now } from "../links/time.ts";
import { Checksum, ChecksumError, formatSum } from "./checksum.ts";
import type { Blocks, Kept, LogPart } from "./compaction.ts";
import { changeOf, LastLines } from "./last.ts";
import { formatLine } from "./lines.ts";

/** The log was changed since it was loaded. */
export const NOT_WRITTEN =
  "It is not what was written: restart goto to go on with what is there now";

const encoder = new TextEncoder();

/** What is known of a log of links that is compacted. */
export interface LinksPart extends LogPart {
  /** How many keys there are, those of deleted links included. */
  keys: number;
  /** The running checksum at the end. */
  endSum: string;
}

/**
 * Finds the last line of each key. Of links that are over only the keys stay, as of deleted ones, so that none is
 * handed out twice.
 *
 * @param blocks gives the whole lines of the log up to `end`, and where each block begins; they may be spoilt
 * @param over links that ended before this time are over, in seconds since 1970
 * @throws {ChecksumError} the log is not what was written
 * @throws {RangeError} the keys are not as many as they should be
 */
export async function lastLines(
  blocks: Blocks,
  { end, base, kept, keys, start, endSum }: LinksPart,
  over = now(),
): Promise<Kept> {
  const last = new LastLines(keys, end - base, over);
  const found = new Checksum();
  found.begin(base, 0, start);
  let sum = found.sum; // at `kept`
  for await (const { bytes, at } of blocks(end - base)) {
    const rest = Math.max(0, Math.min(kept - base - at, bytes.length));
    found.add(bytes.subarray(0, rest));
    if (at < kept - base) sum = found.sum;
    found.add(bytes.subarray(rest));
    last.note(bytes, at);
  }
  if (formatSum(found.sum) !== endSum) throw new ChecksumError(NOT_WRITTEN);
  if (last.keys !== keys) throw new RangeError(`There are ${last.keys} keys, not ${keys}`);
  return {
    sum,
    async *lines() {
      for await (const { bytes, at } of blocks(kept - base)) {
        yield bytes.subarray(0, squeeze(bytes, at, last));
      }
    },
  };
}

/** Puts what stays to the front, of lines that begin at `at`: how many bytes is it? */
function squeeze(bytes: Uint8Array, at: number, last: LastLines): number {
  let size = 0;
  for (let from = 0, next; from < bytes.length; from = next) {
    next = bytes.indexOf(NEWLINE, from) + 1;
    if (!last.stays(at + from)) continue;
    if (last.isExpired(at + from)) {
      const { key, created } = changeOf(bytes.subarray(from, next))!;
      const line = encoder.encode(formatLine({ key, url: "", created })); // it is shorter
      bytes.set(line, size);
      size += line.length;
    } else {
      if (size < from) bytes.copyWithin(size, from, next);
      size += next - from;
    }
  }
  return size;
}
