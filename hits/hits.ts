/**
 * What the owner of links, or a mirror of them, knows of how often they are followed.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import { StoreError } from "../links/errors.ts";
import type { Table } from "../links/table.ts";
import type { Counting } from "./counting.ts";
import { type Counts, today } from "./counts.ts";
import { HitsFile, type Part } from "./file.ts";
import { formatLine, type Line, parseLine } from "./lines.ts";
import { Senders } from "./senders.ts";
import { Sums } from "./sums.ts";
import { DAYS, NO_TRAFFIC, type Traffic } from "./traffic.ts";

const WRITE_MS = 1000;
const MIN_GROWTH = 4 << 20; // bytes by which the file grows at least before it is written anew
const LINE_ROWS = 1000; // of a file that is written anew

/** Where counts are kept. */
export interface HitsOptions {
  events?: Events;
}

/**
 * Adds up what is counted, and keeps it in `FILE.hits`, which is a second late at most. What another server
 * counted is written before it is told so, and counts once, however often it comes.
 *
 * @example
 * ```ts
 * import { Table } from "../links/table.ts";
 *
 * const table = new Table();
 * table.set({ key: "docs", url: "https://example.com/" });
 * const hits = new Hits("counted.jsonl.hits", table);
 * await hits.load();
 * hits.add({ day: 20782, hits: [["docs", 3, 0]] });
 * await hits.traffic("docs"); // { hits: 3, previews: 0, last: 20782, days: [[20782, 3]] }
 * await hits.close();
 * ```
 */
export class Hits implements Counting {
  readonly sums = new Sums();
  /** Resolves when what there was is known. */
  loaded: Promise<void> = Promise.resolve();
  readonly #file: HitsFile;
  readonly #senders = new Senders();
  readonly #taking = new Map<string, Promise<void>>(); // by the marks of counts on their way
  readonly #events: Events;
  #lines = ""; // that were added up, and are still to be written
  #held?: (() => void)[]; // what comes while the file is written anew, and counts after that
  #writing: Promise<unknown> = Promise.resolve();
  #timer?: ReturnType<typeof setTimeout>;
  #written = 0; // how large the file was when it was written anew
  #incomplete = false; // whether the file lacks something that was counted
  #usable = true; // whether the file can be written to
  #closed = false;

  constructor(path: string, private readonly table: Table, { events = silent }: HitsOptions = {}) {
    this.#file = new HitsFile(path);
    this.#events = events;
  }

