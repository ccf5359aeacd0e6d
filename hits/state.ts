/**
 * What is known of how often links are followed.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import type { CountedHits } from "../links/search.ts";
import type { Table } from "../links/table.ts";
import { type Counts, today } from "./counts.ts";
import type { HitsFile } from "./file.ts";
import { formatLine, type Line, parseLine } from "./lines.ts";
import { Senders } from "./senders.ts";
import { Sums } from "./sums.ts";
import { DAYS, NO_TRAFFIC, type Traffic } from "./traffic.ts";

const ROW_BYTES = 32; // of a row, a key, and sums
const DAY_BYTES = 10;

/**
 * The sums of a table's links, whose rows the table keeps, and whose counts were taken in: all that
 * {@linkcode HitsFile} tells by its lines, and is made of.
 */
export class HitsState implements CountedHits {
  /** Resolves when what there was is known. */
  loaded: Promise<void> = Promise.resolve();
  sums = new Sums();
  #senders = new Senders();

  constructor(private readonly table: Table) {
    table.hits = this;
  }

  /** Takes over a file, but for lines that are damaged. Gives how many are. */
  async read(file: HitsFile, events: Events): Promise<number> {
    const lines = await file.load((text) => {
      const line = parseLine(text);
      if (line) this.apply(line);
      return line !== undefined;
    });
    if (lines > 0) events("warn", "left out damaged hits", { file: file.path, lines });
    return lines;
  }

  /** Whether counts with that id were taken in. */
  has(id: string): boolean {
    return this.#senders.has(id);
  }

  hitsOf(row: number): number {
    return this.sums.hitsOf(row);
  }

  /** How often the link of `key` was followed. */
  async traffic(key: string): Promise<Traffic> {
    await this.loaded;
    const row = this.table.counterOf(key);
    return row === 0 ? NO_TRAFFIC : this.sums.trafficOf(row);
  }

  /** That the link of `key` has ended, as a line, if anything was counted of it. */
  endOf(key: string): Line | undefined {
    const row = this.table.counterOf(key);
    return row === 0 ? undefined : { day: today(), gone: [row] };
  }

  /** Forgets all. */
  clear(): void {
    for (const counters of this.table.counters()) {
      for (const [key] of counters) this.table.setCounter(key, 0);
    }
    this.sums = new Sums();
    this.#senders = new Senders();
  }

  /** Counts as a line, which is still to be added up; links that are followed for the first time get rows. */
  lineOf({ day, hits: keyed, rows = new Uint32Array(), id }: Counts): Line {
    if (keyed.length === 0) return { day, hits: rows, id };
    const [newRows, keys]: [number[], string[]] = [[], []];
    const hits = [...rows];
    const previews: number[] = [];
    for (const [key, count, looks] of keyed) {
      let row = this.table.counterOf(key);
      if (row === 0) {
        if (!this.table.has(key)) continue; // it never was a link
        row = this.sums.newRow();
        this.table.setCounter(key, row);
        newRows.push(row);
        keys.push(key);
      }
      if (count > 0) hits.push(row, count);
      if (looks > 0) previews.push(row, looks);
    }
    return { day, rows: newRows, keys, hits, previews, id };
  }

  /** Takes over a line of the file. */
  apply(line: Line): void {
    const { sums } = this;
    const { rows = [], keys = [] } = line;
    for (const [i, row] of rows.entries()) {
      sums.have(row);
      this.table.setCounter(keys[i], row);
    }
    this.addUp(line);
  }

  /** Adds up what a line says. */
  addUp({ day, hits = [], previews = [], gone = [], id }: Line): void {
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

  /** About how many bytes {@linkcode lines} takes. */
  get size(): number {
    return ROW_BYTES * this.sums.rows + DAY_BYTES * this.sums.days;
  }

  /** All that was counted until now, as lines; what is counted while they are taken is not among them. */
  lines(): AsyncIterable<string> {
    return this.#linesOf(this.sums.copy(), [...this.#senders]);
  }

  async *#linesOf(sums: Sums, ids: string[]): AsyncGenerator<string, void, void> {
    const day = today();
    for (const id of ids) yield formatLine({ day, id });
    const done = new Uint8Array(sums.rows + 1); // an entry that was moved comes again
    for (const counters of this.table.counters()) {
      const rows: number[] = [];
      const keys: string[] = [];
      for (const [key, row] of counters) {
        if (row > sums.rows || done[row]++ > 0) continue;
        rows.push(row);
        keys.push(key);
      }
      if (rows.length > 0) yield formatLine({ day, rows, keys }) + linesOf(sums, rows, day);
      await turn();
    }
  }
}

/** What was counted of some rows: a line for each day, and one for all that was before. */
function linesOf(sums: Sums, rows: number[], today: number): string {
  const byDay = new Map<number, { hits: number[]; previews: number[] }>();
  const of = (day: number) => {
    const line = byDay.get(day) ?? { hits: [], previews: [] };
    byDay.set(day, line);
    return line;
  };
  for (const row of rows) {
    const { hits, previews, last = 0, days } = sums.trafficOf(row);
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

/** Everybody else has a turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
