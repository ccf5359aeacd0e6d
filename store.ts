/**
 * The links: what a store of them can do, and the one that owns them.
 *
 * @module
 */
import type { ServedHits } from "./hits/counting.ts";
import { hitsOn } from "./hits/file.ts";
import type { Hits, OpenHits } from "./hits/hits.ts";
import type { Traffic } from "./hits/traffic.ts";
import { Batch, commit, type Save } from "./journal/batch.ts";
import { type Events, silent } from "./journal/events.ts";
import { type LogName, openFeed } from "./journal/feed.ts";
import { LinkReader } from "./journal/link_reader.ts";
import type { Log } from "./journal/log.ts";
import { OwnedLog } from "./journal/owned.ts";
import type { Asked, Position } from "./journal/position.ts";
import { SaveQueue } from "./journal/queue.ts";
import type { CompactionState } from "./journal/upkeep.ts";
import { Answers } from "./links/answers.ts";
import type { Health } from "./links/health.ts";
import * as rules from "./links/link.ts";
import type { Change, Link } from "./links/link.ts";
import type { Listing, Query } from "./links/query.ts";
import type { Marked } from "./links/scan.ts";
import { errNoHits } from "./links/search.ts";
import { Table, type TableMemory } from "./links/table.ts";
import { checkExpires } from "./links/time.ts";
import { type ChangeOptions, leading, type Wanted } from "./links/wanted.ts";

const GRACE = 60; // seconds, by which the clocks of several masters may differ

/**
 * Where links are kept. `get` answers at once where it can, so that a redirect need not wait for
 * a promise; all else is answered once it is durable. What is refused is a {@linkcode StoreError}.
 */
export interface Store {
  /** The URL of `key`, as new as it is asked for, if that can be had. */
  get(key: string, asked?: Asked): string | Promise<string>;
  /** The same, for who counts what is followed: what isn't at hand is the link as a whole. */
  follow?(key: string): Found;
  /** The number of what counts for the link whose URL was just given at once; 0 where nothing does. */
  readonly counter?: number;
  /** When that was created; 0 where that isn't known. */
  readonly created?: number;
  /** All of a link, as {@linkcode Store.get}. */
  link(key: string, asked?: Asked): Link | Promise<Link>;
  /** Adds a link with the key asked for, or a new one. */
  put(url: string, key?: string, options?: ChangeOptions): Promise<Link>;
  /** Changes a link. Unless it is asked to, it ends when it did before. */
  update(key: string, url: string, options?: ChangeOptions): Promise<Link>;
  /** Deletes a link. */
  delete(key: string, options?: ChangeOptions): Promise<void>;
  /** Gives a page of links; the work ends with `signal`. */
  list(query?: Query, signal?: AbortSignal): Promise<Listing>;
  /** How often a link was followed; nothing where nobody counts. */
  traffic(key: string): Promise<Traffic | undefined>;
  /** How the store is; who has followed a later term says so. */
  health(term?: number): Health | Promise<Health>;
}

/** A URL that is at hand, or a link that was asked for elsewhere, or its URL. */
export type Found = string | Link | Promise<string | Link>;

/** A store that knows how new its answers are, and counts how often links are followed, unless it shall not. */
export type Served = Store & {
  readonly position: Position;
  readonly hits?: ServedHits;
  /** Whether the master believes when links were created, and by whom; the master itself does. */
  trusted?(): Promise<boolean>;
  /** Compacts the log that it keeps, if it keeps one; see {@linkcode Upkeep.compact}. */
  compact?(id: string): CompactionState;
};

/**
 * The key of the `n`th link: `n` in base 62.
 *
 * @example
 * ```ts
 * genKey(0); // "0"
 * genKey(62); // "10"
 * ```
 */
export function genKey(n: number): string {
  let key = "";
  do {
    key = rules.DIGITS[n % 62] + key;
    n = Math.floor(n / 62);
  } while (n > 0);
  return key;
}

