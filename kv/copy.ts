/**
 * A copy of the log in a database, in a file beside it.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { type FeedStream, openFeed } from "../journal/feed.ts";
import { JournalError, reasonOf } from "../journal/file.ts";
import type { Journal } from "../journal/journal.ts";
import { changesTo, type LineReader, type Log } from "../journal/log.ts";
import { FeedConnection, type FeedSource, KnownTrouble, refuseLine } from "../replica/follower.ts";
import { checkCopy } from "../replica/judge.ts";
import { type Copied, LogCopy } from "../replica/log_copy.ts";
import { append } from "../replica/replicate.ts";
import { pause } from "../links/wait.ts";

const RETRY_MS = 1000;

/** How a {@linkcode LocalCopy} is kept. */
export interface LocalCopyOptions {
  events?: Events;
  /** Whether the database is right where it ends before the copy: it was restored, and is promoted. */
  promote?: boolean;
}

/**
 * Keeps a copy of a log, byte for byte, as a mirror does: a master starts from it while the database is away, and
 * serves reads. A file that is no copy of the log is refused, and never replaced.
 */
export class LocalCopy implements Copied {
  readonly logName = "links";
  readonly keepsOld = true;
  readonly copyReader = changesTo(() => {});
  readonly #copy: LogCopy;
  readonly #events: Events;
  readonly #closed = new AbortController();
  #reader: LineReader = this.copyReader;
  #file?: Journal;
  #following?: Promise<void>;
  #isServing = false; // whether the master serves by now, and goes on without a copy

  constructor(private readonly path: string, private readonly options: LocalCopyOptions = {}) {
    this.#events = options.events ?? silent;
    this.#copy = new LogCopy(path, this, { events: this.#events });
  }

  /** Reads what there is in place of the database's log; nothing where there is no copy. */
  async load(reader: LineReader): Promise<Journal | undefined> {
    this.#isServing = true;
    this.#reader = reader;
    try {
      if (this.#file === undefined) await this.#copy.load();
      return this.#file;
    } finally {
      this.#reader = this.copyReader;
    }
  }

  /**
   * Copies a log from now on, which was loaded just now. Where it turned out to be another one, since the database was
   * restored, or away as the master started, the copy stays as it is: the log is what counts.
   *
   * @throws {JournalError} the file is no copy of it, or reaches further, and the master serves nobody yet
   */
  async follow(log: Log): Promise<void> {
    if (this.#closed.signal.aborted) return;
    try {
      if (this.#file === undefined) await this.#copy.load();
      if (this.#file) await this.#check(this.#file, log);
    } catch (error) {
      if (!this.#isServing) throw error;
      this.#events("error", "the copy is kept no more", { reason: reasonOf(error) });
      return await this.close();
    }
    this.#isServing = true;
    this.#following ??= this.#run(log);
  }

  async #check({ size, term, lines, feed }: Journal, log: Log): Promise<void> {
    const { path } = this;
    if (lines === 0 || await log.feed.check(size) === feed.sum) return;
    if (term === log.term) {
      if (size < log.feed.base || this.options.promote) return; // it is copied anew
      if (size > log.feed.size) {
        throw new JournalError(
          `${path}: it reaches to ${size}, and the log in ${log.name} to ${log.feed.size}: ` +
            "was the database restored? -promote goes on with it",
        );
      }
    }
    throw new JournalError(`${path}: it is no copy of the log in ${log.name}: name another file`);
  }

  async #run(log: Log): Promise<void> {
    const { signal } = this.#closed;
    const source: FeedSource = {
      session: signal,
      transport: { feed: (offset, check, until) => openFeed(log.feed, offset, check, until) },
      checkTerm: () => {},
      ask: () => Promise.reject(new Error("there is nobody to ask")),
    };
    let told = "";
    while (!signal.aborted) {
      const connection = new FeedConnection(source, signal, () => {});
      try {
        await this.#copy.follow(connection);
      } catch (error) {
        const reason = reasonOf(error);
        const isNews = !(error instanceof KnownTrouble) && reason !== told && !signal.aborted;
        if (isNews) this.#events("warn", "cannot copy the log", { file: this.path, reason });
        told = reason;
      }
      connection.end();
      await pause(RETRY_MS, signal);
    }
  }

  async open(file: Journal): Promise<void> {
    await file.load(this.#reader, (line, reason) => {
      throw new JournalError(`${this.path}:${line}: ${reason}: it is no copy of a log`);
    });
    file.publish();
    this.#file = file;
  }

  async takeIn(file: Journal, connection: FeedConnection, stream: FeedStream): Promise<void> {
    checkCopy(file.feed, stream);
    for await (const lines of connection.blocks(stream)) {
      this.copyReader.read(lines, refuseLine, file.tell);
      if (lines.length > 0) await append(file, lines, stream);
      file.publish();
      checkCopy(file.feed, stream);
    }
  }

  placed(old?: string): void {
    this.#events("info", "the copy is complete", { file: this.path, ...(old ? { old } : {}) });
  }

  async letGo(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Ends the copying, and lets go of the file. */
  async close(): Promise<void> {
    this.#closed.abort(new Error("closed"));
    await this.#following;
    await this.#copy.close();
  }
}
