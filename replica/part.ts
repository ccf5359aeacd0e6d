/**
 * A copy of a master's journal that is being made.
 *
 * @module
 */
import { exists, JournalError } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { readLines } from "../journal/lines.ts";
import { type Line, refuseLine } from "./follower.ts";

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

/**
 * Copies a feed to `path`, as far as it reached when it was opened; it goes on where an earlier try
 * was broken off.
 */
export async function copyFeed(
  path: string,
  line: Line,
  options: JournalOptions,
): Promise<Journal> {
  let part = await open(path, options);
  try {
    const { offset, size, body } = await line.open(part.size, await part.check(part.size));
    if (offset !== part.size) { // it is of another journal
      await part.close();
      await Deno.remove(path);
      part = await open(path, options);
      part.begin(offset);
    }
    for await (const lines of line.blocks(body)) {
      readLines(lines, () => {}, refuseLine, part.tell);
      if (lines.length > 0) await part.append(lines);
      part.publish();
      if (part.size >= size) return part;
    }
    throw new Error("it ended");
  } catch (error) {
    await part.close();
    throw error;
  }
}

/** An unfinished copy, with whole lines only; one that can't be read is begun anew. */
async function open(path: string, options: JournalOptions): Promise<Journal> {
  for (let tries = 0;; tries++) {
    const part = await Journal.open(path, options);
    try {
      await part.load(() => {});
      return part;
    } catch (error) {
      await part.close();
      if (tries > 0) throw error;
      await Deno.remove(path);
    }
  }
}

/** Gives the file at `path` a second name, so that it stays when another takes its place. */
export async function keep(path: string, name: string): Promise<void> {
  await Deno.remove(name).catch(() => {});
  await Deno.link(path, name);
}
