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
import type { Counts } from "./counts.ts";
import { HitsFile, type Part } from "./file.ts";
import { formatLine, type Line, parseLine } from "./lines.ts";
import { HitsState } from "./state.ts";
import type { Sums } from "./sums.ts";
import type { Traffic } from "./traffic.ts";

const WRITE_MS = 1000;
const MIN_GROWTH = 4 << 20; // bytes by which the file grows at least before it is written anew

/** Whether counts are kept, or a copy of what the links' owner has of them. */
export type HowKept = "kept" | "copied" | "none";

/** How {@linkcode Hits} keeps counts. */
export interface HitsOptions {
  events?: Events;
  /** Whether the file is a copy of another one, to which nothing is added but what that has. */
  isCopy?: boolean;
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
  /** Resolves when what there was is known. */
  loaded: Promise<void> = Promise.resolve();
  #file: HitsFile;
  #next?: HitsFile; // a copy that is being made, to take the file's place
  readonly #state: HitsState;
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

  constructor(path: string, table: Table, private readonly options: HitsOptions = {}) {
    this.#file = new HitsFile(path);
    this.#state = new HitsState(table);
    this.#events = options.events ?? silent;
    table.hits = this;
  }

  /** That of the links whose journal is this one, unless there shall be none. */
  static beside(
    { path, events }: { path: string; events: Events },
    table: Table,
    how: HowKept = "kept",
  ): Hits | undefined {
    if (how === "none") return;
    return new Hits(`${path}.hits`, table, { events, isCopy: how === "copied" });
  }

  /** What was counted, by the rows of links. */
  get sums(): Sums {
    return this.#state.sums;
  }

  hitsOf(row: number): number {
    return this.sums.hitsOf(row);
  }

  /** Reads what there is, and goes on with it. What comes meanwhile counts after that. */
  load(): Promise<void> {
    return this.loaded = this.#hold(async () => {
      const { path: file } = this.#file;
      let bad = 0;
      try {
        await this.#file.load((text) => {
          const line = parseLine(text);
          if (line) this.#state.apply(line);
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
    this.#note(() => this.#state.lineOf(counts));
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
    this.#note(() => this.#state.endOf(key));
  }

  async traffic(key: string): Promise<Traffic> {
    await this.loaded;
    return this.#state.trafficOf(key);
  }

  async read(file: string, offset: number): Promise<Part> {
    await this.loaded;
    return await this.#queue(() => this.#file.read(file, offset));
  }

  /** Copies what another one has that reads for us, as far as it goes. */
  async copy(from: Counting): Promise<void> {
    await this.loaded;
    for (;;) {
      const { name, size } = this.#next ?? this.#file;
      const part = await from.read(name, size);
      if (part === undefined || this.#closed) return;
      const isDone = part.lines === "" && part.file === name;
      await this.#queue(() => isDone ? this.#place() : this.#takeOver(part));
      if (isDone) return;
    }
  }

  async #takeOver({ file, offset, lines }: Part): Promise<void> {
    const { path, name, size } = this.#file;
    if (file === name && offset === size) {
      await this.#file.append(lines);
      for (const text of lines.split("\n")) {
        const line = parseLine(text);
        if (line) this.#state.apply(line);
      }
    } else if (this.#next !== undefined && offset > 0) {
      await this.#next.append(lines);
    } else {
      await this.#next?.close();
      this.#next = new HitsFile(`${path}.part`);
      await this.#next.replace([lines.slice(lines.indexOf("\n") + 1)], file);
    }
  }

  /** Lets a copy that was made anew take the place of the file. */
  async #place(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    await Promise.all([next.close(), this.#file.close()]);
    await Deno.rename(next.path, this.#file.path);
    this.#state.clear();
    this.#file = new HitsFile(this.#file.path);
    await this.load();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.loaded.catch(() => {});
    await this.#write();
    await this.#next?.close();
    await this.#file.close();
  }

  /** Adds what was counted here, and has it written soon. */
  #note(count: () => Line | undefined): void {
    if (this.options.isCopy) return;
    if (this.#held !== undefined) return void this.#held.push(() => this.#note(count));
    const line = count();
    if (line === undefined) return;
    this.#state.addUp(line);
    if (!this.#usable || this.#closed) return;
    this.#lines += formatLine(line);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
  }

  async #append(counts: Counts): Promise<void> {
    await this.loaded;
    await this.#queue(async () => {
      if (counts.id !== undefined && this.#state.has(counts.id)) return;
      const line = this.#state.lineOf(counts);
      try {
        await this.#save(formatLine(line));
      } catch (error) {
        throw new StoreError("full", `cannot save: ${reasonOf(error)}`);
      }
      this.#state.addUp(line);
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
    if (!this.#usable || this.options.isCopy) return;
    let lines = this.#lines;
    this.#lines = "";
    const { path: file, size } = this.#file;
    try {
      if (this.#incomplete || size + lines.length > 2 * this.#written + MIN_GROWTH) {
        await this.#hold(() => this.#file.replace(this.#state.lines()));
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
