/**
 * Compacting the file of a log while it grows.
 *
 * @module
 */
import type { Appender } from "./appender.ts";
import { ChecksumError } from "./checksum.ts";
import {
  chunksOf,
  type Compacted,
  type CompactionOptions,
  compactTo,
  Copy,
  type Kept,
  paced,
  startOfLine,
} from "./compaction.ts";
import { Draft, explain, type Locked } from "./file.ts";
import type { LineReader } from "./log.ts";
import type { Published } from "./published.ts";
import { lastLines, NOT_WRITTEN } from "./superseded.ts";

const SMALL = 64 << 10; // bytes: of a smaller file nothing need stay as it is
const KEPT_BYTES = 4096; // stay of a larger one, for followers who are a little behind

/** A log in a file. */
export interface LogFile {
  locked: Locked;
  appender: Appender;
  feed: Published;
  term: number;
  /** Told how many lines the new file has, as it takes the place of the old one. */
  placed(lines: number): void;
}

/**
 * Rewrites the file of a log without superseded lines. Gives what there is then; nothing, if nothing would be
 * gained.
 *
 * @param reader has read what is published
 * @throws {JournalError} what the file system said; the file is then as it was before
 */
export async function compactFile(
  { locked, appender, feed, term, placed }: LogFile,
  reader: LineReader = { read: () => 0 },
  options: CompactionOptions = {},
): Promise<Compacted | undefined> {
  const { base, size: end, sum: endSum, checksum } = feed;
  const { keys = 0 } = reader;
  const snapshot = reader.snapshot?.();
  const draft = await Draft.open(locked);
  let opened: Deno.FsFile | undefined;
  try {
    using file = await Deno.open(locked.path);
    const blocks = paced((size) => chunksOf(file, size), options);
    const kept = snapshot || end - base < SMALL ? end : Math.max(
      base + await startOfLine(file, end - base - KEPT_BYTES),
      checksum.start?.kept ?? 0,
    );
    const part = { base, kept, end, start: checksum.start };
    const stays: Kept = snapshot
      ? { sum: parseInt(endSum, 16), lines: snapshot }
      : await lastLines(blocks, { ...part, keys, endSum });
    const compacted = await compactTo(part, term, stays);
    if (compacted === undefined) return;
    const copy = new Copy(file, draft.file);
    await copy.begin(compacted, kept - base);
    await copy.follow(() => appender.size);
    const made = opened = await Deno.open(draft.path);
    const finish = async (size: number) => {
      await copy.finish(size);
      if (copy.checksum.sum !== checksum.sum) throw new ChecksumError(NOT_WRITTEN);
    };
    await appender.replace(draft, finish, () => {
      feed.replace(made, compacted.base, kept, copy.checksum);
      opened = undefined;
      placed(copy.lines);
      return copy.size;
    });
    return { lines: copy.lines, bytes: appender.size };
  } catch (error) {
    throw explain(locked.path, error);
  } finally {
    opened?.close();
    await draft.discard();
  }
}
