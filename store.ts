/**
 * The links: what a store of them can do, and the one that owns them.
 *
 * @module
 */
import { type Apply, formatLine, type Journal, readLines } from "./journal.ts";
import { type LogStream, openLog } from "./log.ts";

/**
 * Where links are kept. `get` answers at once where it can, so that a redirect need not wait for
 * a promise; all else is answered once it is durable.
 *
 * An `id` marks one write: repeating it with the same `id` gives the first answer again, so that
 * whoever lost an answer may ask once more.
 */
export interface Store {
  /**
   * The URL of `key`.
   *
   * @throws {StoreError} not found, unavailable
   */
  get(key: string): string | Promise<string>;
  /**
   * Adds a link and gives its key: the one asked for, or a new one.
   *
   * @throws {StoreError} exists, invalid url, invalid key, unavailable, full
   */
  put(url: string, key?: string, id?: string): Promise<string>;
  /**
   * Changes a link.
   *
   * @throws {StoreError} not found, invalid url, unavailable, full
   */
  update(key: string, url: string, id?: string): Promise<void>;
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

/** Why a store refuses. */
export type Refusal =
  | "not found"
  | "exists"
  | "invalid url"
  | "invalid key"
  | "unavailable"
  | "full";

/** A store's refusal: `kind` for programs, `message` for people. */
export class StoreError extends Error {
  override name = "StoreError";
  constructor(readonly kind: Refusal, message: string) {
    super(message);
  }
}

// One instance each, as in Go: a flood of unknown keys must not pay for a stack trace apiece.
/** There is no such link. */
export const errNotFound = new StoreError("not found", "key not found");
/** The key asked for is taken. */
export const errExists = new StoreError("exists", "key already exists");

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const RANDOM_KEY_LENGTH = 10; // 59 bits: among a million links, one guess in 10^12 hits
const MAX_URL = 8192;
const MAX_QUEUE = 65_536; // changes
const MAX_QUEUE_CHARS = 64 << 20;
const MAX_RECENT = 65_536; // ids, twice

/** The first segments of the paths that mean something else than a link. */
export const RESERVED: ReadonlySet<string> = new Set(
  ["add", "api", "rpc", "healthz", "readyz", "metrics"],
);

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

/** A key that can't be guessed from others. */
export function randomKey(): string {
  let key = "";
  while (key.length < RANDOM_KEY_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(2 * RANDOM_KEY_LENGTH))) {
      // 248 is the last multiple of 62 in a byte: beyond it some digits would come more often.
      if (byte < 248 && key.length < RANDOM_KEY_LENGTH) key += DIGITS[byte % 62];
    }
  }
  return key;
}

/**
 * Refuses a key that nobody may choose.
 *
 * @throws {StoreError} invalid key
 */
export function checkKey(key: string): void {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(key)) {
    throw new StoreError("invalid key", "invalid key: use 1 to 64 of A-Z a-z 0-9 _ -");
  }
  if (RESERVED.has(key)) throw new StoreError("invalid key", `invalid key: "${key}" is reserved`);
}

/**
 * The form in which a URL is stored: absolute, http or https. `host` is where short links live;
 * a link to there would be a loop.
 *
 * @throws {StoreError} invalid url
 * @example
 * ```ts
 * checkURL("example.com/x", "localhost:8080"); // "https://example.com/x"
 * ```
 */
export function checkURL(text: string, host?: string): string {
  text = text.trim();
  if (text === "") throw invalidURL("it is empty");
  if (text.length > MAX_URL) throw invalidURL(`it is longer than ${MAX_URL} characters`);
  // deno-lint-ignore no-control-regex
  if (/[\0-\x1f\x7f-\x9f]/.test(text)) throw invalidURL("it has control characters");
  const url = URL.parse(hasScheme(text) ? text : `https://${text}`);
  if (url === null) throw invalidURL("it can't be parsed");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw invalidURL("it must start with http:// or https://");
  }
  if (url.username || url.password) throw invalidURL("it has credentials");
  if (host && isBelow(url, host)) throw invalidURL("it points back at this server");
  if (url.href.length > MAX_URL) throw invalidURL(`it is longer than ${MAX_URL} characters`);
  return url.href;
}

