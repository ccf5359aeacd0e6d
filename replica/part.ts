/**
 * A copy of a master's journal that is being made.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import { exists, explain, JournalError } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { ForeignError } from "../journal/torn.ts";
import { type FeedConnection, KnownTrouble, refuseLine } from "./follower.ts";
import { checkCopy, Refusal } from "./judge.ts";
import type { Copied } from "./log_copy.ts";
import { keepOld } from "./old.ts";
import { append, tellOf } from "./replicate.ts";
import { Seldom } from "../links/wait.ts";

const MIN_AGAIN_MS = 1000; // from one copy that is begun to the next, at first
const MAX_AGAIN_MS = 600_000; // and at last

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

/** A copy that isn't finished, `FILE.part`. It stays open from one try to the next. */
export class Part {
  readonly #path: string;
  readonly #begins = new Seldom(MIN_AGAIN_MS, MAX_AGAIN_MS);
  #journal?: Journal;

  constructor(
    private readonly file: string,
    private readonly copied: Copied,
    private readonly options: JournalOptions,
  ) {
    this.#path = partOf(file);
  }

  /** Whether one was begun, and is to be gone on with. */
  get begun(): boolean {
    return this.#journal !== undefined;
  }

  /**
   * Makes sure that copies are begun seldom.
   *
   * @throws it is too soon
   */
  begin(): void {
    if (!this.#begins.due()) throw new Error("the master's log is another one again and again");
  }

  /**
   * Copies a feed, as far as it reached when it was opened; it goes on where an earlier try was broken
   * off. Gives the whole copy, which is no longer ours.
   */
  async copy(connection: FeedConnection): Promise<Journal> {
    let part = this.#journal ??= await this.#open();
    if (part.failure !== undefined) throw new KnownTrouble(part.failure);
    const { logName, copyReader } = this.copied;
    const stream = await connection.open(part.size, await part.feed.check(part.size), logName);
    this.copied.refuse?.(stream);
    if (stream.offset !== part.size) { // it is of another journal
      if (part.size > 0) this.begin();
      await this.#discard();
      part = this.#journal = await this.#open();
      part.feed.begin(stream.offset);
    }
    try {
      for await (const lines of connection.blocks(stream)) {
        copyReader.read(lines, refuseLine, tellOf(part));
        if (lines.length > 0) await append(part, lines, stream);
        connection.worked ||= lines.length > 0;
        part.publish();
        if (part.size < stream.size) continue;
        checkCopy(part.feed, stream);
        this.#journal = undefined;
        return part;
      }
    } catch (error) {
      if (error instanceof ChecksumError) await this.#discard();
      throw error;
    }
    throw new Error("it ended");
  }

  /** Removes what there is of a copy. */
  async #discard(): Promise<void> {
    await this.close();
    await Deno.remove(this.#path);
  }

  /**
   * Puts a whole copy in the place of FILE. That one stays as `FILE.old-...`: a master that was started on a
   * wrong file shall not cost us the right one.
   *
   * @param isThere whether there is a FILE
   * @returns the name under which FILE stays
   */
  async place(copy: Journal, isThere: boolean): Promise<string | undefined> {
    try {
      this.copied.refuse?.(copy); // whatever the master said of it
      await this.copied.rest?.(); // or it might put a file of its own in the place of the new one
      const old = isThere && this.copied.keepsOld ? await keepOld(this.file) : undefined;
      await copy.rename(this.file);
      return old;
    } catch (error) {
      await copy.close();
      throw error instanceof Refusal || error instanceof KnownTrouble
        ? error
        : explain(this.file, error);
    }
  }

  async close(): Promise<void> {
    await this.#journal?.close();
    this.#journal = undefined;
  }

  /** An unfinished copy, with whole lines only; one that can't be read is begun anew. */
  async #open(): Promise<Journal> {
    for (let tries = 0;; tries++) {
      const part = await Journal.open(this.#path, { ...this.options, copy: true });
      try {
        await part.load(this.copied.copyReader);
        return part;
      } catch (error) {
        await part.close();
        if (tries > 0 || error instanceof ForeignError) throw error;
        await Deno.remove(this.#path);
      }
    }
  }
}
