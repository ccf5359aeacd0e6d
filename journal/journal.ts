/**
 * The journal: a file of JSON lines, one line a change. It is only ever appended to, by one process
 * at a time, so that its bytes up to {@linkcode Journal.size} never change: that is what a follower
 * may copy, and what a crash cannot take away.
 *
 * A position in it counts all bytes that were ever written. A compaction takes some away from the
 * beginning of the file: where the file begins then, its first line says.
 *
 * @module
 */
import { Appender, type JournalObserver } from "./appender.ts";
import { ChecksumError } from "./checksum.ts";
import type { Compacted, CompactionOptions } from "./compaction.ts";
import { type Events, silent } from "./events.ts";
import { MAX_LINE } from "./feed.ts";
import {
  explain,
  JournalError,
  lock,
  type Locked,
  openToRead,
  readAt,
  removeLeft,
  rename,
  unlock,
} from "./file.ts";
import { type Bad, countLines, formatAbout, OLD_NAME, startOf, type Tell } from "./lines.ts";
import { loadLines } from "./load.ts";
import { type LineReader, type Log } from "./log.ts";
import { Published } from "./published.ts";
import { compactFile } from "./rewrite.ts";
import { termAfter } from "./term.ts";
import { Ending, refuseForeign } from "./torn.ts";

const CHUNK = 1 << 20;
const SUM_BYTES = 1 << 20; // from one checksum that is written to the next
const LARGE = 64 << 20; // bytes: a smaller file is not worth the work
const MOSTLY = 1 / 2;

const encoder = new TextEncoder();

/** How {@linkcode Journal.open} treats its file. */
export interface JournalOptions {
  /** Whether {@linkcode Journal.append} waits for the disk. */
  sync?: boolean;
  events?: Events;
  observer?: JournalObserver;
  /** Told now and then how many bytes of how many are loaded. */
  progress?: (done: number, total: number) => void;
  /** Whether it is a copy beside another file: what is torn can be had again, and no link is followed. */
  copy?: boolean;
}

/**
 * An open journal, locked for this process until it is closed.
 *
 * @example
 * ```ts
 * import { changesTo } from "./log.ts";
 *
 * const journal = await Journal.open("journal.jsonl");
 * await journal.load(changesTo(({ key, url }) => console.log(key, url)));
 * await journal.append('{"Key":"0","URL":"https://example.com/"}\n'); // now it is on disk
 * journal.publish(); // now followers have it
 * await journal.close();
 * ```
 */
export class Journal implements Log {
  readonly kind = "file";
  readonly shared = false;
  readonly feed = new Published();
  readonly maxLine = MAX_LINE;
  readonly maxAppend = Infinity;
  /** Never called: a file that others put in this one's place is refused by each append. */
  onreplace: (reason: string) => void = () => {};
  term = 1;
  lines = 0;
  #appender: Appender;
  #reader?: LineReader;
  #closing?: Promise<void>;

  private constructor(
    /** The file, for those who put another in its place. */
    readonly locked: Locked,
    private readonly options: JournalOptions,
    /** Whether the file is left as it is. */
    readonly readOnly = false,
  ) {
    this.#appender = new Appender(locked, 0, options);
  }

  /**
   * Opens `path`, makes it where it is missing, and locks it.
   *
   * @throws {JournalError} it can't be written, or another process has it
   */
  static async open(path: string, options: JournalOptions = {}): Promise<Journal> {
    return new Journal(await lock(path, options.copy), options);
  }

  /**
   * Opens `path` only to be read: not a byte is written, there or beside it, and whoever has it may go on.
   *
   * @throws {JournalError} it can't be read
   */
  static async read(path: string, options: JournalOptions = {}): Promise<Journal> {
    return new Journal(await openToRead(path), options, true);
  }

  get path(): string {
    return this.locked.path;
  }

  get name(): string {
    return this.locked.path;
  }

  /** Who is told what the operator must know. */
  get events(): Events {
    return this.options.events ?? silent;
  }

  /** The position where what is published ends. */
  get size(): number {
    return this.feed.size;
  }

  get bytes(): number {
    return this.#appender.size;
  }

  get failure(): string | undefined {
    return this.#appender.failure;
  }

