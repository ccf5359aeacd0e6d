/**
 * A copy of one of a master's logs.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import type { FeedStream, LogName } from "../journal/feed.ts";
import { exists, explain } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import type { LineReader } from "../journal/log.ts";
import { Seldom } from "../links/wait.ts";
import { type FeedConnection, KnownTrouble, refuseLine } from "./follower.ts";
import { checkCopy, Refusal } from "./judge.ts";
import { keepOld } from "./old.ts";
import { openPart, partOf } from "./part.ts";
import { append, tellOf } from "./replicate.ts";

const MIN_AGAIN_MS = 1000; // from one copy that is begun to the next, at first
const MAX_AGAIN_MS = 600_000; // and at last

/** What is made of a log that is copied. */
export interface Copied {
  /** Which log it is. */
  readonly logName: LogName;
  /** Whether the file stays, under another name, when another takes its place. */
  readonly keepsOld: boolean;
  /** Reads lines that are only copied. */
  readonly copyReader: LineReader;
  /** The feed is about to be asked for. */
  ask?(): void;
  /** Reads a log, and goes on with it. */
  open(log: Journal): Promise<void>;
  /**
   * Refuses a log for which the one that is there shall not be given up.
   *
   * @throws {Refusal} or {@linkcode KnownTrouble} why not
   */
  refuse?(log: { size: number; term?: number }): void;
  /** The master's log is the one that is there, or another: that is copied, for the first time or once more. */
  fits?(how: "same" | "other" | "still other"): void;
  /** Takes over what a feed brings, from where the log ends. */
  takeIn(log: Journal, connection: FeedConnection, stream: FeedStream): Promise<void>;
  /** The log proved to be another one than the master's. */
  spoil?(): void;
  /** A whole copy took the place of the file, which stays as `old`. */
  placed?(old?: string): void;
  /** Leaves the file alone, which another is to take the place of. */
  rest?(): Promise<void>;
  /** Lets go of the log. */
  letGo(): Promise<void>;
}

/**
 * Keeps a copy of a log, byte for byte. `FILE` is always a whole one, `FILE.part` one that is not finished, and
 * `FILE.old-...` those before.
 */
export class LogCopy {
  #log?: Journal; // FILE, once that is there
  #isSpoilt = false;
  #part?: Journal; // FILE.part, which stays open from one try to the next
  readonly #begins = new Seldom(MIN_AGAIN_MS, MAX_AGAIN_MS);

  constructor(
    private readonly file: string,
    private readonly copied: Copied,
    private readonly options: JournalOptions = {},
  ) {}

  /**
   * Opens the file, as far as there is one.
   *
   * @throws {JournalError} it can't be used
   */
  async load(): Promise<void> {
    if (await exists(this.file)) await this.#open(await Journal.open(this.file, this.options));
  }

  async #open(log: Journal): Promise<void> {
    try {
      await this.copied.open(log);
    } catch (error) {
      await log.close();
      throw error;
    }
    this.#log = log;
    this.#isSpoilt = false;
  }

  /** Opens the feed by `connection`, and takes it in until it ends. */
  async follow(connection: FeedConnection): Promise<void> {
    if (!this.#log) await this.load();
    const [log, { copied }] = [this.#log, this];
    if (log) {
      if (log.failure !== undefined) throw new KnownTrouble(log.failure);
      copied.ask?.();
      const check = await log.feed.check(log.size);
      const stream = await connection.open(log.size, check, copied.logName);
      if (stream.offset === log.size && !this.#isSpoilt) {
        await this.#leave();
        copied.fits?.("same");
        return await this.#takeIn(log, connection, stream);
      }
      await stream.body.cancel();
      copied.refuse?.(stream);
      const isBegun = this.#part !== undefined;
      if (!isBegun) this.#begin();
      copied.fits?.(isBegun ? "still other" : "other");
      connection.letGo();
    }
    await this.#copy(connection);
    await this.follow(connection);
  }

  async #takeIn(log: Journal, connection: FeedConnection, stream: FeedStream): Promise<void> {
    try {
      await this.copied.takeIn(log, connection, stream);
    } catch (error) {
      if (error instanceof ChecksumError) {
        this.#isSpoilt = true;
        this.copied.spoil?.();
      }
      throw error;
    }
  }

  /** Copies the feed as far as it reaches, beside the copy before. */
  async #copy(connection: FeedConnection): Promise<void> {
    const part = await this.#fill(connection);
    const old = await this.#place(part);
    this.#log = undefined;
    await this.copied.letGo();
    await this.#open(part);
    this.copied.placed?.(old);
  }

  /**
   * Makes sure that copies are begun seldom.
   *
   * @throws it is too soon
   */
  #begin(): void {
    if (!this.#begins.due()) throw new Error("the master's log is another one again and again");
  }

  /**
   * Copies a feed, as far as it reached when it was opened; it goes on where an earlier try was broken
   * off. Gives the whole copy, which is no longer ours.
   */
  async #fill(connection: FeedConnection): Promise<Journal> {
    let part = this.#part ??= await this.#openPart();
    if (part.failure !== undefined) throw new KnownTrouble(part.failure);
    const { logName, copyReader } = this.copied;
    const stream = await connection.open(part.size, await part.feed.check(part.size), logName);
    this.copied.refuse?.(stream);
    if (stream.offset !== part.size) { // it is of another journal
      if (part.size > 0) this.#begin();
      await this.#discard();
      part = this.#part = await this.#openPart();
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
        break; // the end of a feed may fail, too: until then the copy is still ours
      }
    } catch (error) {
      if (error instanceof ChecksumError) await this.#discard();
      throw error;
    }
    if (part.size < stream.size) throw new Error("it ended");
    this.#part = undefined;
    return part;
  }

  /** Removes what there is of a copy. */
  async #discard(): Promise<void> {
    await this.#leave();
    await Deno.remove(partOf(this.file));
  }

  /**
   * Puts a whole copy in the place of FILE. That one stays as `FILE.old-...`: a master that was started on a
   * wrong file shall not cost us the right one.
   *
   * @returns the name under which FILE stays
   */
  async #place(copy: Journal): Promise<string | undefined> {
    try {
      this.copied.refuse?.(copy); // whatever the master said of it
      await this.copied.rest?.(); // or it might put a file of its own in the place of the new one
      const old = this.#log && this.copied.keepsOld ? await keepOld(this.file) : undefined;
      await copy.rename(this.file);
      return old;
    } catch (error) {
      await copy.close();
      throw error instanceof Refusal || error instanceof KnownTrouble
        ? error
        : explain(this.file, error);
    }
  }

  #openPart(): Promise<Journal> {
    return openPart(partOf(this.file), this.copied.copyReader, this.options);
  }

  /** Leaves an unfinished copy as it is. */
  async #leave(): Promise<void> {
    await this.#part?.close();
    this.#part = undefined;
  }

  async close(): Promise<void> {
    await this.#leave();
    this.#log = undefined;
    await this.copied.letGo();
  }
}
