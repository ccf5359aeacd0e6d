/**
 * Reading the rows of a log, many at once.
 *
 * @module
 */
import { join } from "../journal/feed.ts";
import { Mutex } from "../links/mutex.ts";
import { within } from "./call.ts";
import { type Database, type Key, MAX_RANGE } from "./database.ts";
import { parseRow, type Row, rowKey } from "./rows.ts";

const PAGE_BYTES = 2 << 20; // of rows that are read at once
const FIRST_ROWS = 16; // until their size is known
const PAGE_MS = 10_000; // a page may take so long

/**
 * Reads the rows from number `from` up to, but without, `to`, in their order, and always one page ahead.
 *
 * @throws {RowsGone} a row isn't there any more; or what the database said
 */
export async function* readRows(
  database: Database,
  rows: Key,
  from: number,
  to: number,
): AsyncGenerator<Row, void, void> {
  let limit = FIRST_ROWS;
  const begin = (at: number) => {
    const start = rowKey(rows, at);
    const end = rowKey(rows, Math.min(to, at + limit));
    const range = { start, end, limit };
    const page = within(PAGE_MS, (signal) => database.range(range, signal));
    page.catch(() => {}); // it is awaited below
    return { page, next: Math.min(to, at + limit) };
  };
  let ahead = from < to ? begin(from) : undefined;
  for (let at = from; ahead !== undefined;) {
    const { page, next } = ahead;
    const entries = await page;
    const bytes = entries.reduce((sum, { value }) => sum + value.length, 0);
    limit = Math.max(
      1,
      Math.min(MAX_RANGE, Math.floor(PAGE_BYTES * entries.length / (bytes || 1))),
    );
    ahead = next < to ? begin(next) : undefined;
    for (const entry of entries) {
      if (Number(entry.key.at(-1)) !== at++) throw gone();
      yield parseRow(entry);
    }
    if (at !== next) throw gone();
  }
}

/** Rows are not there any more, since a snapshot replaced them. */
export class RowsGone extends Error {
  override name = "RowsGone";
}

function gone(): RowsGone {
  return new RowsGone("a snapshot replaced rows that were not read yet");
}

/** Rows one after the other, and where each begins. */
export class Run {
  readonly #starts: number[] = [];

  /**
   * @param rows where they are
   * @param first the number of the first one
   * @param end the position where the last one ends
   */
  constructor(readonly rows: Key, readonly first: number, public end: number) {}

  /** How many there are. */
  get count(): number {
    return this.#starts.length;
  }

  /** The position where the first one begins. */
  get start(): number {
    return this.#starts[0] ?? this.end;
  }

  /** The number of the next one. */
  get next(): number {
    return this.first + this.#starts.length;
  }

  /** Takes the next one over, which has so many bytes of lines. */
  add(length: number): void {
    this.#starts.push(this.end);
    this.end += length;
  }

  /** The position where a row begins. */
  startOf(number: number): number {
    return this.#starts[number - this.first] ?? this.end;
  }

  /** The number of the row that a position is in. */
  find(position: number): number {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return this.first + low - 1;
  }
}

/** Reads a log by positions, for all followers, for each in its turn. */
export class RowReader {
  #page?: { position: number; bytes: Uint8Array };
  readonly #mutex = new Mutex();
  #closed = false;

  /** @param runs the rows of the snapshot, if there is one, and those behind it */
  constructor(private readonly database: Database, private runs: Run[]) {}

  /** Reads other rows from now on. */
  use(runs: Run[]): void {
    this.runs = runs;
    this.#page = undefined;
  }

  /** Gives so many bytes from `position`; none, where the log begins behind it. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#mutex.run(() => this.#read(position, length));
  }

  async #read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const page = await this.#pageOf(position + at);
      if (page === undefined) return bytes.slice(0, at);
      const part = page.bytes.subarray(position + at - page.position).subarray(0, length - at);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** The rows from the one on that a position is in. */
  async #pageOf(position: number): Promise<{ position: number; bytes: Uint8Array } | undefined> {
    if (this.#closed) throw new Error("the log was closed, or is another one now");
    const page = this.#page;
    if (page && position >= page.position && position < page.position + page.bytes.length) {
      return page;
    }
    const run = this.runs.find(({ start, end }) => position >= start && position < end);
    if (run === undefined) return;
    const first = run.find(position);
    let behind = run.find(run.startOf(first) + PAGE_BYTES / 4) + 1;
    behind = Math.min(Math.max(behind, first + 1), first + MAX_RANGE, run.next);
    const lines: Uint8Array[] = [];
    for await (const row of readRows(this.database, run.rows, first, behind)) lines.push(row.lines);
    return this.#page = { position: run.startOf(first), bytes: join(lines) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#mutex.run(() => {});
  }
}
