/**
 * What the owner of links knows of how often they are followed.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import { formatAbout } from "../journal/lines.ts";
import { type Log, LogConflict } from "../journal/log.ts";
import { nextTerm } from "../journal/term.ts";
import { Upkeep } from "../journal/upkeep.ts";
import { StoreError } from "../links/errors.ts";
import { errNoHits } from "../links/search.ts";
import { Mutex } from "../links/mutex.ts";
import type { Table } from "../links/table.ts";
import type { Counting } from "./counting.ts";
import { type Counts, type Hit, today } from "./counts.ts";
import { Gathered } from "./gathered.ts";
import { type Made, makeLines } from "./lines.ts";
import { newIds } from "./senders.ts";
import { HitsState, type LinksLog } from "./state.ts";
import type { Traffic } from "./traffic.ts";

const APPEND_MS = 1000;
const SHARED_MS = 3000; // the same, where little was gathered, and others append to the log, too
const RETRY_MS = 2000;
const MAX_PART = 800; // links of another server in one line
const MAX_PART_CHARS = 8 << 10; // of their keys
const MANY = 1000; // links, whose lines are worth an append

/** Opens a log of hits, and has its lines read. Where there is none it is made, or, without `create`, not yet. */
export type OpenHits = (reader: HitsState, create: boolean) => Promise<Log | undefined>;

/** How {@linkcode Hits} goes about it. */
export interface HitsOptions {
  events?: Events;
  /**
   * After so many milliseconds what was gathered is appended, also where it is little: one second, or three where
   * several masters append, if nothing else is said.
   */
  patience?: number;
}

/** A line to append. Another server waits for it where its counts are in it. */
interface Waiting {
  made: Made;
  done?: PromiseWithResolvers<void>;
}

/**
 * Adds up what is counted, and keeps it in a log. It gathers the counts of this process in memory, and appends
 * them once a second. It appends the counts of another server before it answers, and counts them once, however
 * often they come. The sums are those of the log's lines.
 *
 * @example
 * ```ts
 * import { Journal } from "../journal/journal.ts";
 * import { LinkReader } from "../journal/link_reader.ts";
 * import { Table } from "../links/table.ts";
 * import { loadHits } from "./file.ts";
 *
 * const table = new Table();
 * const links = await Journal.open("counted.jsonl");
 * await links.load(new LinkReader(table));
 * table.set({ key: "docs", url: "https://example.com/" });
 * const hits = new Hits((reader) => loadHits("counted.jsonl.hits", reader), table, links);
 * await hits.load();
 * hits.add({ day: 20782, hits: [["docs", 3, 0]] });
 * await hits.append();
 * await hits.traffic("docs"); // { hits: 3, previews: 0, last: 20782, days: [[20782, 3]] }
 * await hits.close();
 * await links.close();
 * ```
 */
export class Hits implements Counting {
  readonly #state: HitsState;
  readonly #gathered = new Gathered();
  readonly #taking = new Map<string, Promise<void>>(); // counts of other servers, by their ids
  #waiting: Waiting[] = [];
  #log?: Log;
  #upkeep?: Upkeep;
  readonly #mutex = new Mutex();
  #appended = -Infinity; // when that was last done
  #timer?: ReturnType<typeof setTimeout>;
  #isMissing = false; // whether there is no log yet
  #retry?: ReturnType<typeof setTimeout>;
  #told?: string; // why it can't be loaded
  #closed = false;
  readonly #newId = newIds();

  /** @param links the log of the links */
  constructor(
    private readonly open: OpenHits,
    private table: Table,
    private readonly links: LinksLog,
    private readonly options: HitsOptions = {},
  ) {
    this.#state = new HitsState(table, links);
  }

  /** Reads what there is, and goes on with it. */
  load(create = false): Promise<void> {
    const loaded = this.#load(create);
    this.#state.whenLoaded = loaded;
    return loaded;
  }

