/**
 * The links: what a store of them can do, and the one that owns them.
 *
 * @module
 */
import type { Counting, ServedHits } from "./hits/counting.ts";
import { Hits } from "./hits/hits.ts";
import type { Traffic } from "./hits/traffic.ts";
import { Batch, type Save, toRefusal } from "./journal/batch.ts";
import { type FeedStream, openFeed } from "./journal/feed.ts";
import type { Journal } from "./journal/journal.ts";
import type { Asked, Position } from "./journal/position.ts";
import { Upkeep } from "./journal/upkeep.ts";
import { Answers } from "./links/answers.ts";
import { errExpired, errNotFound, StoreError } from "./links/errors.ts";
import type { Health } from "./links/health.ts";
import * as rules from "./links/link.ts";
import type { Change, Link } from "./links/link.ts";
import type { Listing, Query } from "./links/query.ts";
import { LinkScanner, type Marked } from "./links/scan.ts";
import { Table, type TableMemory } from "./links/table.ts";
import { checkExpires } from "./links/time.ts";
import { type ChangeOptions, leading, type Wanted } from "./links/wanted.ts";

const MAX_QUEUE = 65_536; // changes
const MAX_QUEUE_CHARS = 64 << 20; // of their URLs
const MAX_COMMIT = 1024; // changes: more would keep redirects waiting for tens of milliseconds

const errBusy = new StoreError("unavailable", "too many changes are waiting for the disk");

/**
 * Where links are kept. `get` answers at once where it can, so that a redirect need not wait for
 * a promise; all else is answered once it is durable. What is refused is a {@linkcode StoreError}.
 */
export interface Store {
  /** The URL of `key`, as new as it is asked for, if that can be had. */
  get(key: string, asked?: Asked): string | Promise<string>;
  /** The number of what counts for the link that `get` has just given at once; 0 where nothing does. */
  readonly counter?: number;
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
  /** How the store is. */
  health(): Health | Promise<Health>;
}

/** A store that knows how new its answers are, and counts how often links are followed, unless it shall not. */
export type Served = Store & {
  readonly position: Position;
  readonly hits?: ServedHits;
  /** Whether the master believes when links were created, and by whom; the master itself does. */
  trusted?(): Promise<boolean>;
};

/** What a process serves: the store that owns the links, or one that follows it. */
export interface Backend extends Served {
  readonly hits?: Counting;
  /** What the operator is told of it. */
  readonly about: { role: "master" | "replica"; [detail: string]: string };
  /** How many links are at hand. */
  readonly count: number;
  /** Reads what there is on disk. Throws {@linkcode JournalError} where it can't be used. */
  load(): Promise<void>;
  /** Adds a link that some store has had before: it may be odd, as old ones are. */
  restore(link: Link): Promise<Link>;
  /** Opens the feed of changes; see {@linkcode openFeed}. */
  feed(offset?: number, check?: string): Promise<FeedStream>;
  /** Lets other threads read the links: `take` gets the memory, now and whenever it is another. */
  share(take: (memory: TableMemory) => void): void;
  /** Finishes what is on its way, and lets those go who follow the feed. */
  endFeeds(): Promise<void>;
  /** Lets go of everything; afterwards only reads are answered. */
  close(): Promise<void>;
}

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
  /** Whether to keep how often links are followed; by default that is done. */
  hits?: boolean;
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
export class URLStore implements Backend {
  /** Every link; a deleted key keeps its place, with "" for its URL. */
  readonly urls = new Table();
  readonly hits?: Hits;
  #next = 0; // what genKey makes the next key of
  #queue: Save[] = [];
  #queueChars = 0;
  #saving?: Promise<void>;
  #closed = false;
  #upkeep?: Upkeep;
  readonly #answers = new Answers();
  readonly #name = rules.randomKey();

  constructor(readonly journal: Journal, private readonly options: URLStoreOptions = {}) {
    const { path, events, readOnly } = journal;
    if (options.hits !== false) this.hits = new Hits(`${path}.hits`, this.urls, events, readOnly);
  }

  get(key: string): string {
    const url = this.urls.get(key);
    if (!url) throw this.urls.isExpired(key) ? errExpired : errNotFound;
    return url;
  }

