/**
 * What a process has of a log in a database.
 *
 * @module
 */
import { formatSum } from "../journal/checksum.ts";
import { JournalError } from "../journal/file.ts";
import { type Bad, countLines, readLines, startOf, type Tell } from "../journal/lines.ts";
import type { LineReader } from "../journal/log.ts";
import { Published } from "../journal/published.ts";
import { StoreError } from "../links/errors.ts";
import { NEWLINE } from "../links/syntax.ts";
import { explainAway } from "./call.ts";
import type { Database } from "./database.ts";
import type { Mutex } from "../links/mutex.ts";
import { readRows, RowReader, RowsGone, Run } from "./pages.ts";
import type { Head, Layout, Row } from "./rows.ts";
import { parseSnapshot, type Snapshot } from "./snapshot.ts";

const MANY_ROWS = 1000;
const SMALL_ROW = 8192; // bytes, on average
const LARGE = 4 << 20; // bytes
const MOSTLY = 1 / 2; // of the lines

/**
 * What a process has of a log: the rows that it read or wrote, in their order, each once. A log that turns out to be
 * another one is loaded into another of these: whoever follows this one's feed is let go.
 */
export class Loaded {
  /** How many lines there are. */
  lines = 0;
  term = 1;
  /** Why it is the log no more. */
  replaced?: string;
  readonly feed: Published;
  /** The rows behind the snapshot, */
  rows: Run;
  /** and its own. */
  #parts: Run;
  snapshot: Snapshot = parseSnapshot();
  readonly #source: RowReader;

