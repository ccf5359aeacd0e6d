/**
 * A copy of a master's log that is being made.
 *
 * @module
 */
import { exists, JournalError } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import type { LineReader } from "../journal/log.ts";
import { ForeignError } from "../journal/torn.ts";

/** The unfinished copy that becomes the mirror at `file`. */
export function partOf(file: string): string {
  return `${file}.part`;
}

/**
 * Refuses to make a master of a copy that was never finished.
 *
 * @throws {JournalError} there is no journal at `file`, but a part of one
 */
export async function refusePart(file: string): Promise<void> {
  if (await exists(file) || !await exists(partOf(file))) return;
  throw new JournalError(
    `${file}: No such file, only ${partOf(file)}, a copy of a master's that is not finished: ` +
      `finish it with -master, or remove it`,
  );
}

/** Opens the unfinished copy at `path`, with whole lines only; one that can't be read is begun anew. */
export async function openPart(
  path: string,
  reader: LineReader,
  options: JournalOptions,
): Promise<Journal> {
  for (let tries = 0;; tries++) {
    const part = await Journal.open(path, { ...options, copy: true });
    try {
      await part.load(reader);
      return part;
    } catch (error) {
      await part.close();
      if (tries > 0 || error instanceof ForeignError) throw error;
      await Deno.remove(path);
    }
  }
}
