/**
 * A log: lines in one order, which nobody changes once they are written. Everything that must survive a
 * process is a line in one, and everything that is served comes from reading it from beginning to end.
 *
 * @module
 */
import type { Compacted, CompactionOptions } from "./compaction.ts";
import type { Feed } from "./feed.ts";
import { type Apply, type Bad, readLines, type Tell } from "./lines.ts";

/** Takes the lines of a log in. */
export interface LineReader {
  /** How many keys the lines so far are of, those of deleted links included, where that is known. */
  readonly keys?: number;
  /**
   * Takes whole lines in.
   *
   * @param bad told of lines that can't be read, by their number in `lines`, from 1
   * @param tell told of lines about the log itself, likewise
   * @returns how many lines there are
   */
  read(lines: Uint8Array, bad: Bad, tell: Tell): number;
  /** Told that `done` bytes of `total` are read, while a log is loaded. */
  expect?(done: number, total: number): void;
  /** Told that all is loaded: what comes now was appended after that. */
  loaded?(): void;
  /** About which share of a log's lines a compaction would leave out, from 0 to 1. */
  superseded?(log: { lines: number; bytes: number }): number;
  /**
   * Gives what makes lines that stand for everything read so far, the same each time. Without it, the last line of
   * each key stands for all of them.
   */
  snapshot?(): () => AsyncIterable<Uint8Array>;
}

/** Reads the links of a log for the sake of their changes alone. */
export function changesTo(apply: Apply): LineReader {
  return { read: (lines, bad, tell) => readLines(lines, apply, bad, tell) };
}

/** Another process appended first: nothing was written. What it appended is taken in by now. */
export class LogConflict extends Error {
  override name = "LogConflict";
}

/** A log that one process, or several, append to. */
export interface Log {
  /** The path or the address, as messages name it. */
  readonly name: string;
  /** Whether it is in a file or a database. */
  readonly kind: "file" | "database";
  /** Whether other processes append, too. */
  readonly shared: boolean;
  /** What followers read: everything that is published. */
  readonly feed: Feed;
  /** The term: 1 for the first master, and a later one for each that took over. */
  readonly term: number;
  /** Why nothing can be appended just now. */
  readonly failure?: string;
  /** The size of what is kept, in bytes. */
  readonly bytes: number;
  /** How many lines are kept. */
  readonly lines: number;
  /** How often the disk was waited for. */
  readonly syncs: number;
  /** Whether nothing is ever appended. */
  readonly readOnly: boolean;
  /** Whether a compaction is worth its work. */
  readonly isDue: boolean;
  /** The longest line that it takes, in bytes. */
  readonly maxLine: number;
  /** The most bytes of lines that it takes at once. */
  readonly maxAppend: number;
  /** Called when the log turns out to be another one than was loaded: it must be loaded again. */
  onreplace: (reason: string) => void;

  /**
   * Reads all lines. From then on `reader` is given what other processes append, too.
   *
   * @throws {JournalError} what is wrong, and where
   * @throws {StoreError} unavailable: the database is out of reach
   */
  load(reader: LineReader): Promise<void>;
  /**
   * Writes whole lines at the end, all or none; resolves once they are durable. One call at a time.
   *
   * @throws {LogConflict} others were first
   * @throws {MaybeSavedError} nobody knows whether they are written
   */
  append(lines: string): Promise<void>;
  /** Lets followers have what was appended, once readers of this process see it. */
  publish(): void;
  /**
   * Takes in all that was appended anywhere before the call. Nothing to wait for where nobody else appends.
   *
   * @throws {StoreError} unavailable: the database is out of reach
   */
  catchUp(): Promise<void> | undefined;
  /** Begins the next term: who knows of it refuses the masters before. */
  promote(): Promise<void>;
  /**
   * Rewrites what is kept without superseded lines; nothing, if nothing would be gained.
   *
   * @throws {JournalError} why it can't; what is kept is then as it was before
   */
  compact(options?: CompactionOptions): Promise<Compacted | undefined>;
  /** Lets followers go, once they have read what there is. */
  end(): void;
  /** Lets go of everything. */
  close(): Promise<void>;
}
