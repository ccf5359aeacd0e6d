/**
 * Rewriting a journal without superseded lines, also while it grows.
 *
 * The first line of what comes of it says at which position it begins. From some line on the new file
 * holds the very bytes of the old one, at the same positions: whoever has come that far may go on.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { now } from "../links/time.ts";
import { Checksum, ChecksumError, formatSum, type Start } from "./checksum.ts";
import { crc32 } from "./crc32.ts";
import { MAX_LINE } from "./feed.ts";
import { readAt, writeAll } from "./file.ts";
import { changeOf, LastLines } from "./last.ts";
import { countLines, formatAbout, formatLine } from "./lines.ts";

const CHUNK = 64 << 10;
const SMALL = 64 << 10; // bytes: of a smaller file nothing need stay as it is
const KEPT_BYTES = 4096; // stay of a larger one, for followers who are a little behind
const SYNC_BYTES = 8 << 20; // so many wait for the disk at most, or other writes would wait for them
const NEAR = 64 << 10; // bytes that may be left to copy when writing stops for it
const MAX_ROUNDS = 100; // of copying what came meanwhile

/** The file was changed since it was loaded. */
export const NOT_WRITTEN =
  "It is not what was written: restart goto to go on with what is there now";

const encoder = new TextEncoder();

/** What is to be compacted: the whole lines of a file. */
export interface Lines {
  /** Where they end in the file. */
  end: number;
  /** The position at which the file begins. */
  base: number;
  term: number;
  /** How many keys there are, those of deleted links included. */
  keys: number;
  /** What the first line says of checksums. */
  start?: Start;
  /** The running checksum at their end. */
  sum: string;
}

/** The positions of what became of it. */
export interface Positions {
  /** The position at which the new file begins. */
  base: number;
  /** The position from which on the bytes stayed as they were. */
  kept: number;
}

/** How much there is after a compaction. */
export interface Compacted {
  lines: number;
  bytes: number;
}

/** How a compaction is done. */
export interface CompactionOptions {
  /** Told how much of all is done. */
  progress?: (done: number, total: number) => void;
  /** Called now and then, to let others go on. Throws where the compaction shall be given up. */
  pause?: () => Promise<void> | void;
}

/** Writes what stays of one file into another, which is still empty. */
export class Copy {
  /** How many bytes, and how many lines are written. */
  size = 0;
  lines = 0;
  /** The running checksum of what is written. */
  readonly checksum = new Checksum();
  #at = 0; // up to where the old file is copied
  #unsynced = 0;

  constructor(
    private readonly from: Deno.FsFile,
    private readonly to: Deno.FsFile,
    private readonly options: CompactionOptions = {},
  ) {}

  /**
   * Copies the lines that no later one replaces, behind one that says where they begin. Of links that
   * are over only the keys stay, as of deleted ones, so that none is handed out twice. Where nothing
   * would be gained, nothing is written, and nothing given.
   *
   * @throws what the file system said; or the file is not what was written; or a {@linkcode RangeError},
   * where the keys are not as many as they should be
   */
  async compact(
    { end, base, term, keys, start, ...written }: Lines,
  ): Promise<Positions | undefined> {
    const kept = end < SMALL
      ? end
      : Math.max(await startOfLine(this.from, end - KEPT_BYTES), (start?.kept ?? 0) - base);
    const last = new LastLines(keys, end, now());
    const found = new Checksum();
    found.begin(base, 0, start);
    let sum = found.sum; // at `kept`
    for await (const { bytes, at } of this.#chunks(end, 0)) {
      const rest = Math.max(0, Math.min(kept - at, bytes.length));
      found.add(bytes.subarray(0, rest));
      if (at < kept) sum = found.sum;
      found.add(bytes.subarray(rest));
      last.note(bytes, at);
    }
    if (formatSum(found.sum) !== written.sum) throw new ChecksumError(NOT_WRITTEN);
    if (last.keys !== keys) throw new RangeError(`There are ${last.keys} keys, not ${keys}`);
    let size = formatAbout({ term, base, kept: base, sum, fileSum: 0 }).length;
    let fileSum = 0;
    for await (const { bytes, at } of this.#chunks(kept, 1)) {
      const stays = squeeze(bytes, at, last);
      fileSum = crc32(bytes.subarray(0, stays), fileSum);
      size += stays;
    }
    const positions = { base: base + kept - size, kept: base + kept };
    if (positions.base <= base) return; // less is gained than the first line takes
    this.checksum.begin(positions.base, 0, { kept: positions.kept, sum, fileSum });
    await this.#write(encoder.encode(formatAbout({ term, ...positions, sum, fileSum })));
    for await (const { bytes, at } of this.#chunks(kept, 2)) {
      await this.#write(bytes.subarray(0, squeeze(bytes, at, last)));
    }
    this.#at = kept;
    await this.finish(end);
    return positions;
  }

