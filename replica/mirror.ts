/**
 * What a replica with a file has: all links.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import type { FeedStream, LogName } from "../journal/feed.ts";
import { exists } from "../journal/file.ts";
import type { Journal, JournalOptions } from "../journal/journal.ts";
import { changesTo } from "../journal/log.ts";
import type { CompactionState } from "../journal/upkeep.ts";
import { Ahead, type Noted } from "../links/ahead.ts";
import type { Copy } from "../links/copy.ts";
import { StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import type { Listing, Query } from "../links/query.ts";
import { Table, type TableMemory } from "../links/table.ts";
import { URLStore } from "../store.ts";
import { errNoFeed, type FeedConnection, type Followed } from "./follower.ts";
import { HitsMirror } from "./hits_mirror.ts";
import { checkCopy, checkEnd, checkTerm, type Claim } from "./judge.ts";
import { Lag } from "./lag.ts";
import { type Copied, LogCopy } from "./log_copy.ts";
import { replicate } from "./replicate.ts";

/**
 * A copy of the master's journal, byte for byte: with it this replica can take the master's place.
 * `FILE` is always a whole one, `FILE.part` one that is not finished, and `FILE.old-...` those before.
 */
export class Mirror implements Copy, Copied, Followed {
  readonly logName = "links";
  readonly keepsOld = true;
  readonly copyReader = changesTo(() => {});
  /** What it knows beside of how often links are followed. */
  readonly hits: HitsMirror;
  onchange: (key?: string) => void = () => {};
  #store?: URLStore<Journal>; // the owner of FILE, once that is there
  #links = new Table(); // its links, or, while it is made anew, those of the one before
  whole = false; // whether they are all
  #foreign = false; // whether they are of another history than the master's
  live = false;
  #share: (memory: TableMemory) => void = () => {};
  readonly #ahead = new Ahead();
  readonly #lag = new Lag();
  #noted?: Noted; // what was ahead when the feed was asked for
  #began = 0; // when a copy was begun
  readonly #copy: LogCopy;
  readonly #events: Events;

  constructor(private readonly file: string, private readonly options: JournalOptions = {}) {
    this.#links.readable = false;
    this.#copy = new LogCopy(file, this, options);
    this.#events = options.events ?? silent;
    this.hits = new HitsMirror(() => this.live, options);
  }

