/**
 * Rewriting a log without superseded lines, also while it grows.
 *
 * The first line of what comes of it says at which position it begins. From some line on it holds the very bytes
 * that the log had, at the same positions: whoever has come that far may go on.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { Checksum, type Start } from "./checksum.ts";
import { crc32 } from "./crc32.ts";
import { MAX_LINE } from "./feed.ts";
import { readAt, writeAll } from "./file.ts";
import { countLines, formatAbout } from "./lines.ts";

const CHUNK = 64 << 10;
const SYNC_BYTES = 8 << 20; // so many wait for the disk at most, or other writes would wait for them
const NEAR = 64 << 10; // bytes that may be left to copy when writing stops for it
const MAX_ROUNDS = 100; // of copying what came meanwhile

const encoder = new TextEncoder();

/** What is to be compacted. */
export interface LogPart {
  /** The position at which the log begins. */
  base: number;
  /** The position up to which lines may be left out; */
  kept: number;
  /** and that where the log ends. */
  end: number;
  /** What the first line says of checksums. */
  start?: Start;
}

/** What stands for the lines of a log up to a position. */
export interface Kept {
  /** The running checksum there. */
  sum: number;
  /** Gives the lines, the same each time; a block is good until the next is asked for. */
  lines(): AsyncIterable<Uint8Array>;
}

/** A log without superseded lines. */
export interface CompactedLog extends Start {
  /** The position at which it begins. */
  base: number;
  /** Gives its lines up to `kept`, the first one included. */
  lines(): AsyncGenerator<Uint8Array, void, void>;
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

/** Gives the whole lines of the first `size` bytes of a log, and where each block of them begins. */
export type Blocks = (size: number) => AsyncIterable<{ bytes: Uint8Array; at: number }>;

/** Tells how far a log is gone through, which is three times, and lets others go on meanwhile. */
export function paced(blocks: Blocks, { progress, pause }: CompactionOptions): Blocks {
  let turn = 0;
  return async function* (size: number) {
    for await (const block of blocks(size)) {
      yield block;
      progress?.(turn * size + block.at, 3 * size);
      await pause?.();
    }
    turn++;
  };
}

/** Makes a log of the lines that stay; nothing, where less is gained than the first line takes. */
export async function compactTo(
  { base, kept }: LogPart,
  term: number,
  { sum, lines }: Kept,
): Promise<CompactedLog | undefined> {
  let size = formatAbout({ term, base, kept: base, sum, fileSum: 0 }).length;
  let fileSum = 0;
  for await (const bytes of lines()) {
    fileSum = crc32(bytes, fileSum);
    size += bytes.length;
  }
  const first = { base: kept - size, kept, sum, fileSum };
  if (first.base <= base) return;
  return {
    ...first,
    async *lines() {
      yield encoder.encode(formatAbout({ term, ...first }));
      yield* lines();
    },
  };
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

  constructor(private readonly from: Deno.FsFile, private readonly to: Deno.FsFile) {}

  /** Writes a compacted log in place of what the old file has up to `at`. */
  async begin({ base, kept, sum, fileSum, lines }: CompactedLog, at: number): Promise<void> {
    this.checksum.begin(base, 0, { kept, sum, fileSum });
    for await (const bytes of lines()) await this.#write(bytes);
    this.#at = at;
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
export async function startOfLine(file: Deno.FsFile, at: number): Promise<number> {
  for (let end = at; end > 0;) {
    const from = Math.max(0, end - CHUNK);
    const newline = (await readAt(file, from, end - from)).lastIndexOf(NEWLINE);
    if (newline !== -1) return from + newline + 1;
    end = from;
  }
  return 0;
}