  async #load(create: boolean): Promise<void> {
    const { events = silent } = this.options;
    try {
      const log = this.#log = await this.open(this.#state, create);
      this.#isMissing = log === undefined;
      this.#state.isUnknown = false;
      if (this.#told !== undefined) {
        events("info", "the hits are loaded");
        this.#later(); // as what was gathered meanwhile could not be appended
      }
      this.#told = undefined;
      if (log === undefined || log.readOnly) return;
      log.publish();
      log.onreplace = () => {
        this.#state.begin();
        this.#state.whenLoaded = log.load(this.#state).catch((error) => {
          events("error", "cannot load hits", { reason: reasonOf(error) });
        });
      };
      this.#upkeep = new Upkeep(log, events);
    } catch (error) {
      // Nobody shall have to do without links for that; but what is there must not be lost either.
      const reason = reasonOf(error);
      if (reason !== this.#told) events("error", "cannot load hits", { reason });
      this.#told = reason;
      this.#state.isUnknown = true;
      this.#isMissing = false;
      // A database that is away may be back soon.
      if (!(error instanceof StoreError) || this.#closed) return;
      this.#retry = setTimeout(() => this.load(), RETRY_MS);
    }
  }

  /** The log, once it is loaded; it is made when it is needed for the first time. */
  async opened(): Promise<Log | undefined> {
    await this.#state.whenLoaded;
    if (this.#isMissing) {
      this.#isMissing = false;
      this.load(true);
    }
    await this.#state.whenLoaded;
    return this.#log;
  }

  /** Goes on with the links of another table, which took the place of the one before. */
  use(table: Table): void {
    this.table = table;
    this.#state.use(table);
  }

  add({ day, hits, rows = new Uint32Array() }: Counts): void {
    for (let i = 0; i < rows.length; i += 2) this.#gathered.add(day, rows[i], rows[i + 1], 0);
    for (const [key, count, previews, created] of hits) {
      const row = this.#state.rowOf(key, created);
      if (row !== 0) this.#gathered.add(day, row, count, previews);
    }
    this.#later();
  }

  take(counts: Counts): Promise<void> {
    const { id = this.#newId() } = counts;
    const taken = this.#taking.get(id) ??
      this.#take(counts, id).finally(() => this.#taking.delete(id));
    this.#taking.set(id, taken);
    return taken;
  }

  async #take({ day, hits }: Counts, id: string): Promise<void> {
    const log = await this.opened();
    if (log === undefined) throw errNoHits;
    // A clock that is far ahead shall not end the days of all others.
    day = Math.min(day, today() + 1);
    const appended = partsOf(hits).map(async (part, i) => {
      const partId = i === 0 ? id : id.replace(/(?=-[^-]*$)/, `.${i}`);
      const counts = new Float64Array(3 * part.length);
      for (const [i, [key, count, previews, created]] of part.entries()) {
        counts.set([this.#state.rowOf(key, created), count, previews], 3 * i);
      }
      const { size } = this.links.feed;
      const [made] = makeLines(this.table, { day, counts }, size, () => partId, Infinity);
      if (made === undefined) return; // of all these links none is there
      const done = Promise.withResolvers<void>();
      this.#waiting.push({ made, done });
      await done.promise;
    });
    if (log.shared) this.#later();
    else this.append();
    await Promise.all(appended);
  }

  /** How often the link of `key` was followed. */
  traffic(key: string): Promise<Traffic> {
    return this.#state.traffic(key);
  }

  /** Lets followers go. */
  end(): void {
    this.#log?.end();
  }

  /** Appends what was gathered until now. What the log refuses stays, and is appended later. */
  append(): Promise<void> {
    return this.#mutex.run(() => this.#append());
  }

  async #append(): Promise<void> {
    if (this.#gathered.size + this.#waiting.length === 0) return;
    const log = await this.opened();
    if (log === undefined || log.readOnly) return;
    this.#appended = performance.now();
    try {
      do {
        // As long as lines wait that were made before, the rest stays where it takes the least.
        if (this.#waiting.every(({ done }) => done)) this.#make();
        while (this.#waiting.length > 0) await this.#appendSome(log);
      } while (this.#gathered.size > 0);
    } catch (error) {
      const refusal = error instanceof StoreError
        ? error
        : new StoreError("full", `cannot save: ${reasonOf(error)}`);
      // Other servers send theirs again.
      for (const { done } of this.#waiting) done?.reject(refusal);
      this.#waiting = this.#waiting.filter(({ done }) => !done);
      this.#later();
    }
  }

  #make(): void {
    for (let counts; (counts = this.#gathered.take()) !== undefined;) {
      const lines = makeLines(this.table, counts, this.links.feed.size, this.#newId);
      for (const made of lines) this.#waiting.push({ made });
    }
  }

  /** Appends as much of what waits as the log takes at once. */
  async #appendSome(log: Log): Promise<void> {
    // Another master appended these, or a write whose outcome was unknown.
    for (const { made, done } of this.#waiting) if (this.#state.has(made.id)) done?.resolve();
    this.#waiting = this.#waiting.filter(({ made }) => !this.#state.has(made.id));
    let text = log.bytes === 0 ? formatAbout({ term: nextTerm(1) }) : "";
    let count = 0;
    for (const { made } of this.#waiting) {
      if (count > 0 && 3 * (text.length + made.text.length) > log.maxAppend) break;
      text += made.text;
      count++;
    }
    if (count === 0) return;
    try {
      await log.append(text);
    } catch (error) {
      if (error instanceof LogConflict) return; // the others' lines are taken in by now
      throw error;
    }
    const appended = this.#waiting.splice(0, count);
    for (const { made } of appended) this.#state.addUp(made);
    log.publish();
    for (const { done } of appended) done?.resolve();
  }

  #later(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const { patience = this.#log?.shared ? SHARED_MS : APPEND_MS } = this.options;
      const isDue = this.#waiting.length > 0 || this.#gathered.size >= MANY ||
        performance.now() - this.#appended >= patience;
      if (isDue) this.append();
      else this.#later();
    }, APPEND_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    await this.append();
    this.#isMissing = false; // nobody who asks from now on has one made
    await this.#state.whenLoaded;
    await this.#upkeep?.close();
    const { events = silent } = this.options;
    const links = this.#gathered.size + this.#waiting.length;
    try {
      if (links > 0 && !this.#log?.readOnly) {
        events("error", "hits are lost", { reason: this.#log?.failure ?? this.#told ?? "" });
      }
      await this.#log?.close();
    } catch (error) {
      events("error", "cannot save hits", { reason: reasonOf(error) });
    }
  }
}

/** Cuts counts that came together into parts, each of which has room in a line: the same each time. */
function partsOf(hits: Hit[]): Hit[][] {
  const parts: Hit[][] = [[]];
  let chars = 0;
  for (const hit of hits) {
    const last = parts[parts.length - 1];
    chars += hit[0].length;
    if (last.length > 0 && (last.length === MAX_PART || chars > MAX_PART_CHARS)) {
      parts.push([hit]);
      chars = hit[0].length;
    } else {
      last.push(hit);
    }
  }
  return parts;
}
