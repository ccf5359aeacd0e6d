/**
 * What is known of how often links are followed.
 *
 * @module
 */
import type { Bad, Tell } from "../journal/lines.ts";
import type { LineReader, Log } from "../journal/log.ts";
import { type CountedHits, errNoHits } from "../links/search.ts";
import type { Table } from "../links/table.ts";
import { pause } from "../links/wait.ts";
import { today } from "./counts.ts";
import { type DayCounts, formatLine, type Line, MAX_LINE, readHits } from "./lines.ts";
import { Senders } from "./senders.ts";
import { Sums } from "./sums.ts";
import { DAYS, NO_TRAFFIC, type Traffic } from "./traffic.ts";

const encoder = new TextEncoder();

const LINK_BYTES = 32; // of a link in a line, about
const DAY_BYTES = 10;

/** The log of the links that are counted. */
export type LinksLog = Pick<Log, "feed" | "catchUp">;

/**
 * Reads a log of hits: the sums of a table's links, and whose counts were taken in. Lines that can't be read are
 * left out.
 */
export class HitsState implements CountedHits, LineReader {
  /** Resolves when what there was is known. */
  whenLoaded: Promise<unknown> = Promise.resolve();
  /** Whether its log could not be read: what is known is not what was counted. */
  isUnknown = false;
  /** How many lines could be read, and could not. */
  good = 0;
  damaged = 0;
  #isLoaded = false;
  #early: Line[] = []; // which another master made of links that are not yet here, and those behind them
  #senders = new Senders();
  readonly #sums = new Sums();
  readonly #newRow = () => this.#sums.newRow();

  /** @param isCopy whether links may still come that lines were made of, also those that are loaded */
  constructor(
    private table: Table,
    private readonly links: LinksLog,
    private readonly isCopy = false,
  ) {
    table.hits = this;
  }

