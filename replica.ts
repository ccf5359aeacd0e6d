/**
 * A replica: a {@linkcode Store} whose links another one owns. It keeps those that were asked for,
 * or, as a mirror, all of them, and follows the owner's log to learn what changed.
 *
 * @module
 */
import { exists, Journal, JournalError, type Logger, readLines } from "./journal.ts";
import { BLANK, HEARTBEAT_MS, type LogStream, openLog, wholeLines, Window } from "./log.ts";
import { type Client, errDown, pause } from "./rpc.ts";
import {
  checkKey,
  checkURL,
  errNotFound,
  type Health,
  randomKey,
  type Store,
  StoreError,
  URLStore,
} from "./store.ts";

const MAX_KEY = 1024; // no longer key is asked for
const MISSING_MS = 1000; // how long an unknown key is remembered
const MAX_MISSING = 65_536;
const MAX_MISSING_KEY = 64; // characters; longer ones would fill the memory
const SILENT_MS = 3 * HEARTBEAT_MS; // a log that is silent for longer is dead
const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2000;
const OWN_WRITE_MS = 2000;
const AIM_MS = 100;

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
    if (old === undefined) return;
    this.#old.delete(key);
    this.set(key, old);
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
  /** Whether bad lines of a mirror's file are moved aside. */
  repair?: boolean;
  /** Where short links live, as {@linkcode checkURL} takes it. */
  host?: string;
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
  #opened = Promise.withResolvers<void>();
  #target = { size: 0, time: 0 }; // where the master's log ended, and when that was
  #caughtUp = 0; // of when the mirror is; 0: unknown
  #closed = new AbortController();
  #following?: Promise<void>;
  readonly #name = randomKey();
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
          if (error === errNotFound) this.#remember(key);
        }
        if (this.#mirror && error.kind === "unavailable") throw errNotFound;
        throw error;
      },
    );
    this.#flights.set(key, flight);
    return flight;
  }

  #remember(key: string): void {
    // Where the log doesn't tell of new links, they would come a second late.
    if (!this.#live || key.length > MAX_MISSING_KEY) return;
    if (this.#missing.size >= MAX_MISSING) this.#missing.clear();
    this.#missing.set(key, performance.now() + MISSING_MS);
  }

  async put(url: string, key?: string, id = this.#id()): Promise<string> {
    url = checkURL(url, this.options.host);
    if (key !== undefined) checkKey(key);
    // It isn't kept here, as Go does: it may have been changed elsewhere by now.
    const made = await this.#write("Store.Put", [url, key, id], id, key);
    if (typeof made !== "string") throw new StoreError("unavailable", "master gave no key");
    this.forget(made);
    return made;
  }

  async update(key: string, url: string, id = this.#id()): Promise<void> {
    await this.#write("Store.Update", [key, checkURL(url, this.options.host), id], id, key);
  }

  async delete(key: string, id = this.#id()): Promise<void> {
    await this.#write("Store.Delete", [key, id], id, key);
  }

  /** Calls a method that changes `key`; afterwards what is read from here shows it. */
  async #write(
    method: string,
    params: (string | undefined)[],
    id: string,
    key?: string, // unless the master makes one, which nobody can have read before
  ): Promise<unknown> {
    if (key !== undefined && key.length > MAX_KEY) throw errNotFound;
    const mirrored = key !== undefined && this.#mirror && this.#live ? this.#seen(id) : undefined;
    try {
      const result = await this.client.call(method, params);
      if (key !== undefined) this.forget(key);
      await mirrored;
      return result;
    } catch (error) {
      this.#awaited.get(id)?.();
      throw error;
    }
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

  /** Drops what is known of `key`, since it was changed. */
  forget(key: string): void {
    this.#flights.delete(key);
    this.#missing.delete(key);
    this.#cache.delete(key);
  }

  #changed(key: string, url: string): void {
    if (this.#cache.peek(key) === url) {
      this.#flights.delete(key);
      this.#missing.delete(key);
    } else {
      this.forget(key);
    }
  }

  async health(): Promise<Health> {
    const master = await this.#masterHealth();
    if (this.options.thread && master) return master;
    const mirror = this.#mirror;
    // It may be a replica itself, with a master that is out of reach.
    const reached = master && (master.ready || master.reason !== errDown.message);
    const health: Health = {
      ready: mirror !== undefined || reached === true,
      reason: mirror?.journal.failure ?? (reached ? undefined : errDown.message),
      master: this.client.address,
      links: this.count,
      bytes: (mirror?.journal ?? this.#window)?.size,
    };
    if (this.options.file === undefined) return health;
    const lag = typeof master?.bytes === "number"
      ? Math.max(0, master.bytes - (mirror?.journal.size ?? 0))
      : undefined;
    const since = this.#caughtUp && Math.round(performance.now() - this.#caughtUp) / 1000;
    return {
      ...health,
      complete: mirror !== undefined,
      lagBytes: lag,
      lagSeconds: mirror && lag === 0 ? 0 : since || undefined,
    };
  }

  async #masterHealth(): Promise<Health | undefined> {
    const health = await this.client.call("Store.Health", []).catch(() => undefined);
    return typeof health === "object" && health !== null ? health as Health : undefined;
  }

  /** Notes where the master's log ends just now: a mirror that comes there is as of now. */
  async #aim(): Promise<void> {
    const time = performance.now();
    this.#target = { size: Infinity, time };
    const bytes = (await this.#masterHealth())?.bytes;
    this.#target = { size: typeof bytes === "number" ? bytes : Infinity, time };
  }

  /**
   * Opens a mirror's file, as far as there is one.
   *
   * @throws {JournalError} if it can't be used
   */
  async load(): Promise<void> {
    const { file } = this.options;
    if (file === undefined) return;
    const { mtime } = await Deno.stat(file).catch(() => ({ mtime: undefined }));
    if (mtime === undefined) return;
    const mirror = new URLStore(await Journal.open(file, this.options));
    try {
      await mirror.load();
    } catch (error) {
      await mirror.close();
      throw error;
    }
    this.#mirror = mirror;
    this.#urls = mirror.urls;
    if (mtime) this.#caughtUp = performance.now() - (Date.now() - mtime.getTime());
  }

  /** Follows the master's log until the store is closed; resolves when it is open at first. */
  follow(): Promise<void> {
    this.#following ??= this.#follow(this.options.file);
    return this.#opened.promise;
  }

  async #follow(file: string | undefined): Promise<void> {
    let backoff = MIN_BACKOFF_MS;
    let reported = "";
    for (;;) {
      await this.client.up();
      if (this.#closed.signal.aborted) return;
      const line = new Line(this.client, this.#closed.signal);
      let reason = "it ended";
      try {
        await (file === undefined ? this.#watch(line) : this.#copy(file, line));
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      line.end();
      this.#live = false;
      this.#missing.clear();
      for (const done of this.#awaited.values()) done();
      if (this.#closed.signal.aborted) return;
      if (line.worked) {
        backoff = MIN_BACKOFF_MS;
        reported = "";
      }
      // Of a master that is lost the client speaks.
      if (await this.client.probe() && reason !== reported) {
        this.#log("warn", "lost the master's log", { reason });
        reported = reason;
      }
      await pause(backoff * (1 + Math.random()) / 2, this.#closed.signal);
      backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
    }
  }

  /** Follows the log's end for what changes in the cache. */
  async #watch(line: Line): Promise<void> {
    const anchor = this.#window?.anchor;
    const check = anchor === undefined ? undefined : await this.#window?.check(anchor);
    let stream = await line.open(check === undefined ? undefined : anchor, check);
    if (anchor !== undefined && (check === undefined || stream.offset !== anchor)) {
      // Nobody can say what was changed meanwhile.
      this.#log("info", "dropping the cache: the master's log is another one");
      await stream.body.cancel();
      this.#window?.end();
      this.#window = undefined;
      this.#cache.clear();
      stream = await line.open();
    }
    const window = this.#window ??= new Window(stream.offset, stream.check);
    // An answer to what was asked before may be older than the log from here on.
    this.#flights.clear();
    this.#live = true;
    this.#opened.resolve();
    let at = stream.offset;
    for await (const lines of line.blocks(stream.body)) {
      readLines(lines, (key, url) => this.#changed(key, url), refuseLine);
      at += lines.length;
      // After a reconnect some of it may be known already.
      if (at > window.size) window.append(lines.subarray(lines.length - (at - window.size)));
    }
  }

  /** Follows the log into the mirror's file. */
  async #copy(file: string, line: Line): Promise<void> {
    if (!this.#mirror) await this.load();
    if (this.#mirror) {
      const { journal } = this.#mirror;
      const stream = await line.open(journal.size, await journal.check(journal.size));
      if (stream.offset === journal.size) return await this.#replicate(this.#mirror, line, stream);
      this.#log("warn", "the master's journal is another one: copying it anew", {
        file,
        old: `${file}.old`,
      });
      await stream.body.cancel();
    }
    // What is copied stands beside the old copy until it is whole: the file is always a full one.
    const part = await openPart(partOf(file), this.options);
    try {
      await fill(part, line);
      // A master that was started on a wrong file shall not cost us the right one.
      if (this.#mirror) await keep(file, `${file}.old`);
      await part.rename(file);
      const old = this.#mirror;
      this.#mirror = undefined; // its links are still answered with
      await old?.close();
    } finally {
      await part.close();
    }
    await this.load();
    this.#log("info", "the mirror is complete", { file, links: this.count });
    await this.#copy(file, line);
  }

  async #replicate(mirror: URLStore, line: Line, { size, body }: LogStream): Promise<void> {
    this.#live = true;
    this.#target = { size, time: performance.now() };
    for await (const lines of line.blocks(body)) {
      if (lines.length > 0) {
        await mirror.replicate(lines, (key, _url, id) => {
          this.#flights.delete(key);
          this.#missing.delete(key);
          if (id !== undefined) this.#awaited.get(id)?.();
        });
      }
      const now = performance.now();
      const { size, time } = this.#target;
      if (lines.length === 0) this.#caughtUp = now;
      else if (mirror.journal.size >= size) this.#caughtUp = Math.max(this.#caughtUp, time);
      if (now - time > AIM_MS && mirror.journal.size >= size) this.#aim();
    }
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
    // The main thread has all of the log at hand, for as slow a follower as may come.
    if (!this.options.thread) {
      const known = offset === undefined ? undefined : await window.check(offset);
      if (offset === undefined || (known !== undefined && known === check)) {
        return await openLog(window, offset, check);
      }
    }
    try {
      const stream = await this.client.log(offset, check, this.#closed.signal);
      return { ...stream, body: ReadableStream.from(behind(window, stream)) };
    } catch {
      throw new StoreError("unavailable", "the log is not at hand");
    }
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

/** The unfinished copy that becomes the mirror at `file`. */
function partOf(file: string): string {
  return `${file}.part`;
}

/**
 * Refuses to make a master of a copy that was never finished.
 *
 * @throws {JournalError} if there is no journal at `file`, but a part of one
 */
export async function refusePart(file: string): Promise<void> {
  if (await exists(file) || !await exists(partOf(file))) return;
  throw new JournalError(
    `${file}: No such file, only ${partOf(file)}, a copy of a master's that is not finished: ` +
      `finish it with -master, or remove it`,
  );
}

/** An unfinished copy, with whole lines only; one that can't be read is begun anew. */
async function openPart(path: string, { log }: ProxyStoreOptions): Promise<Journal> {
  for (let tries = 0;; tries++) {
    const part = await Journal.open(path, { log });
    try {
      await part.load(() => {});
      return part;
    } catch (error) {
      await part.close();
      if (tries > 0) throw error;
      await Deno.remove(path);
    }
  }
}

/** Copies the log into `part` as far as it reached when it was opened. */
async function fill(part: Journal, line: Line): Promise<void> {
  const stream = await line.open(part.size, await part.check(part.size));
  if (stream.offset !== part.size) await part.replace(async () => {}); // it is of another log
  if (part.size >= stream.size) return await stream.body.cancel();
  for await (const lines of line.blocks(stream.body)) {
    readLines(lines, () => {}, refuseLine);
    if (lines.length > 0) await part.append(lines);
    if (part.size >= stream.size) return;
  }
  throw new Error("it ended");
}

/** Gives the file at `path` a second name, so that it stays when another takes its place. */
async function keep(path: string, name: string): Promise<void> {
  await Deno.remove(name).catch(() => {});
  await Deno.link(path, name);
}

/** Gives the rest of a log to someone else no sooner than `window` has it. */
async function* behind(window: Window, { offset, body }: LogStream) {
  let at = offset;
  for await (const lines of wholeLines(body)) {
    at += lines.length;
    while (window.size < at && !window.ended) await window.grown(HEARTBEAT_MS);
    if (window.ended) return;
    yield lines.length > 0 ? lines : BLANK;
  }
}

function refuseLine(_line: number, reason: string): never {
  throw new Error(`the master's log has a bad line: ${reason}`);
}

/** A connection for the log, which is given up when nothing comes over it for too long. */
class Line {
  /** Whether something came. */
  worked = false;
  #silent = new AbortController();
  #signal: AbortSignal;
  #timer?: ReturnType<typeof setTimeout>;

  constructor(private readonly client: Client, closed: AbortSignal) {
    this.#signal = AbortSignal.any([closed, this.#silent.signal]);
  }

  async open(offset?: number, check?: string): Promise<LogStream> {
    this.#listen();
    const stream = await this.client.log(offset, check, this.#signal);
    clearTimeout(this.#timer);
    return stream;
  }

  /** Gives what comes, in whole lines. While they are worked on, nobody listens for silence. */
  async *blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    this.#listen();
    for await (const lines of wholeLines(body)) {
      clearTimeout(this.#timer);
      this.worked = true;
      yield lines;
      this.#listen();
    }
  }

  /** Closes what is open. */
  end(): void {
    clearTimeout(this.#timer);
    this.#silent.abort();
  }

  #listen(): void {
    this.#timer = setTimeout(() => this.#silent.abort(new Error("it is silent")), SILENT_MS);
  }
}
