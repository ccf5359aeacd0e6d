/**
 * What a process has of a log in a database.
 *
 * @module
 */
import { formatSum } from "../journal/checksum.ts";
import { JournalError } from "../journal/file.ts";
import { type Bad, countLines, type Tell } from "../journal/lines.ts";
import type { LineReader } from "../journal/log.ts";
import { Published } from "../journal/published.ts";
import { StoreError } from "../links/errors.ts";
import { ask } from "./call.ts";
import type { Database } from "./database.ts";
import { readRows, RowReader, RowsGone, Run } from "./pages.ts";
import type { Head, Layout, Row } from "./rows.ts";

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
  /** The rows behind the snapshot. */
  rows: Run;
  readonly #source: RowReader;

  constructor(
    private readonly database: Database,
    private readonly layout: Layout,
    private readonly reader: LineReader = { read: countLines },
  ) {
    this.#source = new RowReader(database, []);
    this.feed = new Published(this.#source);
    this.rows = new Run(layout.rows, 0, 0);
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
  async read(head: Head): Promise<void> {
    await this.#readTo(head, (row) => {
      this.#take(row);
      this.feed.checksum.append(row.lines);
      this.reader.expect?.(this.rows.end - this.feed.base, head.position - this.feed.base);
    });
    if (!this.#isAt(head)) throw new JournalError("its rows don't end where its head says");
    this.reader.loaded?.();
    this.feed.use();
    this.#source.use([this.rows]);
    this.publish();
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
    try {
      for (const row of known) {
        if (this.rows.next === head.next) break;
        this.#apply(row);
      }
      await ask(() => this.#readTo(head, (row) => this.#apply(row)));
    } catch (error) {
      if (error instanceof StoreError) throw error;
      if (error instanceof JournalError || error instanceof RowsGone) {
        return this.#replace(error.message);
      }
      throw error;
    }
    this.publish();
    if (this.#isAt(head)) return;
    return this.#replace(`at ${end} its checksum is not ${formatSum(sum)}: it was restored`);
  }

  async #readTo(head: Head, take: (row: Row) => void): Promise<void> {
    const { rows } = this;
    for await (const row of readRows(this.database, rows.rows, rows.next, head.next)) take(row);
  }

  #isAt(head: Head): boolean {
    const { end, sum } = this.feed.checksum;
    return end === head.position && sum === head.sum;
  }

  /** Gives a row that others wrote to the reader. */
  #apply(row: Row): void {
    this.#take(row);
    this.feed.append(row.lines);
  }

  #take({ position, sum, lines }: Row): void {
    const { next } = this.rows;
    const { checksum } = this.feed;
    if (position !== checksum.end || sum !== checksum.sum) {
      throw new JournalError(`row ${next} doesn't follow what is before it`);
    }
    const bad: Bad = (line, reason) => {
      throw new JournalError(`line ${line} of row ${next}: ${reason}`);
    };
    this.lines += this.reader.read(lines, bad, this.#tell);
    this.rows.add(lines.length);
  }

  readonly #tell: Tell = (_, { term = 1 }) => {
    this.term = Math.max(this.term, term);
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