  get counter(): number {
    return this.urls.counter;
  }

  link(key: string): Link {
    return leading(this.urls.peek(key));
  }

  /** Takes over a change that is durable. */
  set(change: Change, entry = this.urls.add(change)): void {
    if (change.url === "" || this.urls.isExpired(change.key)) this.hits?.forget(change.key);
    this.urls.show(entry);
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

  list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    return this.urls.list(query, signal);
  }

  async traffic(key: string): Promise<Traffic | undefined> {
    this.link(key);
    return await this.hits?.traffic(key);
  }

  async restore({ created = 0, ...link }: Link): Promise<Link> {
    return await this.#save({ ...link, created, isNew: true });
  }

  /** Queues a change for {@linkcode saveLoop}; resolves once it is durable and visible. */
  #save(wanted: Wanted): Promise<Link> {
    if (this.#closed) throw new StoreError("unavailable", "shutting down");
    if (this.#queue.length >= MAX_QUEUE || this.#queueChars >= MAX_QUEUE_CHARS) {
      throw errBusy;
    }
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    this.#queue.push({ wanted, resolve, reject });
    this.#queueChars += wanted.url.length;
    this.#saving ??= this.saveLoop();
    return promise;
  }

  /**
   * Group commit: takes what is queued, writes it once, syncs once, shows it, lets followers have it,
   * then answers everyone in the batch. Meanwhile the next batch gathers. Go's saveLoop reads a
   * channel; this one ends when its queue is empty and starts again with the next change.
   */
  async saveLoop(): Promise<void> {
    await undefined; // the calls that came in the same turn shall share the batch
    while (this.#queue.length > 0) {
      const saves = this.#queue.splice(0, MAX_COMMIT);
      for (const { wanted } of saves) this.#queueChars -= wanted.url.length;
      const batch = new Batch(this.urls, saves, (taken) => this.#newKey(taken));
      try {
        if (batch.lines !== "") await this.journal.append(batch.lines);
      } catch (error) {
        batch.fail(toRefusal(error));
        continue;
      }
      batch.show((change, entry) => this.set(change, entry));
      this.journal.publish(this.urls.size);
      batch.answer();
    }
    this.#saving = undefined;
  }

  /** A key that never was a link, and names no route. */
  #newKey(taken: ReadonlyMap<string, unknown>): string {
    for (;;) {
      const key = this.options.keys === "random" ? rules.randomKey() : genKey(this.#next++);
      if (!this.urls.has(key) && !taken.has(key) && !rules.RESERVED.has(key)) return key;
    }
  }

  /** The counter goes on behind the links that are there. */
  async load(): Promise<void> {
    const remember = ({ id, ...link }: Marked) => this.#answers.remember(id, link);
    const scanner = new LinkScanner(this.urls, remember);
    await this.journal.load((change) => this.set(change), undefined, scanner);
    this.#next = this.urls.size;
    if (this.journal.failure === undefined) this.journal.publish(this.#next);
    if (!this.journal.readOnly) this.#upkeep = new Upkeep(this.journal, () => this.urls.size);
    this.hits?.load();
  }

  /** Leaves the journal's file alone from now on, but for changes. */
  async rest(): Promise<void> {
    await this.#upkeep?.close();
  }

  get about() {
    return { role: "master" as const, file: this.journal.path };
  }

  get count(): number {
    return this.urls.count;
  }

  get position(): Position {
    return { from: this.journal.size, to: this.journal.size };
  }

  health(): Health {
    const { failure: reason, bytes, size: position, term, syncs } = this.journal;
    const about = { links: this.count, bytes, position, term, syncs, path: this.#name };
    const { host } = this.options;
    return { ready: true, writable: !reason, reason, ...about, host, time: Date.now() / 1000 };
  }

  async feed(offset?: number, check?: string, until?: AbortSignal): Promise<FeedStream> {
    return { ...await openFeed(this.journal.feed, offset, check, until), term: this.journal.term };
  }

  share(take: (memory: TableMemory) => void): void {
    this.urls.share(take);
  }

  async endFeeds(): Promise<void> {
    await this.#saving;
    this.journal.feed.end();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#saving;
    await this.rest();
    await this.hits?.close();
    await this.journal.close();
  }
}