  constructor(
    private readonly database: Database,
    private readonly layout: Layout,
    readonly reader: LineReader = { read: readAbout },
  ) {
    this.#source = new RowReader(database, []);
    this.feed = new Published(this.#source);
    this.rows = new Run(layout.rows, 0, 0);
    this.#parts = this.rows;
  }

  /** Whether its lines are in so many small rows that a load takes long. */
  get isScattered(): boolean {
    const rows = this.rows.count + this.#parts.count;
    return rows > MANY_ROWS && this.bytes < SMALL_ROW * rows;
  }

  /** How many bytes there are. */
  get bytes(): number {
    return this.feed.checksum.end - this.feed.base;
  }

  /** Whether a compaction is worth its work. */
  get isDue(): boolean {
    const { lines, bytes } = this;
    const superseded = this.reader.superseded?.({ lines, bytes }) ?? 0;
    return this.isScattered || bytes > LARGE && superseded > MOSTLY;
  }

  /** Why nothing can be appended to it, or taken in. */
  get refusal(): StoreError | undefined {
    return this.replaced === undefined
      ? undefined
      : new StoreError("unavailable", `the database is being read anew: ${this.replaced}`);
  }

  /**
   * Reads all up to a head.
   *
   * @throws {JournalError} what is wrong, and where
   */
  async read(head: Head, snapshot: Snapshot): Promise<void> {
    const { database, feed, layout, reader } = this;
    const parts = this.#parts = new Run(layout.rowsOf(snapshot.id), 0, 0);
    this.snapshot = snapshot;
    const take = (run: Run) => (row: Row) => {
      if (feed.checksum.end === feed.base) {
        feed.begin(row.position);
        run.end = row.position;
      }
      this.#take(row, run);
      reader.expect?.(feed.checksum.end - feed.base, head.position - feed.base);
    };
    await each(readRows(database, parts.rows, 0, snapshot.parts), take(parts));
    this.rows = new Run(layout.rows, snapshot.rows, feed.checksum.end);
    await each(readRows(database, layout.rows, snapshot.rows, head.next), take(this.rows));
    if (!this.isAt(head)) throw new JournalError("its rows don't end where its head says");
    reader.loaded?.();
    feed.use();
    this.#source.use([parts, this.rows]);
    this.publish();
  }

  /** Gives all lines of the first `size` bytes, a row at a time, and where they begin behind the base. */
  async *blocks(size: number): AsyncGenerator<{ bytes: Uint8Array; at: number }, void, void> {
    const { database, feed: { base } } = this;
    for (const { rows, first, next } of [this.#parts, this.rows]) {
      for await (const { lines: bytes, position } of readRows(database, rows, first, next)) {
        if (position - base >= size) return;
        yield { bytes, at: position - base };
      }
    }
  }

  /** How far it goes. */
  get head(): Head {
    const { end: position, sum } = this.feed.checksum;
    return { next: this.rows.next, position, sum };
  }

  /**
   * Goes over to a snapshot that took the place of rows.
   *
   * @param mutex keeps others from appending
   * @throws {JournalError} it isn't what was written
   */
  async adopt(snapshot: Snapshot, mutex: Mutex): Promise<void> {
    const fresh = new Loaded(this.database, this.layout);
    await fresh.read(this.head, snapshot);
    await mutex.run(async () => {
      const wrong = this.replaced ?? await fresh.takeIn(this.head, []);
      if (wrong !== undefined) throw new JournalError(`its snapshot is another one's: ${wrong}`);
      this.snapshot = snapshot;
      this.lines = fresh.lines;
      this.rows = fresh.rows;
      this.#parts = fresh.#parts;
      this.#source.use([this.#parts, this.rows]);
      this.feed.replace(undefined, fresh.feed.base, this.#parts.end, fresh.feed.checksum);
    });
  }

  /**
   * Takes in what others appended, up to a head.
   *
   * @param known the next rows, as far as they were read already
   * @returns why this is the log no more, where that shows
   */
  async takeIn(head: Head | undefined, known: Row[]): Promise<string | undefined> {
    const { end, sum } = this.feed.checksum;
    if (head === undefined) return this.#replace("it is empty");
    if (head.next < this.rows.next || head.position < end) {
      return this.#replace(`it ends at ${head.position}, and reached ${end}: it was restored`);
    }
    const { database, layout, rows } = this;
    try {
      for (const row of known) {
        if (rows.next === head.next) break;
        this.#take(row, rows);
      }
      // However long it takes: nothing else may be taken in meanwhile.
      await each(
        readRows(database, layout.rows, rows.next, head.next),
        (row) => this.#take(row, rows),
      );
    } catch (error) {
      const isOther = error instanceof JournalError || error instanceof RowsGone;
      return isOther ? this.#replace(error.message) : explainAway(error);
    }
    this.publish();
    if (this.isAt(head)) return;
    return this.#replace(`at ${end} its checksum is not ${formatSum(sum)}: it was restored`);
  }

  /** Whether it goes as far as a head. */
  isAt({ next, position, sum }: Head): boolean {
    const { head } = this;
    return next === head.next && position === head.position && sum === head.sum;
  }

  /** Gives the next row to the reader. */
  #take({ position, sum, lines }: Row, run: Run): void {
    const { next } = run;
    const { checksum } = this.feed;
    if (position !== checksum.end || sum !== checksum.sum) {
      throw new JournalError(`row ${next} doesn't follow what is before it`);
    }
    const bad: Bad = (line, reason) => {
      throw new JournalError(`line ${line} of row ${next}: ${reason}`);
    };
    this.lines += this.reader.read(lines, bad, this.#tell);
    run.add(lines.length);
    this.feed.append(lines);
  }

  readonly #tell: Tell = (line, about) => {
    this.term = Math.max(this.term, about.term ?? 1);
    const { feed } = this;
    const isFirst = line === 1 && feed.checksum.end === feed.base;
    const start = isFirst ? startOf(about) : undefined;
    if (start) feed.begin(feed.base, start);
  };

  /** Adds a row of one's own, which readers of this process are shown by whoever wrote it. */
  add({ lines }: Row): void {
    this.lines += countLines(lines);
    this.rows.add(lines.length);
    this.feed.append(lines);
  }

  publish(): void {
    this.feed.publish(this.reader.keys);
  }

  #replace(reason: string): string {
    this.replaced = reason;
    this.feed.end();
    this.feed.close();
    return reason;
  }
}

/** Reads the first line alone, which may be about the log, and counts the others. */
function readAbout(lines: Uint8Array, bad: Bad, tell: Tell): number {
  readLines(lines.subarray(0, lines.indexOf(NEWLINE) + 1), () => {}, bad, tell);
  return countLines(lines);
}

async function each(rows: AsyncIterable<Row>, take: (row: Row) => void): Promise<void> {
  for await (const row of rows) take(row);
}
