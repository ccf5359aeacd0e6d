/**
 * The links: what a store of them can do, and the one that owns them.
 *
 * @module
 */
import { type FeedStream, openFeed } from "./journal/feed.ts";
import type { Journal } from "./journal/journal.ts";
import { formatLine, readLines } from "./journal/lines.ts";
import type { Position } from "./journal/position.ts";
import { Answers } from "./links/answers.ts";
import { type Refusal, StoreError } from "./links/errors.ts";
import { type Change, checkKey, checkURL, DIGITS, type Link } from "./links/link.ts";
import { randomKey, RESERVED } from "./links/link.ts";
import { Table, type TableMemory } from "./links/table.ts";

export { type Link, type Refusal, StoreError };

/**
 * Where links are kept. `get` answers at once where it can, so that a redirect need not wait for
 * a promise; all else is answered once it is durable.
 *
 * An `id` marks one write: repeating it with the same `id` gives the first answer again, so that
 * whoever lost an answer may ask once more.
 */
export interface Store {
  /**
   * The URL of `key`, no older than at the position `since`, if that can be had.
   *
   * @throws {StoreError} not found, unavailable
   */
  get(key: string, since?: number): string | Promise<string>;
  /**
   * Adds a link with the key asked for, or a new one.
   *
   * @throws {StoreError} exists, invalid url, invalid key, unavailable, full
   */
  put(url: string, key?: string, id?: string): Promise<Link>;
  /**
   * Changes a link.
   *
   * @throws {StoreError} not found, invalid url, unavailable, full
   */
  update(key: string, url: string, id?: string): Promise<Link>;
  /**
   * Deletes a link.
   *
   * @throws {StoreError} not found, unavailable, full
   */
  delete(key: string, id?: string): Promise<void>;
  /** How the store is: whether it can do its work, why not, and what else there is to tell. */
  health(): Health | Promise<Health>;
}

/** See {@linkcode Store.health}. */
export interface Health {
  ready: boolean;
  reason?: string;
  [detail: string]: string | number | boolean | undefined;
}

/** What a process serves: the store that owns the links, or one that follows it. */
export interface Backend extends Store {
  /** What the operator is told of it at the start. */
  readonly about: { role: "master" | "replica"; [detail: string]: string };
  /** How many links are at hand. */
  readonly count: number;
  /** How new its answers are. */
  readonly position: Position;
  /**
   * Reads what there is on disk.
   *
   * @throws {JournalError} it can't be used
   */
  load(): Promise<void>;
  /** Opens the feed of changes; see {@linkcode openFeed}. */
  feed(offset?: number, check?: string): Promise<FeedStream>;
  /** Lets other threads read the links: `take` is given the memory, now and whenever it is another. */
  share(take: (memory: TableMemory) => void): void;
  /** Finishes what is on its way, and lets those go who follow the feed. */
  endFeeds(): Promise<void>;
  /** Lets go of everything; afterwards only reads are answered. */
  close(): Promise<void>;
}

// One instance each, as in Go: a flood of unknown keys must not pay for a stack trace apiece.
/** There is no such link. */
export const errNotFound = new StoreError("not found", "key not found");
/** The key asked for is taken. */
export const errExists = new StoreError("exists", "key already exists");

const MAX_QUEUE = 65_536; // changes
const MAX_QUEUE_CHARS = 64 << 20;
const MAX_IDS = 65_536; // that are remembered at least

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
    key = DIGITS[n % 62] + key;
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
}

/** A change on its way to the disk. */
interface Save {
  key?: string; // none: a new one
  url: string; // "" deletes
  id?: string;
  /** Whether the key must lead nowhere yet, or somewhere already. */
  isNew: boolean;
  resolve: (link: Link) => void;
  reject: (error: unknown) => void;
}

/**
 * The store that owns its links. One thread owns it, so it needs no mutex: what Go guards with
 * one happens here between two awaits.
 *
 * @example
 * ```ts ignore
 * const store = new URLStore(await Journal.open("store.jsonl"));
 * await store.load();
 * const { key } = await store.put("https://example.com/"); // "0", and it is on disk
 * store.get(key); // "https://example.com/"
 * ```
 */
export class URLStore implements Backend {
  /** Every link; a deleted key keeps its place, with "" for its URL. */
  readonly urls = new Table();
  #next = 0; // what genKey makes the next key of
  #queue: Save[] = [];
  #queueChars = 0;
  #saving?: Promise<void>;
  #closed = false;
  #answers = new Answers(MAX_IDS);

  constructor(readonly journal: Journal, private readonly options: URLStoreOptions = {}) {}

  get(key: string): string {
    const url = this.urls.get(key);
    if (!url) throw errNotFound;
    return url;
  }

  /** Takes over a change that is durable. */
  set(change: Change, entry = this.urls.add(change)): void {
    this.urls.show(entry);
    const { key, url, id } = change;
    if (id !== undefined) this.#answers.remember(id, { key, url });
  }