  /** Copies what came meanwhile, until little is left; the old file has `end()` bytes of whole lines. */
  async follow(end: () => number): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && end() - this.#at > NEAR; round++) {
      await this.finish(end());
    }
    await this.to.sync();
  }

  /** Copies the rest as it stands, up to `end`. */
  async finish(end: number): Promise<void> {
    while (this.#at < end) {
      const bytes = await readAt(this.from, this.#at, Math.min(CHUNK, end - this.#at));
      await this.#write(bytes);
      this.#at += bytes.length;
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.to, bytes);
    this.checksum.add(bytes);
    this.size += bytes.length;
    this.lines += countLines(bytes);
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_BYTES) return;
    await this.to.syncData();
    this.#unsynced = 0;
  }

  /** Gives the whole lines up to `end`, and tells that they are the `turn`th of three times. */
  async *#chunks(end: number, turn: number) {
    const { progress, pause } = this.options;
    for await (const chunk of chunksOf(this.from, end)) {
      yield chunk;
      progress?.(turn * end + chunk.at, 3 * end);
      await pause?.();
    }
  }
}

/** Gives the whole lines of a file. What it gives may be spoilt, and is good until the next is asked for. */
export async function* chunksOf(
  file: Deno.FsFile,
  end: number,
): AsyncGenerator<{ bytes: Uint8Array; at: number }, void, void> {
  await file.seek(0, Deno.SeekMode.Start);
  let buffer = new Uint8Array(CHUNK);
  let have = 0; // bytes in it, which begin at `at`
  for (let at = 0; at < end;) {
    const n = await file.read(buffer.subarray(have, Math.min(buffer.length, end - at)));
    if (n === null) throw new Error("Shorter than it was");
    have += n;
    const whole = buffer.subarray(0, have).lastIndexOf(NEWLINE) + 1;
    if (whole > 0) {
      yield { bytes: buffer.subarray(0, whole), at };
      buffer.copyWithin(0, whole, have);
      have -= whole;
      at += whole;
    } else if (at + have === end) {
      throw new Error("The last line has no end");
    } else if (have === buffer.length) {
      if (have > MAX_LINE) throw new Error(`A line of over ${MAX_LINE} bytes`);
      const larger = new Uint8Array(2 * have);
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** Where the last line begins that begins at `at` or before. */
async function startOfLine(file: Deno.FsFile, at: number): Promise<number> {
  for (let end = at; end > 0;) {
    const from = Math.max(0, end - CHUNK);
    const newline = (await readAt(file, from, end - from)).lastIndexOf(NEWLINE);
    if (newline !== -1) return from + newline + 1;
    end = from;
  }
  return 0;
}

/** Puts what stays to the front, of lines that begin at `at`: how many bytes is it? */
function squeeze(bytes: Uint8Array, at: number, last: LastLines): number {
  let size = 0;
  for (let from = 0, next; from < bytes.length; from = next) {
    next = bytes.indexOf(NEWLINE, from) + 1;
    if (!last.stays(at + from)) continue;
    if (last.isExpired(at + from)) {
      const { key } = changeOf(bytes.subarray(from, next))!;
      const line = encoder.encode(formatLine({ key, url: "" })); // it is shorter
      bytes.set(line, size);
      size += line.length;
    } else {
      if (size < from) bytes.copyWithin(size, from, next);
      size += next - from;
    }
  }
  return size;
}
