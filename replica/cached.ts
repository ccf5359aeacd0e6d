/**
 * What a replica without a file has: the links that it was asked for.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import { type Events, silent } from "../journal/events.ts";
import {
  BLANK,
  type FeedStream,
  HEARTBEAT_MS,
  type LogName,
  openFeed,
  wholeLines,
} from "../journal/feed.ts";
import { Place } from "../journal/followers.ts";
import { readLines } from "../journal/lines.ts";
import { Window } from "../journal/window.ts";
import { Ahead, type Noted } from "../links/ahead.ts";
import { Cache } from "../links/cache.ts";
import type { Copy } from "../links/copy.ts";
import type { Link } from "../links/link.ts";
import type { TableMemory } from "../links/table.ts";
import { errNoFeed, type FeedConnection, type Followed, refuseLine } from "./follower.ts";
import { checkCopy, type Claim, isCompared, refuseFuture } from "./judge.ts";
import type { Masters } from "./masters.ts";

/** Links that were asked for, which the feed tells the changes of. */
export class CachedCopy implements Copy, Followed {
  onchange: (key?: string) => void = () => {};
  readonly whole = false;
  readonly #cache: Cache;
  readonly #ahead = new Ahead();
  readonly #closed = new AbortController();
  #window?: Window;
  #term = 1;
  #live = false;

  /** @param limit most links */
  constructor(
    private readonly masters: Masters,
    limit: number,
    private readonly events: Events = silent,
  ) {
    this.#cache = new Cache(limit);
    this.#cache.readable = false;
  }