  get claim(): Claim {
    return { term: this.#store?.log.term ?? 1, end: this.#store?.log.size ?? 0 };
  }

  get position(): number {
    return this.#store && !this.#foreign ? this.#store.log.size : 0;
  }

  get told(): number {
    return Math.max(this.position, this.#ahead.furthest);
  }

  get count(): number {
    return this.#links.count;
  }

  get(key: string): string | undefined {
    return this.live && this.#ahead.others <= this.position ? this.#links.get(key) : undefined;
  }

  get created(): number {
    return this.#links.created;
  }

  peek(key: string): Link | undefined {
    return this.#links.peek(key);
  }

  isExpired(key: string): boolean {
    return this.#links.isExpired(key);
  }

  toldOf(key: string): number {
    return this.#ahead.of(key);
  }

  tell(key: string, position: number): void {
    if (!this.#ahead.note(key, position, this.position)) return;
    this.#links.hide(key);
    this.#expose();
  }

  list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    return this.#links.list(query, signal);
  }

  /** What a mirror is told, the feed will bring. */
  keep(): void {}

  /**
   * Opens the file, as far as there is one.
   *
   * @throws {JournalError} it can't be used
   */
  async load(): Promise<void> {
    if (!await exists(this.file)) return;
    const { mtime } = await Deno.stat(this.file);
    await this.#copy.load();
    if (mtime) this.#lag.caughtUp(performance.now() - (Date.now() - mtime.getTime()));
  }

  async open(log: Journal): Promise<void> {
    const store = new URLStore(log, { hits: false, events: this.#events });
    await store.load();
    this.#links.readable = store.urls.readable = false;
    this.#store = store;
    this.#links = store.urls;
    this.hits.use(store);
    this.whole = true;
    this.#foreign = false;
    this.#reach();
    for (const key of this.#ahead.keys()) this.#links.hide(key);
    this.#links.share(this.#share);
  }

  async follow(connection: FeedConnection): Promise<void> {
    this.#began = performance.now();
    await this.#copy.follow(connection);
  }

  ask(): void {
    this.#noted = this.#ahead.noted;
  }

  refuse({ size, term = 1 }: { size: number; term?: number }): void {
    checkTerm(term, this.claim);
    checkEnd(size, term, this.claim);
  }

  fits(how: "same" | "other" | "still other"): void {
    this.#foreign = how !== "same";
    if (how === "same") return;
    const { file } = this;
    if (how === "other") {
      this.#events("warn", "the master's journal is another one: copying it anew", { file });
    }
    this.#ahead.clear();
    this.onchange();
  }

  spoil(): void {
    this.whole = false;
  }

  placed(old?: string): void {
    this.#lag.caughtUp(this.#began);
    const { file, count: links } = this;
    this.#events("info", "the mirror is complete", { file, links, ...(old ? { old } : {}) });
  }

  async rest(): Promise<void> {
    await this.#store?.rest();
  }

  async takeIn(log: Journal, connection: FeedConnection, stream: FeedStream): Promise<void> {
    const store = this.#store!;
    const { size } = stream;
    const isHidden = (key: string) => this.#ahead.has(key);
    const end = Math.max(size, this.position);
    if (this.#ahead.furthest > end && await connection.owned()) this.#ahead.cut(end, this.#noted!);
    this.#reach();
    checkCopy(log.feed, stream);
    this.#lag.aim(size, performance.now());
    this.live = this.position >= size;
    this.#expose();
    for await (const lines of connection.blocks(stream)) {
      if (lines.length > 0) await replicate(store, lines, stream, isHidden, this.onchange);
      else this.#lag.caughtUp();
      checkCopy(log.feed, stream);
      connection.worked ||= lines.length > 0;
      this.#reach();
      this.live ||= this.position >= size;
      this.#expose();
      if (this.#lag.reached(this.position)) this.#aim(connection);
    }
  }

  /** Shows what the feed has come to. */
  #reach(): void {
    for (const key of this.#ahead.reach(this.position)) this.#links.hide(key, false);
    this.hits.reach();
  }

  /** Lets other threads read as much as this one would show. */
  #expose(): void {
    this.#links.readable = this.live && this.#ahead.others <= this.position;
  }

  /** Asks where the master is: a mirror that comes there is as of now. */
  #aim(connection: FeedConnection): void {
    const time = performance.now();
    this.#lag.aim(Infinity, time);
    connection.position().then((position) => this.#lag.aim(position, time), () => {});
  }

  lost(): void {
    this.live = false;
    this.#expose();
    this.onchange();
  }

  /** What there is to tell of it, where the master's journal reaches to `end`. */
  health(end?: number) {
    const lag = end === undefined ? undefined : Math.max(0, end - this.position);
    return {
      reason: this.#store?.log.failure,
      bytes: this.#store?.log.bytes,
      position: this.#store?.log.size,
      complete: this.whole,
      lagBytes: lag,
      lagSeconds: this.#store && lag === 0 ? 0 : this.#lag.seconds,
    };
  }

  compact(id: string): CompactionState {
    if (this.#store) return this.#store.compact(id);
    throw new StoreError("unavailable", "the copy is not complete");
  }

  share(take: (memory: TableMemory) => void): void {
    this.#share = take;
    this.#links.share(take);
  }

  /**
   * Opens the feed for a replica of this one.
   *
   * @param until ends the stream when it is aborted
   * @throws {StoreError} unavailable: the copy is not complete
   */
  async feed(
    offset?: number,
    check?: string,
    log: LogName = "links",
    until?: AbortSignal,
  ): Promise<FeedStream> {
    if (log === "hits") {
      return { ...await this.hits.feed(offset, check, until), term: this.claim.term };
    }
    if (!this.#store) throw errNoFeed;
    return await this.#store.feed(offset, check, log, until);
  }

  endFeeds(): void {
    this.#store?.log.end();
    this.hits.endFeeds();
  }

  async letGo(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    try {
      await this.hits.close();
    } finally {
      await this.#copy.close();
    }
  }
}