/** Whether `url` is at `host`, which may have a path; a name may end with a dot. */
function isBelow(url: URL, host: string): boolean {
  const place = url.host.replace(/\.(?=:|$)/, "") + url.pathname;
  return `${place}/`.startsWith(`${host}/`);
}

/** Whether a URL is to be taken as it is; `example.com/x` and `localhost:80` lack a scheme. */
function hasScheme(text: string): boolean {
  const host = /^(?:localhost|[^/?#:@\\]*\.[^/?#:@\\]*|\[[\da-f:.]+\])(?::\d+)?(?:[/?#]|$)/i;
  return !host.test(text) || text.startsWith(".");
}

function invalidURL(why: string): StoreError {
  return new StoreError("invalid url", `invalid URL: ${why}`);
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
  key: string;
  url: string;
  line: string;
  id?: string;
  resolve: () => void;
  reject: (error: StoreError) => void;
}

/**
 * The store that owns its links. One thread owns it, so it needs no mutex: what Go guards with
 * one happens here between two awaits.
 *
 * @example
 * ```ts
 * const store = new URLStore(await Journal.open("store.jsonl"));
 * await store.load();
 * const key = await store.put("https://example.com/"); // "0", and it is on disk
 * store.get(key); // "https://example.com/"
 * ```
 */
export class URLStore implements Store {
  /** Every link; a deleted key keeps its place, with "" for its URL. */
  readonly urls = new Map<string, string>();
  #deleted = 0; // of them
  #next = 0; // what genKey makes the next key of
  #pending = new Map<string, Promise<void>>(); // keys that are on their way to the disk
  #queue: Save[] = [];
  #queueChars = 0;
  #saving?: Promise<void>;
  #closed = false;
  #host: string;
  #recent = new Map<string, string | Promise<string>>(); // the answers to ids, new ones
  #older = new Map<string, string | Promise<string>>(); // and those before them

  constructor(readonly journal: Journal, private readonly options: URLStoreOptions = {}) {
    this.#host = options.host ?? "";
  }

  /** The journal's file. */
  get file(): string {
    return this.journal.path;
  }

  /** How many links there are. */
  get count(): number {
    return this.urls.size - this.#deleted;
  }

  get(key: string): string {
    const url = this.urls.get(key);
    if (!url) throw errNotFound;
    return url;
  }

  /** Takes over a change that is durable. */
  set(key: string, url: string, id?: string): void {
    const deletes = url === "";
    // Looked up only where it can matter: loading a million links shows the difference.
    if (deletes || this.#deleted > 0) {
      const deleted = this.urls.get(key) === "";
      if (deleted !== deletes) this.#deleted += deletes ? 1 : -1;
    }
    this.urls.set(key, url);
    if (id !== undefined) this.#remember(id, key);
  }

  put(url: string, key?: string, id?: string): Promise<string> {
    return this.#once(id, async () => {
      url = checkURL(url, this.#host);
      if (key === undefined) {
        key = this.#newKey();
      } else {
        checkKey(key);
        while (this.#pending.has(key)) await this.#pending.get(key);
        if (this.urls.get(key)) throw errExists;
      }
      await this.#commit(key, url, id);
      return key;
    });
  }

  async update(key: string, url: string, id?: string): Promise<void> {
    await this.#once(id, () => this.#change(key, checkURL(url, this.#host), id));
  }

  async delete(key: string, id?: string): Promise<void> {
    await this.#once(id, () => this.#change(key, "", id));
  }

  async #change(key: string, url: string, id?: string): Promise<string> {
    while (this.#pending.has(key)) await this.#pending.get(key);
    this.get(key); // throws if there is no such link
    await this.#commit(key, url, id);
    return key;
  }

  /** A key that never was a link, is none on its way to the disk, and names no route. */
  #newKey(): string {
    for (;;) {
      const key = this.options.keys === "random" ? randomKey() : genKey(this.#next++);
      if (!this.urls.has(key) && !this.#pending.has(key) && !RESERVED.has(key)) return key;
    }
  }

  /** Queues one change for {@linkcode saveLoop}; resolves once it is durable and visible. */
  #commit(key: string, url: string, id?: string): Promise<void> {
    if (this.#closed) throw new StoreError("unavailable", "shutting down");
    if (this.#queue.length >= MAX_QUEUE || this.#queueChars >= MAX_QUEUE_CHARS) {
      throw new StoreError("unavailable", "too many new links are waiting for the disk");
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const line = formatLine(key, url, id);
    this.#queue.push({ key, url, id, line, resolve, reject });
    this.#queueChars += line.length;
    // Whoever waits for this key looks again when it is settled, however that went.
    this.#pending.set(key, promise.catch(() => {}));
    this.#saving ??= this.saveLoop();
    return promise;
  }

  /**
   * Group commit: takes all that is queued, writes it once, syncs once, then answers everyone in
   * the batch. Meanwhile the next batch gathers. Go's saveLoop reads a channel; this one ends when
   * its queue is empty and starts again with the next change.
   */
  async saveLoop(): Promise<void> {
    await undefined; // the calls that came in the same turn shall share the batch
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      this.#queueChars = 0;
      let lines = "";
      for (const save of batch) lines += save.line;
      try {
        await this.journal.append(lines);
        for (const { key, url, id, resolve } of batch) {
          this.#pending.delete(key);
          this.set(key, url, id);
          resolve();
        }
      } catch {
        const error = new StoreError("full", `cannot save: ${this.journal.failure}`);
        for (const { key, reject } of batch) {
          this.#pending.delete(key);
          reject(error);
        }
      }
    }
    this.#saving = undefined;
  }

  /**
   * Reads the journal. The counter goes on behind the links that are there.
   *
   * @throws {JournalError} if a line is bad
   */
  async load(): Promise<void> {
    await this.journal.load((key, url, id) => this.set(key, url, id));
    this.#next = this.urls.size;
  }

  /** Takes over whole lines of another store's journal, each told of to `seen` once durable. */
  async replicate(lines: Uint8Array, seen: Apply): Promise<void> {
    const changes: Parameters<Apply>[] = [];
    readLines(lines, (...change) => changes.push(change), (_line, reason) => {
      throw new Error(`the master's log has a bad line: ${reason}`);
    });
    await this.journal.append(lines);
    for (const change of changes) {
      this.set(...change);
      seen(...change);
    }
  }

  /** Opens the log of changes for a replica; see {@linkcode openLog}. */
  openLog(offset?: number, check?: string): Promise<LogStream> {
    return openLog(this.journal, offset, check);
  }

  health(): Health {
    const { failure: reason, size: bytes, syncs } = this.journal;
    return { ready: reason === undefined, reason, links: this.count, bytes, syncs };
  }

  /** Saves what is queued, then lets those go who follow the log. */
  async endLogs(): Promise<void> {
    await this.#saving;
    this.journal.end();
  }

  /** Saves what is queued and lets go of the journal; afterwards only reads are answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#saving;
    await this.journal.close();
  }

  /** Gives a repeated `id` its first answer; a write that failed may be tried again. */
  #once(id: string | undefined, write: () => Promise<string>): Promise<string> {
    if (id === undefined) return write();
    const first = this.#recent.get(id) ?? this.#older.get(id);
    if (first !== undefined) return Promise.resolve(first);
    const answer = write();
    this.#remember(id, answer);
    answer.catch(() => {
      this.#recent.delete(id);
      this.#older.delete(id);
    });
    return answer;
  }

  /** Remembers the last 65,536 to 131,072 ids; a restart finds them again in the journal. */
  #remember(id: string, answer: string | Promise<string>): void {
    this.#recent.set(id, answer);
    if (this.#recent.size < MAX_RECENT) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