  /** Links that were asked for can be had again. */
  get claim(): Claim {
    return { term: this.#term, end: 0 };
  }

  get position(): number {
    return this.#window?.size ?? 0;
  }

  get told(): number {
    return Math.max(this.position, this.#ahead.furthest);
  }

  get count(): number {
    return this.#cache.count;
  }

  get live(): boolean {
    return this.#live;
  }

  set live(live: boolean) {
    this.#live = this.#cache.readable = live;
  }

  get(key: string): string | undefined {
    return this.#live ? this.#cache.get(key) : undefined;
  }

  get created(): number {
    return this.#cache.created;
  }

  peek(key: string): Link | undefined {
    return this.#cache.peek(key);
  }

  isExpired(key: string): boolean {
    return this.#cache.get(key) === "";
  }

  toldOf(key: string): number {
    return this.#ahead.of(key);
  }

  tell(key: string, position: number): void {
    if (this.#ahead.note(key, position, this.position)) this.#cache.delete(key);
  }

  keep(link: Link, position: number): void {
    // What is ahead of the feed must be found again, should the feed come back from another history.
    if (position <= this.position || this.#ahead.has(link.key)) this.#cache.set(link);
  }

  async follow(connection: FeedConnection): Promise<void> {
    const { noted } = this.#ahead;
    const anchor = this.#window?.size;
    const check = anchor === undefined ? undefined : await this.#window?.check(anchor);
    let stream = await connection.open(check === undefined ? undefined : anchor, check);
    if (anchor !== undefined && (check === undefined || stream.offset !== anchor)) {
      // Nobody can say what was changed meanwhile.
      await stream.body.cancel();
      this.#drop("the master's journal is another one");
      stream = await connection.open();
    }
    this.#term = stream.term ?? 1;
    try {
      await this.#takeIn(connection, stream, noted);
    } catch (error) {
      if (error instanceof ChecksumError) this.#drop("it is not what the master has");
      throw error;
    }
  }

  /** Forgets all, for a reason. */
  #drop(reason: string): void {
    this.events("info", `dropping the cache: ${reason}`);
    this.#window?.end();
    this.#window = undefined;
    this.#cache.clear();
    this.#ahead.clear();
  }

  /** @param noted what was ahead when the feed was asked for */
  async #takeIn(connection: FeedConnection, stream: FeedStream, noted: Noted): Promise<void> {
    const window = this.#window ??= new Window(stream.offset, stream.check);
    // The one who told what is ahead may have been another than the one who is followed now.
    for (const key of this.#ahead.keys()) this.#cache.delete(key);
    const end = Math.max(stream.size, window.size);
    if (this.#ahead.furthest > end && await connection.owned()) this.#ahead.cut(end, noted);
    this.#ahead.reach(window.size);
    this.onchange();
    this.live = true;
    let at = stream.offset;
    for await (const lines of connection.blocks(stream)) {
      readLines(
        lines,
        ({ key, ...link }) => {
          // An own change may have come back before.
          const known = this.#cache.peek(key);
          if (known === undefined || !isSame(known, link)) this.#cache.delete(key);
          this.onchange(key);
        },
        refuseLine,
        (_, { term = 1 }) => {
          refuseFuture(term);
          this.#term = Math.max(this.#term, term);
        },
      );
      at += lines.length;
      connection.worked ||= lines.length > 0;
      // After a reconnect some of it may be known already.
      if (at > window.size) {
        const more = lines.subarray(lines.length - (at - window.size));
        window.append(more, isCompared(window, stream));
      }
      checkCopy(window, stream);
      this.#ahead.reach(window.size);
    }
  }

  lost(): void {
    this.live = false;
    this.onchange();
  }

  /** Nothing is on disk. */
  async load(): Promise<void> {}

  /** What there is to tell of it, where the master's journal reaches to `end`. */
  health(end?: number) {
    const position = this.#window?.size;
    const known = end !== undefined && position !== undefined;
    return { position, lagBytes: known ? Math.max(0, end - position) : undefined };
  }

  share(take: (memory: TableMemory) => void): void {
    this.#cache.share(take);
  }

  /**
   * Opens the feed for a replica of this one: never ahead of what this one has taken in, so that
   * what the other asks for after a change is not an old answer from here.
   *
   * @param until ends the stream when it is aborted
   * @throws {StoreError} unavailable: the feed was lost
   */
  async feed(
    offset?: number,
    check?: string,
    log: LogName = "links",
    until?: AbortSignal,
  ): Promise<FeedStream> {
    const window = this.#window;
    if (!this.#live || !window) throw errNoFeed;
    // All that is kept here is the end of the links' log. The rest is the master's to tell.
    if (log !== "links") return await this.#passOn(wholeLines, offset, check, log, until);
    const known = offset === undefined ? undefined : await window.check(offset);
    if (offset === undefined || (known !== undefined && known === check)) {
      const stream = await openFeed(window, offset, check, until);
      return { ...stream, term: this.#term };
    }
    const blocks = (body: FeedStream["body"], at: number) => behind(window, body, at);
    return await this.#passOn(blocks, offset, check, log, until);
  }

  /** Opens the master's feed for somebody else. */
  async #passOn(
    blocksOf: (body: FeedStream["body"], at: number) => AsyncGenerator<Uint8Array, void, void>,
    offset: number | undefined,
    check: string | undefined,
    log: LogName,
    until?: AbortSignal,
  ): Promise<FeedStream> {
    const { transport, session } = this.masters;
    const left = new AbortController();
    const signal = AbortSignal.any([this.#closed.signal, session, left.signal]);
    const place = new Place();
    try {
      const stream = await transport.feed(offset, check, signal, log);
      const blocks = blocksOf(stream.body, stream.offset);
      const read = async () => {
        const { value } = await blocks.next();
        return value?.length === 0 ? BLANK : value ?? undefined;
      };
      const body = place.body(read, () => left.abort(), until);
      return { ...stream, body };
    } catch {
      place.leave();
      throw errNoFeed;
    }
  }

  endFeeds(): void {
    this.#window?.end();
    this.#closed.abort();
  }

  async close(): Promise<void> {}
}

/** Whether two links are the same in all that is shown of them. */
function isSame(a: Omit<Link, "key">, b: Omit<Link, "key">): boolean {
  return a.url === b.url && a.expires === b.expires && a.author === b.author &&
    a.editor === b.editor;
}

/** Gives the rest of a feed to someone else no sooner than `window` has it. */
async function* behind(
  window: Window,
  body: FeedStream["body"],
  at: number,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const lines of wholeLines(body)) {
    at += lines.length;
    while (window.size < at && !window.ended) await window.grown(HEARTBEAT_MS);
    if (window.ended) return;
    yield lines;
  }
}
