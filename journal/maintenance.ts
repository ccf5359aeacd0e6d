/**
 * Compacting a journal, and repairing one that nobody uses.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { Table } from "../links/table.ts";
import { appendBeside } from "./beside.ts";
import type { CompactionOptions } from "./compaction.ts";
import { silent } from "./events.ts";
import { explain, type Locked, replace, syncFolder, type Write, writeAll } from "./file.ts";
import { Journal, type JournalOptions, refuse } from "./journal.ts";
import { BYTE_ORDER_MARK, MARK_BYTES, OLD_NAME } from "./lines.ts";
import { LinkReader } from "./link_reader.ts";
import { changesTo, type Log } from "./log.ts";

const CHUNK = 1 << 20;

/** A size before and after. */
export type Change = [before: number, after: number];

/** What a compaction changed. */
export interface Compaction {
  lines: Change;
  bytes: Change;
}

/**
 * Rewrites a journal without superseded lines. Those of deleted keys stay, so that no key is handed
 * out twice.
 *
 * @throws {JournalError} it is in use, or has a bad line, or can't be written
 */
export async function compact(path: string, options: JournalOptions = {}): Promise<Compaction> {
  const journal = await Journal.open(path, options);
  try {
    await journal.load(new LinkReader(new Table()));
    return await compactOpen(journal);
  } finally {
    await journal.close();
  }
}

/**
 * Rewrites a log that is in use.
 *
 * @throws {JournalError} it can't be written
 */
export async function compactOpen(log: Log, options: CompactionOptions = {}): Promise<Compaction> {
  const { lines, bytes } = log;
  const after = await log.compact(options) ?? { lines, bytes };
  return { lines: [lines, after.lines], bytes: [bytes, after.bytes] };
}

/**
 * Moves bad lines to `FILE.bad`: a copy of them is safe there before they leave the journal. A line that
 * is good but for a byte order mark before it only loses that.
 *
 * @throws {JournalError} it is in use, or can't be written, or has old names
 */
export async function repair(path: string, options: JournalOptions = {}): Promise<void> {
  const journal = await Journal.open(path, options);
  try {
    const bad = new Set<number>();
    const marked = new Set<number>();
    const note = (line: number, reason: string) => {
      if (reason.endsWith(OLD_NAME)) refuse(journal.path)(line, reason);
      (reason === BYTE_ORDER_MARK ? marked : bad).add(line);
    };
    await journal.load(changesTo(() => {}), note);
    const { path, locked } = journal;
    const { events = silent } = options;
    if (journal.failure !== undefined) throw explain(path, journal.failure);
    if (bad.size > 0) {
      const aside = `${path}.bad`;
      using file = await appendBeside(aside, await locked.file.stat()).catch((error) => {
        throw explain(aside, error);
      });
      await rewrite(locked, (line) => !bad.has(line), marked, {
        write: (bytes) => writeAll(file, bytes),
        async sync() {
          await file.sync();
          await syncFolder(aside);
        },
      });
      events("warn", "moved bad lines aside", { lines: bad.size, file: aside });
    } else if (marked.size > 0) {
      await rewrite(locked, () => true, marked);
    }
    if (marked.size > 0) {
      events("warn", "removed byte order marks", { lines: marked.size, file: path });
    }
  } finally {
    await journal.close();
  }
}

/**
 * Replaces a file by those of its lines that stay; the others go to `aside`. Those that are `marked` lose
 * the mark before them.
 */
async function rewrite(
  locked: Locked,
  stays: (line: number) => boolean,
  marked: ReadonlySet<number>,
  aside: { write: Write; sync(): Promise<void> } = { write: async () => {}, sync: async () => {} },
): Promise<void> {
  using old = await Deno.open(locked.path);
  await replace(locked, async (write) => {
    await partition(old, stays, marked, write, aside.write);
    await aside.sync();
  });
}

/** Hands on every line to one or the other, by its number. */
async function partition(
  file: Deno.FsFile,
  stays: (line: number) => boolean,
  marked: ReadonlySet<number>,
  keep: Write,
  drop: Write,
): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  const kept = new Uint8Array(CHUNK);
  const dropped = new Uint8Array(CHUNK);
  let line = 1;
  let begins = true; // whether nothing was kept of the line so far
  for (let n; (n = await file.read(buffer)) !== null;) {
    let keeps = 0;
    let drops = 0;
    for (let start = 0, end; start < n; start = end) {
      const newline = buffer.indexOf(NEWLINE, start);
      const whole = newline !== -1 && newline < n;
      end = whole ? newline + 1 : n;
      if (begins && marked.has(line)) {
        while (start < end && MARK_BYTES.includes(buffer[start])) start++;
      }
      if (start < end) begins = whole;
      const piece = buffer.subarray(start, end);
      if (stays(line)) {
        kept.set(piece, keeps);
        keeps += piece.length;
      } else {
        dropped.set(piece, drops);
        drops += piece.length;
      }
      if (whole) line++;
    }
    await keep(kept.subarray(0, keeps));
    await drop(dropped.subarray(0, drops));
  }
}
