/**
 * The end of a journal's file that is not as it must be: a line that is torn, or lacks its end; and files that are
 * no journals at all.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { appendBeside } from "./beside.ts";
import type { Events } from "./events.ts";
import { BLANK } from "./feed.ts";
import { explain, JournalError, type Locked, readAt, syncFolder, writeAll } from "./file.ts";
import type { Loaded } from "./load.ts";

const START = '{"Key":"';
const SHOWN = 200; // bytes of what is torn

/** A file is none of ours. */
export class ForeignError extends JournalError {
  constructor(path: string) {
    super(`${path}: Not a journal of goto's, nor the beginning of one: it is left as it is`);
  }
}

/**
 * Refuses a file without a good line that doesn't begin with all, or a part, of how our lines begin.
 *
 * @throws {ForeignError} it is none of ours
 */
export async function refuseForeign({ path, file }: Locked): Promise<void> {
  const { size } = await file.stat();
  const bytes = await readAt(file, 0, Math.min(size, SHOWN));
  const text = new TextDecoder().decode(bytes).trimStart();
  if (START.startsWith(text) || /^\{\s*"(?:Key|URL)"\s*:/.test(text)) return;
  throw new ForeignError(path);
}

/** What stands behind the last whole line of a file: what was torn off a line, or one that lacks its end. */
export class Ending {
  #kept: boolean; // whether nothing is left to be kept
  #aside?: string; // where it was

  /** @param keep whether what is torn is to be kept: of a copy it can be had again */
  constructor(
    private readonly locked: Locked,
    private readonly loaded: Loaded,
    keep = true,
  ) {
    // Spaces are what an appender looks for room with.
    this.#kept = !keep || loaded.torn.every((byte) => byte === 0x20);
  }

  /** Whether anything is to be done. */
  get isOdd(): boolean {
    return this.loaded.torn.length > 0 || this.loaded.unended > 0;
  }

  /** Where whole lines end, once {@linkcode mend} is done. */
  get size(): number {
    const { size, unended } = this.loaded;
    return unended > 0 ? size + unended + 1 : size;
  }

  /**
   * Cuts off what is torn, once a copy of it is safe in `FILE.bad`, and ends a line that lacks its end.
   *
   * @throws what the file system said, or that the file was changed since
   */
  async mend(): Promise<void> {
    const { locked: { file }, loaded: { size, torn, unended } } = this;
    await this.#keep();
    const { size: now } = await file.stat();
    if (now !== this.size) { // else an earlier try came so far
      if (now !== size + torn.length + unended) throw new Error("It was changed by others");
      if (unended > 0) await writeAll(file, BLANK);
      else await file.truncate(size);
    }
    await file.syncData();
  }

  /** Tells what is torn, and what was done about it. */
  tell(events: Events, done: "cut off" | "left out"): void {
    const { locked: { path: file }, loaded: { torn } } = this;
    if (torn.length === 0) return;
    const fields: Parameters<Events>[2] = { file, bytes: torn.length };
    if (this.#aside !== undefined) fields.kept = this.#aside;
    if (torn.includes(0)) {
      events("warn", `${done} NUL bytes, where changes may have been`, fields);
    } else {
      const text = new TextDecoder().decode(torn.subarray(0, SHOWN));
      events("warn", `${done} a torn last line`, { ...fields, text });
    }
  }

  async #keep(): Promise<void> {
    if (this.#kept) return;
    const { path, file } = this.locked;
    const aside = `${path}.bad`;
    await keepAside(aside, this.loaded.torn, await file.stat());
    this.#aside = aside;
    this.#kept = true;
  }
}

/** Adds a line to the file at `path`: all of it, or nothing. */
async function keepAside(path: string, bytes: Uint8Array, owner: Deno.FileInfo): Promise<void> {
  try {
    using file = await appendBeside(path, owner);
    const { size } = await file.stat();
    try {
      await writeAll(file, bytes);
      await writeAll(file, Uint8Array.of(NEWLINE));
      await file.sync();
    } catch (error) {
      await file.truncate(size);
      throw error;
    }
    await syncFolder(path);
  } catch (error) {
    throw explain(path, error);
  }
}
