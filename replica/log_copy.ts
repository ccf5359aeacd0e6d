/**
 * A copy of one of a master's logs.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import type { FeedStream, LogName } from "../journal/feed.ts";
import { exists } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import type { LineReader } from "../journal/log.ts";
import { type FeedConnection, KnownTrouble } from "./follower.ts";
import { Part } from "./part.ts";

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
  readonly #part: Part;

  constructor(
    private readonly file: string,
    private readonly copied: Copied,
    private readonly options: JournalOptions = {},
  ) {
    this.#part = new Part(file, copied, options);
  }

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
        await this.#part.close();
        copied.fits?.("same");
        return await this.#takeIn(log, connection, stream);
      }
      await stream.body.cancel();
      copied.refuse?.(stream);
      const isBegun = this.#part.begun;
      if (!isBegun) this.#part.begin();
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
    const part = await this.#part.copy(connection);
    const old = await this.#part.place(part, this.#log !== undefined);
    this.#log = undefined;
    await this.copied.letGo();
    await this.#open(part);
    this.copied.placed?.(old);
  }

  async close(): Promise<void> {
    await this.#part.close();
    this.#log = undefined;
    await this.copied.letGo();
  }
}
