/**
 * What is done to a journal that nobody uses: compacting it, and repairing it.
 *
 * @module
 */
import { silent } from "./events.ts";
import { type Locked, replace, syncFolder, type Write, writeAll } from "./file.ts";
import { Journal, type JournalOptions } from "./journal.ts";
import { NEWLINE } from "./lines.ts";

const CHUNK = 1 << 20;

/** A size before and after. */
type Change = [before: number, after: number];

/**
 * Rewrites a journal without superseded lines. Those of deleted keys stay, so that no key is handed
 * out twice.
 *
 * @throws {JournalError} it is in use, or has a bad line, or can't be written
 */
export async function compact(
  path: string,
  options: JournalOptions = {},
): Promise<{ lines: Change; bytes: Change }> {
  const journal = await Journal.open(path, options);
  try {
    const last = new Map<string, number>();
    let lines = 0;
    await journal.load(({ key }) => last.set(key, ++lines));
    const stays = new Uint8Array(lines + 1);
    for (const line of last.values()) stays[line] = 1;
    // The lines stay as they stand, with whatever a later version may have put in them.
    const size = await rewrite(journal.locked, (line) => stays[line] === 1);
    return { lines: [lines, last.size], bytes: [journal.size, size] };
  } finally {
    await journal.close();
  }
}

/**
 * Moves bad lines to `FILE.bad`: a copy of them is safe there before they leave the journal.
 *
 * @throws {JournalError} it is in use, or can't be written
 */
export async function repair(path: string, options: JournalOptions = {}): Promise<void> {
  const journal = await Journal.open(path, options);
  try {
    const bad = new Set<number>();
    await journal.load(() => {}, (line) => bad.add(line));
    if (bad.size === 0) return;
    const aside = `${journal.path}.bad`;
    using file = await Deno.open(aside, { append: true, create: true });
    await rewrite(journal.locked, (line) => !bad.has(line), {
      write: (bytes) => writeAll(file, bytes),
      async sync() {
        await file.sync();
        await syncFolder(aside);
      },
    });
    const { events = silent } = options;
    events("warn", "moved bad lines aside", { lines: bad.size, file: aside });
  } finally {
    await journal.close();
  }
}

/** Replaces a file by those of its lines that stay; the others go to `aside`. Gives its new size. */
async function rewrite(
  locked: Locked,
  stays: (line: number) => boolean,
  aside: { write: Write; sync(): Promise<void> } = { write: async () => {}, sync: async () => {} },
): Promise<number> {
  using old = await Deno.open(locked.path);
  let size = 0;
  await replace(locked, async (write) => {
    const keep: Write = (bytes) => (size += bytes.length, write(bytes));
    await partition(old, stays, keep, aside.write);
    await aside.sync();
  });
  return size;
}

/** Hands on every line to one or the other, by its number. */
async function partition(
  file: Deno.FsFile,
  stays: (line: number) => boolean,
  keep: Write,
  drop: Write,
): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  const kept = new Uint8Array(CHUNK);
  const dropped = new Uint8Array(CHUNK);
  let line = 1;
  for (let n; (n = await file.read(buffer)) !== null;) {
    let keeps = 0;
    let drops = 0;
    for (let start = 0, end; start < n; start = end) {
      const newline = buffer.indexOf(NEWLINE, start);
      const whole = newline !== -1 && newline < n;
      end = whole ? newline + 1 : n;
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
