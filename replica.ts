/**
 * A replica: a {@linkcode Store} whose links another one owns. It keeps those that were asked for,
 * or, as a mirror, all of them, and follows the owner's log to learn what changed.
 *
 * @module
 */
import { Journal, JournalError, type Logger, readLines } from "./journal.ts";
import { HEARTBEAT_MS, type LogStream, openLog, wholeLines, Window } from "./log.ts";
import { type Client, errDown, pause } from "./rpc.ts";
import {
  checkKey,
  checkURL,
  errNotFound,
  type Health,
  type Store,
  StoreError,
  URLStore,
} from "./store.ts";

const MAX_KEY = 1024; // no longer key is asked for
const MISSING_MS = 1000; // how long an unknown key is remembered
const MAX_MISSING = 65_536;
const SILENT_MS = 3 * HEARTBEAT_MS; // a log that is silent for longer is dead
const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2000;
const OWN_WRITE_MS = 2000;

/** Links that were asked for, at most `limit`: those not asked for lately are dropped. */
export class Cache {
  // Two generations. A hit in the younger costs one look-up and moves nothing; when it is full, it
  // becomes the older, and what the older still held was asked for by nobody since.
  #young = new Map<string, string>();
  #old = new Map<string, string>();
  readonly #half: number;

  constructor(limit: number) {
    this.#half = limit > 0 ? Math.max(1, Math.floor(limit / 2)) : 0;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): string | undefined {
    const url = this.#young.get(key);
    if (url !== undefined) return url;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, url: string): void {
    if (this.#half === 0) return;
    this.#young.set(key, url);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** What stands for `key`, without counting as a use of it. */
  peek(key: string): string | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}

/** How a {@linkcode ProxyStore} keeps what it learns. */
export interface ProxyStoreOptions {
  /** Most links to keep in memory; a mirror keeps all. */
  cache?: number;
  /** The file of a mirror. */
  file?: string;
  /** Whether this is but a thread of its master's process, and says of itself what that says. */
  thread?: boolean;
  /** Whether a mirror waits for its disk. */
  sync?: boolean;
  log?: Logger;
}

/**
 * The store of a replica. What it doesn't have it asks the master for, and every change is the
 * master's to make.
 *
 * @example
 * ```ts
 * const client = new Client([new HTTPTransport("http://localhost:8080")]);
 * const store = new ProxyStore(client, { cache: 1_000_000 });
 * store.follow();
 * await store.get("0");
 * ```
 */
export class ProxyStore implements Store {
  #cache: Cache;
  #mirror?: URLStore; // a full copy, though perhaps an old one
  #urls: { get(key: string): string | undefined }; // the one of them that redirects look into
  #flights = new Map<string, Promise<string>>(); // calls under way, by key
  #missing = new Map<string, number>(); // unknown keys, and until when they count as such
  #awaited = new Map<string, () => void>(); // own writes that the mirror has yet to see, by id
  #live = false; // whether the log is being followed just now
  #window?: Window;
  #caughtUp = 0; // when nothing of the log was left to take
  #closed = new AbortController();
  #following?: Promise<void>;
  readonly #name = crypto.randomUUID().slice(0, 8);
  #writes = 0;
  #log: Logger;

  constructor(readonly client: Client, private readonly options: ProxyStoreOptions = {}) {
    this.#log = options.log ?? (() => {});
    this.#cache = new Cache(options.file === undefined ? options.cache ?? 1_000_000 : 0);
    this.#urls = this.#cache;
  }

  /** The file of a mirror. */
  get file(): string | undefined {
    return this.options.file;
  }

  /** How many links are at hand. */
  get count(): number {
    return this.#mirror?.count ?? this.#cache.size;
  }

  get(key: string): string | Promise<string> {
    return this.#urls.get(key) || this.#ask(key);
  }

  /** Asks the master; concurrent questions for one key are one. */
  #ask(key: string): string | Promise<string> {
    if (key.length > MAX_KEY) throw errNotFound;
    const other = this.#flights.get(key);
    if (other) return other;
    if (this.client.down) throw this.#mirror ? errNotFound : errDown;
    const until = this.#missing.get(key);
    if (until !== undefined && until > performance.now()) throw errNotFound;

    const flight = this.client.call("Store.Get", [key]).then(
      (url) => {
        if (typeof url !== "string") throw new StoreError("unavailable", "master gave no URL");
        // A change that came meanwhile has struck this flight off: its answer may be the old one.
        if (this.#flights.get(key) === flight) {
          this.#flights.delete(key);
          if (this.#live) this.#cache.set(key, url);
        }
        return url;
      },
      (error) => {
        if (this.#flights.get(key) === flight) {
          this.#flights.delete(key);
          if (error === errNotFound || error.kind === "not found") this.#remember(key);
        }
        if (this.#mirror && error.kind === "unavailable") throw errNotFound;
        throw error;
      },
    );
    this.#flights.set(key, flight);
    return flight;
  }

  #remember(key: string): void {
    if (this.#missing.size >= MAX_MISSING) this.#missing.clear();
    this.#missing.set(key, performance.now() + MISSING_MS);
  }

  async put(url: string, key?: string, id = this.#id()): Promise<string> {
    url = checkURL(url, "");
    if (key !== undefined) checkKey(key);
    const made = await this.client.call("Store.Put", [url, key, id]);
    if (typeof made !== "string") throw new StoreError("unavailable", "master gave no key");
    // It isn't kept here, as Go does: it may have been changed elsewhere by now.
    this.#forget(made);
    return made;
  }

  async update(key: string, url: string, id = this.#id()): Promise<void> {
    await this.#write("Store.Update", [key, checkURL(url, ""), id], key, id);
  }

  async delete(key: string, id = this.#id()): Promise<void> {
    await this.#write("Store.Delete", [key, id], key, id);
  }

  async #write(method: string, params: string[], key: string, id: string): Promise<void> {
    if (key.length > MAX_KEY) throw errNotFound;
    const mirrored = this.#mirror && this.#live ? this.#seen(id) : undefined;
    try {
      await this.client.call(method, params);
    } catch (error) {
      this.#awaited.get(id)?.();
      throw error;
    }
    this.#forget(key);
    await mirrored; // so that a redirect from here shows it
  }

  /** Resolves when the mirror has taken in the write marked `id`, or it seems that it won't. */
  #seen(id: string): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#awaited.delete(id);
        resolve();
      };
      const timer = setTimeout(done, OWN_WRITE_MS);
      this.#awaited.set(id, done);
    });
  }

  /** A mark for one write, by which the master knows it when it comes twice. */
  #id(): string {
    return `${this.#name}-${(this.#writes++).toString(36)}`;
  }

  #forget(key: string): void {
    this.#flights.delete(key);
    this.#missing.delete(key);
    this.#cache.delete(key);
  }

  #changed(key: string, url: string): void {
    if (this.#cache.peek(key) === url) {
      this.#flights.delete(key);
      this.#missing.delete(key);
    } else {
      this.#forget(key);
    }
  }

  async health(): Promise<Health> {
    const master = await this.client.call("Store.Health", []).catch(() => undefined) as
      | Health
      | undefined;
    if (this.options.thread && master) return master;
    const mirror = this.#mirror;
    const health: Health = {
      ready: mirror !== undefined || master !== undefined,
      reason: master ? undefined : errDown.message,
      master: this.client.address,
      links: this.count,
      bytes: (mirror?.journal ?? this.#window)?.size,
    };
    if (this.options.file === undefined) return health;
    const end = typeof master?.bytes === "number" ? master.bytes : undefined;
    const lag = end === undefined ? undefined : Math.max(0, end - (mirror?.journal.size ?? 0));
    return {
      ...health,
      complete: mirror !== undefined,
      reason: mirror?.journal.failure ?? health.reason,
      lagBytes: lag,
      lagSeconds: lag === 0 ? 0 : (performance.now() - this.#caughtUp) / 1000,
    };
  }

  /**
   * Opens a mirror's file, as far as there is one.
   *
   * @throws {JournalError} if it can't be used
   */
  async load(): Promise<void> {
    const { file } = this.options;
    if (file === undefined || !await Deno.stat(file).then(() => true, () => false)) return;
    await this.#serve(await Journal.open(file, this.options));
  }

  /** Answers from the full copy in `journal` from now on. */
  async #serve(journal: Journal): Promise<void> {
    const mirror = new URLStore(journal);
    await mirror.load();
    this.#mirror = mirror;
    this.#urls = mirror.urls;
  }

  /** Follows the master's log until the store is closed. */
  follow(): void {
    this.#following ??= this.#follow(this.options.file);
  }

  async #follow(file: string | undefined): Promise<void> {
    let backoff = MIN_BACKOFF_MS;
    let reported = "";
    while (!this.#closed.signal.aborted) {
      await Promise.race([this.client.up(), pause(MAX_BACKOFF_MS, this.#closed.signal)]);
      if (this.client.down) continue;
      const silence = new Silence(this.#closed.signal);
      try {
        const open = (offset?: number, check?: string) =>
          this.client.log(offset, check, silence.signal);
        const worked = () => {
          silence.broken();
          backoff = MIN_BACKOFF_MS;
          reported = "";
        };
        await (file === undefined ? this.#watch(open, worked) : this.#copy(file, open, worked));
      } catch (error) {
        if (this.#closed.signal.aborted) break;
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== reported) this.#log("warn", "lost the master's log", { reason });
        reported = reason;
      } finally {
        silence.end();
        this.#live = false;
        for (const done of this.#awaited.values()) done();
      }
      await this.client.probe();
      await pause(backoff * (0.5 + Math.random()), this.#closed.signal);
      backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
    }
  }

  /** Follows the log's end for what changes in the cache. */
  async #watch(open: Open, worked: () => void): Promise<void> {
    const anchor = this.#window?.anchor;
    const check = anchor === undefined ? undefined : await this.#window?.check(anchor);
    const stream = await open(anchor, check);
    if (anchor !== undefined && stream.offset !== anchor) {
      // Nobody can say what was changed meanwhile.
      this.#log("info", "dropping the cache: the master's log is another one");
      this.#window?.end();
      this.#window = undefined;
      this.#cache.clear();
      this.#missing.clear();
      await stream.body.cancel();
      return await this.#watch(open, worked);
    }
    const window = this.#window ??= new Window(stream.offset, stream.check);
    this.#flights.clear();
    this.#live = true;
    let at = stream.offset;
    for await (const lines of wholeLines(stream.body)) {
      worked();
      readLines(lines, (key, url) => this.#changed(key, url), refuseLine);
      at += lines.length;
      // After a reconnect some of it may be known already.
      if (at > window.size) window.append(lines.subarray(lines.length - (at - window.size)));
    }
    throw new Error("it ended");
  }

  /** Follows the log into the mirror's file. */
  async #copy(file: string, open: Open, worked: () => void): Promise<void> {
    if (this.#mirror) {
      const { journal } = this.#mirror;
      const stream = await open(journal.size, await journal.check(journal.size));
      if (stream.offset === journal.size) return await this.#replicate(stream, worked);
      this.#log("warn", "the master's journal is another one: copying it anew", { file });
      await stream.body.cancel();
    }
    // What is copied stands beside the old copy until it is whole: the file is always a full one.
    const part = await openPart(`${file}.part`, this.options);
    try {
      const stream = await open(part.size, await part.check(part.size));
      if (stream.offset !== part.size) await part.replace(async () => {});
      if (part.size < stream.size) {
        for await (const lines of wholeLines(stream.body)) {
          worked();
          if (lines.length > 0) await part.append(lines);
          if (part.size >= stream.size) break;
        }
      }
      if (part.size < stream.size) throw new Error("it ended");
      await stream.body.cancel().catch(() => {});
      await this.#mirror?.close();
      await part.rename(file);
    } catch (error) {
      await part.close();
      throw error;
    }
    await part.close();
    await this.#serve(await Journal.open(file, this.options));
    this.#log("info", "the mirror is complete", { file, links: this.count });
    await this.#copy(file, open, worked);
  }

  async #replicate(stream: LogStream, worked: () => void): Promise<void> {
    const mirror = this.#mirror;
    if (!mirror) return;
    this.#live = true;
    if (stream.offset >= stream.size) this.#caughtUp = performance.now();
    for await (const lines of wholeLines(stream.body)) {
      worked();
      if (lines.length > 0) {
        await mirror.replicate(lines, (key, _url, id) => {
          this.#flights.delete(key);
          this.#missing.delete(key);
          if (id !== undefined) this.#awaited.get(id)?.();
        });
      }
      if (mirror.journal.size >= stream.size) this.#caughtUp = performance.now();
    }
    throw new Error("it ended");
  }

  /**
   * Opens the log for a replica of this one: never ahead of what this one has taken in, so that
   * what the other asks for after a change is not an old answer from here.
   *
   * @throws {StoreError} unavailable: a mirror that is not complete, or a lost log
   */
  async openLog(offset?: number, check?: string): Promise<LogStream> {
    if (this.#mirror) return await openLog(this.#mirror.journal, offset, check);
    const window = this.#window;
    if (!this.#live || !window) throw new StoreError("unavailable", "the log is not at hand");
    const known = offset === undefined ? undefined : await window.check(offset);
    if (offset === undefined || (known !== undefined && known === check)) {
      return await openLog(window, offset, check);
    }
    const stream = await this.client.log(offset, check, this.#closed.signal);
    return { ...stream, body: ReadableStream.from(behind(window, stream)) };
  }

  /** Lets those go who follow the log through this replica. */
  endLogs(): void {
    this.#window?.end();
    this.#mirror?.journal.end();
  }

  /** Leaves the master; a mirror lets go of its file. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.client.close();
    await this.#following;
    await this.#mirror?.close();
  }
}

/** Opens the master's log; see {@linkcode Client.log}. */
type Open = (offset?: number, check?: string) => Promise<LogStream>;

/** Gives the rest of a log to someone else no sooner than `window` has it. */
async function* behind(window: Window, { offset, body }: LogStream) {
  let at = offset;
  for await (const lines of wholeLines(body)) {
    at += lines.length;
    while (window.size < at) await window.grown(HEARTBEAT_MS);
    yield lines.length > 0 ? lines : new Uint8Array([0x0a]);
  }
}

function refuseLine(_line: number, reason: string): never {
  throw new Error(`the master's log has a bad line: ${reason}`);
}

/** An unfinished copy, with whole lines only; one that can't be read is begun anew. */
async function openPart(path: string, options: ProxyStoreOptions): Promise<Journal> {
  const part = await Journal.open(path, { log: options.log });
  try {
    await part.load(() => {});
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    await part.replace(async () => {});
    await part.load(() => {});
  }
  return part;
}

/** Ends a connection over which nothing comes any more. */
class Silence {
  readonly signal: AbortSignal;
  #controller = new AbortController();
  #timer?: ReturnType<typeof setTimeout>;

  constructor(closed: AbortSignal) {
    this.signal = AbortSignal.any([closed, this.#controller.signal]);
    this.broken();
  }

  broken(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error("it is silent")), SILENT_MS);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}