  /** Reads what there is, and goes on with it. What comes meanwhile counts after that. */
  load(): Promise<void> {
    return this.loaded = this.#hold(async () => {
      const { path: file } = this.#file;
      let bad = 0;
      try {
        await this.#file.load((text) => {
          const line = parseLine(text);
          if (line) this.#apply(line);
          else bad++;
        });
      } catch (error) {
        // Nobody shall have to do without links for that; but what is there must not be lost either.
        this.#usable = false;
        this.#events("error", "cannot load hits", { file, reason: reasonOf(error) });
      }
      this.#written = this.#file.size / 2;
      if (bad > 0) this.#events("warn", "left out damaged hits", { file, lines: bad });
    });
  }

  add(counts: Counts): void {
    this.#note(() => this.#lineOf(counts));
  }

  take(counts: Counts): Promise<void> {
    const { id = "" } = counts;
    const known = this.#taking.get(id);
    if (known !== undefined) return known;
    const taken = this.#append(counts).finally(() => this.#taking.delete(id));
    if (id !== "") this.#taking.set(id, taken);
    return taken;
  }

  /** What was counted of a link is no more: it has ended, and its key is free. */
  forget(key: string): void {
    this.#note(() => {
      const row = this.table.counterOf(key);
      return row === 0 ? undefined : { day: today(), gone: [row] };
    });
  }

  async traffic(key: string): Promise<Traffic> {
    await this.loaded;
    const row = this.table.counterOf(key);
    return row === 0 ? NO_TRAFFIC : this.sums.trafficOf(row);
  }

  async read(file: string, offset: number): Promise<Part> {
    await this.loaded;
    return await this.#queue(() => this.#file.read(file, offset));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.loaded.catch(() => {});
    await this.#write();
    await this.#file.close();
  }

  /** Adds what was counted here, and has it written soon. */
  #note(count: () => Line | undefined): void {
    if (this.#held !== undefined) return void this.#held.push(() => this.#note(count));
    const line = count();
    if (line === undefined) return;
    this.#addUp(line);
    if (!this.#usable) return;
    this.#lines += formatLine(line);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
  }

  /** What the file is told of counts: links that are followed for the first time get their rows. */
  #lineOf({ day, hits: keyed, rows = new Uint32Array(), id }: Counts): Line {
    if (keyed.length === 0) return { day, hits: rows, id };
    const first = this.sums.rows + 1;
    const keys: string[] = [];
    const hits = [...rows];
    const previews: number[] = [];
    for (const [key, count, looks] of keyed) {
      let row = this.table.counterOf(key);
      if (row === 0) {
        if (!this.table.has(key)) continue; // it never was a link
        row = this.sums.newRow();
        this.table.setCounter(key, row);
        keys.push(key);
      }
      if (count > 0) hits.push(row, count);
      if (looks > 0) previews.push(row, looks);
    }
    return { day, first, keys, hits, previews, id };
  }

  /** Takes over a line of the file. */
  #apply(line: Line): void {
    const { sums } = this;
    const { first = sums.rows + 1, keys = [] } = line;
    // Lines that were damaged may have had rows, too.
    while (keys.length > 0 && sums.rows < first - 1) sums.newRow();
    for (const [i, key] of keys.entries()) {
      if (first + i > sums.rows) sums.newRow();
      this.table.setCounter(key, first + i);
    }
    this.#addUp(line);
  }

  #addUp({ day, hits = [], previews = [], gone = [], id }: Line): void {
    const { sums } = this;
    for (const row of gone) if (row <= sums.rows) sums.reset(row);
    for (let i = 0; i < hits.length; i += 2) {
      if (hits[i] <= sums.rows) sums.add(hits[i], day, hits[i + 1]);
    }
    for (let i = 0; i < previews.length; i += 2) {
      if (previews[i] <= sums.rows) sums.add(previews[i], day, 0, previews[i + 1]);
    }
    if (id !== undefined) this.#senders.note(id);
  }

  async #append(counts: Counts): Promise<void> {
    await this.loaded;
    await this.#queue(async () => {
      if (counts.id !== undefined && this.#senders.has(counts.id)) return;
      const line = this.#lineOf(counts);
      try {
        await this.#save(formatLine(line));
      } catch (error) {
        throw new StoreError("full", `cannot save: ${reasonOf(error)}`);
      }
      this.#addUp(line);
    });
  }

  /** Writes what is to be written. */
  #write(): Promise<void> {
    return this.#queue(() => this.#save().catch(() => {}));
  }

  /**
   * Writes what was added up, and `more`, which was not. A file that has grown much, or that lacks something, is
   * written anew first.
   */
  async #save(more = ""): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#usable) return;
    let lines = this.#lines;
    this.#lines = "";
    const { path: file, size } = this.#file;
    try {
      if (this.#incomplete || size + lines.length > 2 * this.#written + MIN_GROWTH) {
        await this.#hold(() => this.#file.replace(this.#all()));
        this.#written = this.#file.size;
        lines = "";
      }
      if (lines !== "" || more !== "") await this.#file.append(lines + more);
      if (this.#incomplete) this.#events("info", "hits are saved again", { file });
      this.#incomplete = false;
    } catch (error) {
      if (!this.#incomplete) {
        this.#events("error", "cannot save hits", { file, reason: reasonOf(error) });
      }
      // Nothing is kept for later but the sums, of which the whole file is made then.
      this.#incomplete = true;
      if (!this.#closed) this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
      throw error;
    }
  }

  /** All that was counted, as lines. */
  async *#all(): AsyncGenerator<string, void, void> {
    const day = today();
    for (const id of this.#senders) yield formatLine({ day, id });
    const { rows } = this.sums;
    const keys = new Array<string>(rows + 1).fill("");
    for (const counters of this.table.counters()) {
      for (const [key, row] of counters) keys[row] = key;
      await turn();
    }
    for (let first = 1; first <= rows; first += LINE_ROWS) {
      const end = Math.min(first + LINE_ROWS, rows + 1);
      yield formatLine({ day, first, keys: keys.slice(first, end) }) +
        this.#linesOf(first, end, day);
      await turn();
    }
  }

  /** What was counted of some rows: a line for each day, and one for all that was before. */
  #linesOf(first: number, end: number, today: number): string {
    const byDay = new Map<number, { hits: number[]; previews: number[] }>();
    const of = (day: number) => {
      const line = byDay.get(day) ?? { hits: [], previews: [] };
      byDay.set(day, line);
      return line;
    };
    for (let row = first; row < end; row++) {
      const { hits, previews, last = 0, days } = this.sums.trafficOf(row);
      let before = hits;
      for (const [day, count] of days) {
        of(day).hits.push(row, count);
        before -= count;
      }
      const day = Math.min(last, today - DAYS);
      if (before > 0) of(day).hits.push(row, before);
      if (previews > 0) of(day).previews.push(row, previews);
    }
    return Array.from(byDay, ([day, line]) => formatLine({ day, ...line })).join("");
  }

  /** Does what must not meet new counts; they are added after that. */
  async #hold(work: () => Promise<void>): Promise<void> {
    this.#held = [];
    try {
      await work();
    } finally {
      const held = this.#held;
      this.#held = undefined;
      for (const note of held) note();
    }
  }

  /** One after the other. */
  #queue<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}

/** Everybody else has a turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
