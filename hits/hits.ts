/**
 * What the owner of links knows of how often they are followed.
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
import type { Line } from "./lines.ts";
import { HitsState } from "./state.ts";
import { Taking } from "./taking.ts";
import type { Traffic } from "./traffic.ts";
import { HitsWriter } from "./writer.ts";

const errUnreadable = new StoreError("unavailable", "hits can't be read");

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
  readonly #file: HitsFile;
  readonly #state: HitsState;
  #writer?: HitsWriter; // there is none where the file can't be used
  readonly #taking = new Taking();
  #held?: (() => void)[]; // while it is read, what is to be added up after that

  /** @param readOnly whether the file is left as it is */
  constructor(
    path: string,
    table: Table,
    private readonly events: Events = silent,
    private readonly readOnly = false,
  ) {
    this.#file = new HitsFile(path, readOnly);
    this.#state = new HitsState(table);
  }

  /** Reads what there is, and goes on with it. What comes meanwhile is added up after that. */
  load(): Promise<void> {
    this.#held = [];
    return this.#state.loaded = this.#load().finally(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const note of held) note();
    });
  }

  async #load(): Promise<void> {
    try {
      const damaged = await this.#state.read(this.#file, this.events);
      if (this.readOnly) return;
      this.#writer = new HitsWriter(this.#file, this.#state, this.events);
      await this.#writer.begin(damaged > 0);
    } catch (error) {
      // Nobody shall have to do without links for that; but what is there must not be lost either.
      const { path: file } = this.#file;
      this.events("error", "cannot load hits", { file, reason: reasonOf(error) });
    }
  }

  add(counts: Counts): void {
    this.#note(() => this.#state.lineOf(counts));
  }

  /** What was counted of a link is no more: it has ended, and its key is free. */
  forget(key: string): void {
    this.#note(() => this.#state.endOf(key));
  }

  take(counts: Counts): Promise<void> {
    return this.#taking.once(counts.id, () => this.#take(counts));
  }

  async #take(counts: Counts): Promise<void> {
    await this.#state.loaded;
    if (this.#writer === undefined) throw errUnreadable;
    if (counts.id !== undefined && this.#state.has(counts.id)) return;
    // A clock that is far ahead shall not end the days of all others.
    counts = { ...counts, day: Math.min(counts.day, today() + 1) };
    let line: Line;
    try {
      line = await this.#writer.append(() => this.#state.lineOf(counts));
    } catch (error) {
      throw new StoreError("full", `cannot save: ${reasonOf(error)}`);
    }
    this.#state.addUp(line);
  }

  /** How often the link of `key` was followed. */
  traffic(key: string): Promise<Traffic> {
    return this.#state.traffic(key);
  }

  async read(file: string, offset: number): Promise<Part | undefined> {
    await this.#state.loaded;
    return await this.#writer?.read(file, offset);
  }

  async close(): Promise<void> {
    await this.#state.loaded;
    await this.#writer?.close();
    const { path: file } = this.#file;
    await this.#file.close().catch((error) => {
      this.events("error", "cannot save hits", { file, reason: reasonOf(error) });
    });
  }

  /** Adds up what was counted here, and has it written soon. */
  #note(count: () => Line | undefined): void {
    if (this.#held !== undefined) return void this.#held.push(() => this.#note(count));
    const line = count();
    if (line === undefined) return;
    this.#state.addUp(line);
    this.#writer?.note(line);
  }
}