  get isDue(): boolean {
    return this.bytes > LARGE && (this.#reader?.superseded?.(this) ?? 0) > MOSTLY;
  }

  get syncs(): number {
    return this.#appender.syncs;
  }

  /**
   * Reads the whole file. A torn last line, which nobody was told of, is cut off, and kept in `FILE.bad`. Where
   * that can't be written there is a {@linkcode failure}, and nothing is appended until it can.
   *
   * @param bad told of lines that can't be read; without it the first one is an error
   * @throws {JournalError} what is wrong with the file, and where
   */
  async load(reader: LineReader, bad: Bad = refuse(this.path)): Promise<void> {
    const { path, file } = this.locked;
    const { events } = this;
    const { sync, progress } = this.options;
    this.#reader = reader;
    try {
      const { size: total } = await file.stat();
      this.feed.begin(this.feed.base, this.feed.checksum.start); // a copy was read before, as it was made
      let changed: number | undefined; // where the file is not what was written
      const added = (bytes: Uint8Array, before: number) => {
        const wrong = this.feed.checksum.append(bytes);
        changed ??= wrong;
        progress?.(before + bytes.length, total);
        reader.expect?.(before + bytes.length, total);
      };
      let bads = 0;
      const counted: Bad = (line, reason) => {
        bads++;
        bad(line, reason);
      };
      const loaded = await loadLines(file, reader, counted, this.tell, added);
      reader.loaded?.();
      const { size, lines, unended } = loaded;
      if (lines + Number(unended > 0) === bads) await refuseForeign(this.locked);
      this.#appender = new Appender(this.locked, size, this.options);
      this.lines = lines;
      // What a killed process left unsynced must not be shown as durable.
      if (sync && !this.readOnly) await file.syncData();
      if (changed !== undefined && !this.options.copy) { // of a copy its master's checksum decides
        const what = "the file was changed in place, or is a copy of one that was";
        const hint = "mirrors will copy it anew; -compact writes its checksums anew";
        events("warn", `${what}: ${hint}`, { file: path, before: changed });
      }
      await this.#offer();
      const ending = new Ending(this.locked, loaded, !this.options.copy);
      if (this.readOnly) return ending.tell(events, "left out");
      await removeLeft(this.locked);
      if (ending.isOdd) await this.#appender.mend(() => this.#mend(ending));
    } catch (error) {
      throw explain(path, error);
    }
  }

  /** Lets followers read what was loaded. */
  async #offer(): Promise<void> {
    this.feed.use(await Deno.open(this.path));
  }

  async #mend(ending: Ending): Promise<void> {
    await ending.mend();
    ending.tell(this.events, "cut off");
    const { size } = this.#appender;
    if (ending.size === size) return;
    for (let at = size, length; at < ending.size; at += length) {
      length = Math.min(CHUNK, ending.size - at);
      this.feed.checksum.add(await readAt(this.locked.file, at, length));
    }
    this.#appender.size = ending.size;
    this.lines++;
    await this.#offer();
    this.publish();
  }

  /** Takes over what a line says of the journal itself; where the file begins, its first one says. */
  readonly tell: Tell = (line, about) => {
    this.term = Math.max(this.term, about.term ?? 1);
    if (line === 1 && this.bytes === 0) this.feed.begin(about.base ?? 0, startOf(about));
  };

  /**
   * Writes lines of one's own at the end, all or none, and syncs. Now and then it writes the checksum of
   * what is before them.
   *
   * @throws {MaybeSavedError} or else what the file system said: the file is then as it was before
   */
  async append(lines: string): Promise<void> {
    const { end, sum, written } = this.feed.checksum;
    const isDue = end - written >= SUM_BYTES;
    await this.copy(encoder.encode(isDue ? formatAbout({ sum }) + lines : lines));
  }

  /**
   * Writes whole lines of another journal at the end, as they are.
   *
   * @param compared whether the copy will be compared with the other journal's own checksum: then those in
   * the lines may be wrong, as they are where that file was changed in place
   * @throws what the file system said; the file is then as it was before
   * @throws {ChecksumError} what is written by now is not what the other journal holds
   */
  async copy(bytes: Uint8Array, compared = false): Promise<void> {
    await this.#appender.append(bytes);
    const count = countLines(bytes);
    this.lines += count;
    this.options.observer?.committed(count);
    const wrong = this.feed.append(bytes);
    if (wrong !== undefined && !compared) {
      throw new ChecksumError(`the bytes before ${wrong} are not the master's`);
    }
  }

  publish(): void {
    this.feed.publish(this.#reader?.keys);
  }

  /** Nobody else appends. */
  catchUp(): undefined {}

  /**
   * Begins the next term: whoever comes to know of it refuses the masters before.
   *
   * @throws {JournalError} the term is over a day ahead of the clock: all would refuse it
   * @throws what the file system said
   */
  async promote(): Promise<void> {
    const term = termAfter(this);
    await this.append(formatAbout({ term }));
    this.term = term;
    this.publish();
  }

  async compact(options: CompactionOptions = {}): Promise<Compacted | undefined> {
    const placed = (lines: number) => this.lines = lines;
    const parts = { locked: this.locked, appender: this.#appender, feed: this.feed, placed };
    return await compactFile({ ...parts, term: this.term }, this.#reader, options);
  }

  /** Gives the file another name; the lock goes with it. */
  async rename(path: string): Promise<void> {
    await rename(this.locked, path);
    this.locked.path = path;
  }

  /**
   * Syncs, whatever the options say, and lets go of the file.
   *
   * @throws {JournalError} what the file system said
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  end(): void {
    this.feed.end();
  }

  async #close(): Promise<void> {
    this.end();
    try {
      if (!this.readOnly) await this.#appender.close();
    } catch (error) {
      throw explain(this.path, error);
    } finally {
      await this.feed.close();
      if (this.readOnly) this.locked.file.close();
      else await unlock(this.locked);
    }
  }
}

/** Refuses a file with a bad line, and says what to do. */
export function refuse(path: string): Bad {
  return (line, reason) => {
    const remedy = reason.endsWith(OLD_NAME)
      ? `: take the file over with -import=${path} -file=NEW`
      : `; -repair moves bad lines to ${path}.bad`;
    throw new JournalError(`${path}:${line}: ${reason}${remedy}`);
  };
}