/** How a {@linkcode URLStore} makes keys and checks URLs. */
export interface URLStoreOptions {
  /** Whether keys are counted up, or can't be guessed. */
  keys?: "counter" | "random";
  /** The host of short links, which no link may point at. */
  host?: string;
  /** Whether to keep how often links are followed, or what opens the log of that; by default it is beside the file. */
  hits?: boolean | OpenHits;
  events?: Events;
}

/**
 * The store that owns its links. One thread owns it, so it needs no mutex: what Go guards with
 * one happens here between two awaits.
 *
 * @example
 * ```ts
 * import { Journal } from "./journal/journal.ts";
 *
 * const store = new URLStore(await Journal.open("store.jsonl"));
 * await store.load();
 * const { key } = await store.put("https://example.com/"); // "0", and it is on disk
 * store.get(key); // "https://example.com/"
 * await store.close();
 * ```
 */
export class URLStore<L extends Log = Log> implements Served {
  /** Every link; a deleted key keeps its place, with "" for its URL. */
  urls = new Table();
  readonly hits?: Hits;
  #next = 0; // what genKey makes the next key of
  readonly #queue = new SaveQueue();
  #saving?: Promise<void>;
  #share: (memory: TableMemory) => void = () => {};
  readonly #own: OwnedLog;
  readonly #answers = new Answers();
  readonly #name = rules.randomKey();

  constructor(readonly log: L, private readonly options: URLStoreOptions = {}) {
    const { hits, events = silent } = options;
    this.#own = new OwnedLog(log, (isFirst) => this.#load(isFirst), events);
    this.hits = hitsOn(log, this.urls, hits, events);
  }

  get(key: string, asked?: Asked): string | Promise<string> {
    const url = this.urls.get(key);
    if (url && this.#isNew(asked)) return url;
    const link = this.link(key, asked);
    return link instanceof Promise ? link.then(({ url }) => url) : link.url;
  }

  follow(key: string): string | Link | Promise<Link> {
    return this.urls.get(key) || this.link(key);
  }

  get counter(): number {
    return this.urls.counter;
  }

  get created(): number {
    return this.urls.created;
  }

  link(key: string, asked?: Asked): Link | Promise<Link> {
    // What another master has put since is taken in before anybody is told that there is nothing.
    const caughtUp = this.urls.get(key) && this.#isNew(asked) ? undefined : this.log.catchUp();
    return caughtUp?.then(() => leading(this.urls.peek(key))) ?? leading(this.urls.peek(key));
  }

  /** Whether what is here is as new as it is asked for. */
  #isNew(asked?: Asked): boolean {
    return asked === undefined || asked.since <= this.log.feed.size;
  }

  /** Takes over a change that is durable. */
  set(change: Change, entry = this.urls.add(change), urls = this.urls): void {
    urls.show(entry);
    if (change.id === undefined) return;
    const { id, ...link } = change;
    this.#answers.remember(id, link);
  }