  async put(url: string, key?: string, id?: string): Promise<Link> {
    return await this.#answers.once(id, async () => {
      url = checkURL(url, this.options.host);
      if (key !== undefined) checkKey(key);
      return await this.#save({ key, url, id, isNew: true });
    });
  }

  async update(key: string, url: string, id?: string): Promise<Link> {
    return await this.#answers.once(id, async () => {
      url = checkURL(url, this.options.host);
      return await this.#save({ key, url, id, isNew: false });
    });
  }

  async delete(key: string, id?: string): Promise<void> {
    await this.#answers.once(id, () => this.#save({ key, url: "", id, isNew: false }));
  }

  /** Queues a change for {@linkcode saveLoop}; resolves once it is durable and visible. */
  async #save(change: Omit<Save, "resolve" | "reject">): Promise<Link> {
    if (this.#closed) throw new StoreError("unavailable", "shutting down");
    if (this.#queue.length >= MAX_QUEUE || this.#queueChars >= MAX_QUEUE_CHARS) {
      throw new StoreError("unavailable", "too many new links are waiting for the disk");
    }
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    this.#queue.push({ ...change, resolve, reject });
    this.#queueChars += change.url.length;
    this.#saving ??= this.saveLoop();
    return await promise;
  }

  /**
   * Group commit: takes all that is queued, writes it once, syncs once, shows it, lets followers have
   * it, then answers everyone in the batch. Meanwhile the next batch gathers. Go's saveLoop reads a
   * channel; this one ends when its queue is empty and starts again with the next change.
   */
  async saveLoop(): Promise<void> {
    await undefined; // the calls that came in the same turn shall share the batch
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      this.#queueChars = 0;
      const urls = new Map<string, string>(); // what the batch makes of its keys
      const changes: [change: Change, entry: number, save: Save][] = [];
      const refused: [save: Save, error: unknown][] = [];
      let lines = "";
      for (const save of batch) {
        try {
          const change = this.#decide(save, urls);
          changes.push([change, this.#add(change), save]);
          urls.set(change.key, change.url);
          lines += formatLine(change);
        } catch (error) {
          refused.push([save, error]);
        }
      }
      try {
        if (lines !== "") await this.journal.append(lines);
      } catch {
        const error = new StoreError("full", `cannot save: ${this.journal.failure}`);
        for (const [, entry] of changes) this.urls.drop(entry);
        for (const save of batch) save.reject(error);
        continue;
      }
      for (const [change, entry] of changes) this.set(change, entry);
      this.journal.publish();
      for (const [{ key, url }, , save] of changes) save.resolve({ key, url });
      for (const [save, error] of refused) save.reject(error);
    }
    this.#saving = undefined;
  }

  /** What a save comes to, after those before it in its batch. */
  #decide({ key, url, id, isNew }: Save, urls: ReadonlyMap<string, string>): Change {
    if (key === undefined) return { key: this.#newKey(urls), url, id };
    const leads = urls.get(key) ?? this.urls.get(key);
    if (isNew && leads) throw errExists;
    if (!isNew && !leads) throw errNotFound;
    return { key, url, id };
  }

  /** A key that never was a link, and names no route. */
  #newKey(urls: ReadonlyMap<string, string>): string {
    for (;;) {
      const key = this.options.keys === "random" ? randomKey() : genKey(this.#next++);
      if (!this.urls.has(key) && !urls.has(key) && !RESERVED.has(key)) return key;
    }
  }

  /** Makes room for a change before it is written: what memory can't hold would never load again. */
  #add(change: Change): number {
    try {
      return this.urls.add(change);
    } catch (error) {
      throw new StoreError("full", `cannot keep one more link: ${(error as Error).message}`);
    }
  }

  /** Reads the journal. The counter goes on behind the links that are there. */
  async load(): Promise<void> {
    await this.journal.load((change) => this.set(change));
    this.#next = this.urls.size;
  }

  /**
   * Takes over whole lines of another store's journal: each change is given to `seen` once it is
   * durable and visible, before followers have it.
   */
  async replicate(lines: Uint8Array, seen: (change: Change) => void): Promise<void> {
    const changes: [change: Change, entry: number][] = [];
    readLines(lines, (change) => changes.push([change, this.urls.add(change)]), (_line, reason) => {
      throw new Error(`the feed has a bad line: ${reason}`);
    });
    try {
      await this.journal.append(lines);
    } catch (error) {
      for (const [, entry] of changes) this.urls.drop(entry);
      throw error;
    }
    for (const [change, entry] of changes) {
      this.set(change, entry);
      seen(change);
    }
    this.journal.publish();
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
    const { failure: reason, size: bytes, syncs } = this.journal;
    return { ready: reason === undefined, reason, links: this.count, bytes, syncs };
  }

  feed(offset?: number, check?: string): Promise<FeedStream> {
    return openFeed(this.journal, offset, check);
  }

  share(take: (memory: TableMemory) => void): void {
    take(this.urls.memory);
    this.urls.watch(() => take(this.urls.memory));
  }

  async endFeeds(): Promise<void> {
    await this.#saving;
    this.journal.end();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#saving;
    await this.journal.close();
  }
}
