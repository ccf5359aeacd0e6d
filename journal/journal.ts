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
import { type Events, silent } from "./events.ts";
import { type Compacted, type CompactionOptions, Copy, NOT_WRITTEN } from "./compaction.ts";
import {
  Draft,
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
import { type Apply, type Bad, countLines, formatAbout, OLD_NAME, type Tell } from "./lines.ts";
import { loadLines, type Scanner } from "./load.ts";
import { Published } from "./published.ts";
import { Ending, refuseForeign } from "./torn.ts";
import { isFuture, nextTerm } from "./term.ts";

const CHUNK = 1 << 20;
const SUM_BYTES = 1 << 20; // from one checksum that is written to the next

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
 * const journal = await Journal.open("journal.jsonl");
 * await journal.load(({ key, url }) => console.log(key, url));
 * await journal.append('{"Key":"0","URL":"https://example.com/"}\n'); // now it is on disk
 * journal.publish(); // now followers have it
 * await journal.close();
 * ```
 */
export class Journal {
  /** What is published, as followers read it. */
  readonly feed = new Published();
  #locked: Locked;
  #appender: Appender;
  #term = 1;
  #lines = 0;
  #closing?: Promise<void>;

  private constructor(
    locked: Locked,
    private readonly options: JournalOptions,
    /** Whether the file is left as it is. */
    readonly readOnly = false,
  ) {
    this.#locked = locked;
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
    return this.#locked.path;
  }

  /** Who is told what the operator must know. */
  get events(): Events {
    return this.options.events ?? silent;
  }

  /** The file, for those who put another in its place. */
  get locked(): Locked {
    return this.#locked;
  }

  /** The position where what is published ends. */
  get size(): number {
    return this.feed.size;
  }

  /** How many bytes the file has. */
  get bytes(): number {
    return this.#appender.size;
  }

  /** How many lines the file has. */
  get lines(): number {
    return this.#lines;
  }

  /** The term: 1 for the first master, and a later one for each that took over. */
  get term(): number {
    return this.#term;
  }

  /** Why the last write failed, until one succeeds. */
  get failure(): string | undefined {
    return this.#appender.failure;
  }

  /** How often the disk was waited for. */
  get syncs(): number {
    return this.#appender.syncs;
  }

  /**
   * Reads the whole file. A torn last line, which nobody was told of, is cut off, and kept in `FILE.bad`. Where
   * that can't be written there is a {@linkcode failure}, and nothing is appended until it can.
   *
   * @param bad told of lines that are no changes; without it the first one is an error
   * @param scanner takes what it knows, in place of `apply`
   * @throws {JournalError} what is wrong with the file, and where
   */
  async load(apply: Apply, bad: Bad = refuse(this.path), scanner?: Scanner): Promise<void> {
    const { path, file } = this.#locked;
    const { events } = this;
    const { sync, progress } = this.options;
    try {
      const { size: total } = await file.stat();
      this.feed.begin(this.feed.base, this.feed.checksum.start); // a copy was read before, as it was made
      let changed: number | undefined; // where the file is not what was written
      const added = (bytes: Uint8Array) => {
        const wrong = this.feed.checksum.append(bytes);
        changed ??= wrong;
      };
      const told = (done: number) => {
        progress?.(done, total);
        scanner?.expect(done, total);
      };
      let bads = 0;
      const counted: Bad = (line, reason) => {
        bads++;
        bad(line, reason);
      };
      const loaded = await loadLines(file, apply, counted, this.tell, told, scanner, added);
      const { size, lines, unended } = loaded;
      if (lines + Number(unended > 0) === bads) await refuseForeign(this.#locked);
      this.#appender = new Appender(this.#locked, size, this.options);
      this.#lines = lines;
      // What a killed process left unsynced must not be shown as durable.
      if (sync && !this.readOnly) await file.syncData();
      if (changed !== undefined && !this.options.copy) { // of a copy its master's checksum decides
        const what = "the file was changed in place, or is a copy of one that was";
        const hint = "mirrors will copy it anew; -compact writes its checksums anew";
        events("warn", `${what}: ${hint}`, { file: path, before: changed });
      }
      await this.#offer();
      const ending = new Ending(this.#locked, loaded, !this.options.copy);
      if (this.readOnly) return ending.tell(events, "left out");
      await removeLeft(this.#locked);
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
      this.feed.checksum.add(await readAt(this.#locked.file, at, length));
    }
    this.#appender.size = ending.size;
    this.#lines++;
    await this.#offer();
    this.publish();
  }

  /** Takes over what a line says of the journal itself; where the file begins, its first one says. */
  readonly tell: Tell = (line, { term = 1, base = 0, kept, sum, fileSum }) => {
    this.#term = Math.max(this.#term, term);
    if (line !== 1 || this.bytes > 0) return;
    const isCompacted = kept !== undefined && sum !== undefined && fileSum !== undefined;
    this.feed.begin(base, isCompacted ? { kept, sum, fileSum } : undefined);
  };

  /** Lets an empty journal begin at the position where the feed does that it will be a copy of. */
  begin(position: number): void {
    this.feed.begin(position);
  }

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
    this.#lines += count;
    this.options.observer?.committed(count);
    const wrong = this.feed.append(bytes);
    if (wrong !== undefined && !compared) {
      throw new ChecksumError(`the bytes before ${wrong} are not the master's`);
    }
  }

  /** Lets followers have what was appended; of how many `keys` it is, where that is known. */
  publish(keys?: number): void {
    this.feed.publish(keys);
  }

  /**
   * Begins the next term: whoever comes to know of it refuses the masters before.
   *
   * @throws {JournalError} the term is over a day ahead of the clock: all would refuse it
   * @throws what the file system said
   */
  async promote(): Promise<void> {
    const term = nextTerm(this.#term);
    if (isFuture(term)) {
      throw new JournalError(
        `${this.path}: its term ${this.#term} is over a day ahead of this clock`,
      );
    }
    await this.append(formatAbout({ term }));
    this.#term = term;
    this.publish(this.feed.keys);
  }

  /**
   * Rewrites the file without superseded lines, while changes go on. Gives what there is then; nothing,
   * if nothing would be gained.
   *
   * @param keys how many there are in what is published, those of deleted links included
   * @throws {JournalError} what the file system said; the file is then as it was before
   */
  async compact(keys: number, options: CompactionOptions = {}): Promise<Compacted | undefined> {
    const { base, size, sum, checksum } = this.feed;
    const draft = await Draft.open(this.#locked);
    let reader: Deno.FsFile | undefined;
    try {
      using file = await Deno.open(this.path);
      const copy = new Copy(file, draft.file, options);
      const { start } = checksum;
      const made = await copy.compact({
        end: size - base,
        base,
        term: this.#term,
        keys,
        start,
        sum,
      });
      if (made === undefined) return;
      await copy.follow(() => this.bytes);
      const opened = reader = await Deno.open(draft.path);
      const placed = () => {
        this.#lines = copy.lines;
        this.feed.replace(opened, made.base, made.kept, copy.checksum);
        reader = undefined;
        return copy.size;
      };
      const finish = async (size: number) => {
        await copy.finish(size);
        if (copy.checksum.sum !== checksum.sum) throw new ChecksumError(NOT_WRITTEN);
      };
      await this.#appender.replace(draft, finish, placed);
      return { lines: this.#lines, bytes: this.bytes };
    } catch (error) {
      throw explain(this.path, error);
    } finally {
      reader?.close();
      await draft.discard();
    }
  }

  /** Gives the file another name; the lock goes with it. */
  async rename(path: string): Promise<void> {
    await rename(this.#locked, path);
    this.#locked.path = path;
  }

  /**
   * Syncs, whatever the options say, and lets go of the file.
   *
   * @throws {JournalError} what the file system said
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.feed.end();
    try {
      if (!this.readOnly) await this.#appender.close();
    } catch (error) {
      throw explain(this.path, error);
    } finally {
      await this.feed.close();
      if (this.readOnly) this.#locked.file.close();
      else await unlock(this.#locked);
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