  put(url: string, key?: string, options: ChangeOptions = {}): Promise<Link> {
    return this.#answers.once(options.id, async () => {
      url = rules.checkURL(url, this.options.host);
      if (key !== undefined) rules.checkKey(key);
      if (options.expires !== undefined) checkExpires(options.expires);
      return await this.#save({ key, url, ...options, isNew: true });
    });
  }

  update(key: string, url: string, { id, expires, editor }: ChangeOptions = {}): Promise<Link> {
    return this.#answers.once(id, async () => {
      url = rules.checkURL(url, this.options.host);
      if (expires !== undefined) checkExpires(expires);
      return await this.#save({ key, url, expires, editor, id, isNew: false });
    });
  }

  async delete(key: string, { id, editor }: ChangeOptions = {}): Promise<void> {
    await this.#answers.once(id, async () => {
      return await this.#save({ key, url: "", id, editor, isNew: false });
    });
  }

  async list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    return await (this.#own.loaded && this.urls).list(query, signal);
  }

  async traffic(key: string): Promise<Traffic | undefined> {
    await this.link(key);
    return await this.hits?.traffic(key);
  }

  async restore({ created = 0, ...link }: Link): Promise<Link> {
    return await this.#save({ ...link, created, isNew: true });
  }

  /** Queues a change for {@linkcode saveLoop}; resolves once it is durable and visible. */
  #save(wanted: Wanted): Promise<Link> {
    this.#own.check();
    const saved = this.#queue.push(wanted);
    this.#saving ??= this.saveLoop();
    return saved;
  }

  /**
   * Group commit: takes what is queued, writes it once, syncs once, shows it, lets followers have it,
   * then answers everyone in the batch. Meanwhile the next batch gathers. Go's saveLoop reads a
   * channel; this one ends when its queue is empty and starts again with the next change.
   */
  async saveLoop(): Promise<void> {
    await undefined; // the calls that came in the same turn shall share the batch
    while (this.#queue.length > 0) {
      const saves = this.#queue.take(this.log.maxAppend);
      const next = this.#next;
      const isSaved = await commit(this.log, () => {
        this.#next = next; // what is formed anew has the keys of before, where they are free
        return this.#batch(saves);
      }, this.set.bind(this));
      if (!isSaved) this.#next = Math.min(next, this.#next); // and so has what comes instead
    }
    this.#saving = undefined;
  }

  #batch(saves: Save[]): Batch {
    return new Batch(this.urls, saves, {
      newKey: (taken) => this.#newKey(taken),
      made: (id) => this.#answers.of(id),
      maxLine: this.log.maxLine,
      grace: this.log.shared ? GRACE : 0,
    });
  }

  /** A key that never was a link, and names no route. */
  #newKey(taken: ReadonlyMap<string, unknown>): string {
    for (;;) {
      const key = this.options.keys === "random" ? rules.randomKey() : genKey(this.#next++);
      if (!this.urls.has(key) && !taken.has(key) && !rules.RESERVED.has(key)) return key;
    }
  }

  /** Reads the log. What is out of reach is read as soon as it can be. */
  async load(): Promise<void> {
    await this.#own.load();
  }

  /** The counter goes on behind the links that are there. */
  async #load(isFirst: boolean): Promise<void> {
    const urls = this.urls.size === 0 ? this.urls : new Table();
    const remember = ({ id, ...link }: Marked) => this.#answers.remember(id, link);
    const set = (change: Change) => this.set(change, urls.add(change), urls);
    await this.log.load(new LinkReader(urls, set, remember));
    if (urls !== this.urls) this.hits?.use(urls);
    this.urls = urls;
    urls.share(this.#share);
    this.#next = urls.size;
    if (isFirst) this.hits?.load();
  }

  /** Leaves the log alone from now on, but for changes. */
  async rest(): Promise<void> {
    await this.#own.rest();
  }

  compact(id: string): CompactionState {
    return this.#own.compact(id);
  }

  get about() {
    return { role: "master" as const, [this.log.kind]: this.log.name };
  }

  get count(): number {
    return this.urls.count;
  }

  get position(): Position {
    return { from: this.log.feed.size, to: this.log.feed.size };
  }

  async health(term = 0): Promise<Health> {
    const { count: links, options: { host } } = this;
    return { ...await this.#own.health(term), links, path: this.#name, host };
  }

  async feed(offset?: number, check?: string, log: LogName = "links", until?: AbortSignal) {
    const from = log === "links" ? this.#own.loaded : await this.hits?.opened();
    if (from === undefined) throw errNoHits;
    if (offset === undefined || offset > from.feed.size) await from.catchUp();
    return { ...await openFeed(from.feed, offset, check, until), term: this.log.term };
  }

  share(take: (memory: TableMemory) => void): void {
    this.#share = take;
    this.urls.share(take);
  }

  async endFeeds(): Promise<void> {
    await this.#saving;
    await this.hits?.append();
    this.hits?.end();
    this.log.end();
  }

  async close(): Promise<void> {
    this.#own.close();
    await this.#saving;
    await this.rest();
    await this.hits?.close();
    await this.log.close();
  }
}