  /** Forgets all. */
  begin(): void {
    this.good = this.damaged = 0;
    this.#isLoaded = false;
    this.#early = [];
    this.#senders = new Senders();
    for (let row = 1; row <= this.#sums.rows; row++) this.#sums.reset(row);
  }

  loaded(): void {
    this.#isLoaded = true;
  }

  /** Goes on with the links of another table: they keep their rows. */
  use(table: Table): void {
    for (let row = 1; row <= this.#sums.rows; row++) {
      const link = this.table.counted(row);
      const isThere = link && table.counterFor(link.key, link.created, () => row) !== 0;
      if (!isThere) this.#sums.reset(row);
    }
    this.table = table;
    table.hits = this;
  }

  read(lines: Uint8Array, _bad: Bad, tell: Tell): number {
    const take = (line: Line) => {
      this.good++;
      this.#early.push(line);
    };
    const count = readHits(lines, take, () => this.damaged++, tell);
    // What a master loads is of links that are here, or gone.
    this.reach(this.#isLoaded || this.isCopy ? undefined : Infinity);
    if (this.#early.length > 0) this.links.catchUp()?.then(() => this.reach(), () => {});
    return count;
  }

  /** Takes in the lines that were made before the log of links came to `position`, as it has by now. */
  reach(position = this.links.feed.size): void {
    const next = this.#early.findIndex(({ at }) => at > position);
    const now = this.#early.splice(0, next === -1 ? this.#early.length : next);
    for (const line of now) this.apply(line);
  }

  /** Takes a line in: once, if it has an id, and not the counts of links that have ended. */
  apply({ hits, days, day, id }: Line): void {
    if (id !== undefined && !this.#isNew(id)) return;
    const rows = days.length === 0 ? undefined : new Uint32Array(hits.length / 4);
    for (let i = 0; i < hits.length; i += 4) {
      const [key, created, count, previews] = [hits[i], hits[i + 1], hits[i + 2], hits[i + 3]];
      const row = this.rowOf(String(key), Number(created));
      if (row !== 0) this.#sums.add(row, day, Number(count), Number(previews));
      if (rows !== undefined) rows[i / 4] = row;
    }
    for (const [day, ...counts] of days) {
      for (let i = 0; i < counts.length; i += 2) {
        const row = rows![counts[i]];
        if (row !== 0) this.#sums.add(row, day, counts[i + 1]);
      }
    }
  }

  /** Takes in what a line of one's own says. */
  addUp({ day, counts, id }: DayCounts & { id: string }): void {
    if (!this.#isNew(id)) return;
    for (let i = 0; i < counts.length; i += 3) {
      if (!this.table.isCounted(counts[i])) continue; // it has ended meanwhile
      this.#sums.add(counts[i], day, counts[i + 1], counts[i + 2]);
    }
  }

  #isNew(id: string): boolean {
    if (this.#senders.has(id)) return false;
    this.#senders.note(id);
    return true;
  }

  /** Whether the line with that id was taken in. */
  has(id: string): boolean {
    return this.#senders.has(id);
  }

  /**
   * The row, which is its counter, of the link of `key`; 0 where there is none.
   *
   * @param created when the link was created that is meant; none for the one that is there
   */
  rowOf(key: string, created?: number): number {
    return this.table.counterFor(key, created, this.#newRow);
  }

  hitsOf(row: number): number {
    return this.#sums.hitsOf(row);
  }

  end(row: number): void {
    this.#sums.reset(row);
  }

  /**
   * How often the link of `key` was followed.
   *
   * @throws {StoreError} unavailable: the log could not be read
   */
  async traffic(key: string): Promise<Traffic> {
    await this.whenLoaded;
    if (this.isUnknown) throw errNoHits;
    const row = this.table.counterOf(key);
    return row === 0 ? NO_TRAFFIC : this.#sums.trafficOf(row);
  }

  /** About how many of a log's bytes are of use. */
  superseded({ bytes }: { bytes: number }): number {
    return 1 - (LINK_BYTES * this.#sums.rows + DAY_BYTES * this.#sums.days) / bytes;
  }

  /** All that was taken in until now, as lines. They are kept, since links may end while they are taken. */
  snapshot(): () => AsyncIterable<Uint8Array> {
    const lines = this.#linesOf(this.#sums.copy(), [...this.#senders]);
    const made: Uint8Array[] = [];
    return async function* () {
      yield* made;
      for await (const line of lines) {
        made.push(encoder.encode(line));
        yield made[made.length - 1];
      }
    };
  }

  async *#linesOf(sums: Sums, ids: string[]): AsyncGenerator<string, void, void> {
    const [day, at] = [today(), this.links.feed.size];
    const early = this.#early.map(formatLine).join("");
    for (const id of ids) yield formatLine({ hits: [], days: [], day, at, id });
    if (early !== "") yield early;
    let lines = new SumsLine(day, at);
    for (let row = 1; row <= sums.rows; row++) {
      const link = this.table.counted(row);
      if (link !== undefined) lines.add(link, sums.trafficOf(row));
      const isLast = row === sums.rows;
      if (lines.size > 0 && (isLast || lines.size > MAX_LINE / 2)) {
        yield lines.text;
        lines = new SumsLine(day, at);
        await pause(0); // everybody else has a turn
      }
    }
  }
}

/** A line of what was counted of some links. */
class SumsLine {
  /** About how many bytes it takes. */
  size = 0;
  readonly #hits: (string | number)[] = [];
  readonly #days = new Map<number, number[]>();

  constructor(private readonly day: number, private readonly at: number) {}

  add(
    { key, created }: { key: string; created: number },
    { hits, previews, last = 0, days }: Traffic,
  ): void {
    const place = this.#hits.length / 4;
    let before = hits; // all days that are known
    let today = 0;
    for (const [day, count] of days) {
      before -= count;
      if (day === this.day) today = count;
      else this.#add(day, place, count);
    }
    if (before > 0) this.#add(Math.min(last, this.day - DAYS), place, before);
    this.#hits.push(key, created, today, previews);
    this.size += 3 * key.length + LINK_BYTES;
  }

  #add(day: number, place: number, hits: number): void {
    const counts = this.#days.get(day);
    if (counts === undefined) this.#days.set(day, [day, place, hits]);
    else counts.push(place, hits);
    this.size += DAY_BYTES;
  }

  get text(): string {
    return formatLine({
      hits: this.#hits,
      days: [...this.#days.values()],
      day: this.day,
      at: this.at,
    });
  }
}
