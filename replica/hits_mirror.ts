/**
 * What a mirror knows of how often links are followed.
 *
 * @module
 */
import { errNoHits } from "../links/search.ts";
import { hitsOf } from "../hits/file.ts";
import { readHits } from "../hits/lines.ts";
import { HitsState } from "../hits/state.ts";
import type { Traffic } from "../hits/traffic.ts";
import { type Events, silent } from "../journal/events.ts";
import { type FeedStream, openFeed } from "../journal/feed.ts";
import { reasonOf } from "../journal/file.ts";
import type { Journal, JournalOptions } from "../journal/journal.ts";
import type { LineReader } from "../journal/log.ts";
import { Upkeep } from "../journal/upkeep.ts";
import type { Table } from "../links/table.ts";
import { type FeedConnection, type Followed, KnownTrouble } from "./follower.ts";
import { checkCopy } from "./judge.ts";
import { type Copied, LogCopy } from "./log_copy.ts";
import { append, tellOf } from "./replicate.ts";
import { pause } from "../links/wait.ts";

const LOOK_MS = 20; // whether the links have come as far

/** The links of a mirror, and their log. */
export interface MirroredLinks {
  readonly urls: Table;
  readonly log: Journal;
}

/**
 * A copy of the log of hits, in `FILE.hits`: with it a mirror can take the master's place. Links come first:
 * while they can't be followed, hits are not, and whatever is amiss with hits, links are.
 */
export class HitsMirror implements Copied, Followed {
  readonly logName = "hits";
  readonly keepsOld = false;
  readonly copyReader: LineReader = {
    read: (lines, _bad, tell) => readHits(lines, () => {}, () => {}, tell),
  };
  #links?: MirroredLinks;
  #state?: HitsState;
  #copy?: LogCopy;
  #log?: Journal;
  #upkeep?: Upkeep;
  #connection?: FeedConnection;
  #following: Promise<void> = Promise.resolve();
  #opening: Promise<void> = Promise.resolve();
  readonly #events: Events;

  /** @param isLive tells whether the links are followed */
  constructor(private readonly isLive: () => boolean, private readonly options: JournalOptions) {
    this.#events = options.events ?? silent;
  }

  /** Goes on with links that took the place of those before, if there were any. */
  use(links: MirroredLinks): void {
    this.#links = links;
    const state = this.#state = new HitsState(links.urls, links.log, true);
    const before = [this.#opening, this.#following];
    this.#connection?.end();
    state.whenLoaded = this.#opening = Promise.all(before).then(async () => {
      await this.#copy?.close();
      const options = { events: this.#events, copy: true };
      this.#copy = new LogCopy(hitsOf(links.log.path), this, options);
      await this.#copy.load();
    }).catch((error) => {
      state.isUnknown = true;
      this.#events("warn", "cannot load hits", { reason: reasonOf(error) });
    });
  }

  /** How often the link of `key` was followed. */
  async traffic(key: string): Promise<Traffic | undefined> {
    return await this.#state?.traffic(key);
  }

  /** The log of links has come further. */
  reach(): void {
    this.#state?.reach();
  }

  follow(connection: FeedConnection): Promise<void> {
    const followed = this.#follow(connection);
    this.#following = followed.catch(() => {});
    return followed;
  }

  async #follow(connection: FeedConnection): Promise<void> {
    const state = this.#state;
    await this.#opening;
    if (!this.isLive() || state !== this.#state) throw new KnownTrouble("links come first");
    this.#connection = connection;
    await this.#copy?.follow(connection);
  }

  async open(log: Journal): Promise<void> {
    this.#state!.begin();
    await log.load(this.#state!);
    log.publish();
    this.#state!.isUnknown = false;
    this.#log = log;
    this.#upkeep = new Upkeep(log, this.#events);
  }

  /** Where nothing was counted yet there is nothing to give up one's own for. */
  refuse({ size }: { size: number }): void {
    if (size === 0 && this.#log && this.#log.size > 0) throw new KnownTrouble("nothing is counted");
  }

  async takeIn(log: Journal, connection: FeedConnection, stream: FeedStream): Promise<void> {
    const state = this.#state!;
    await this.#waitForLinks(await connection.position());
    checkCopy(log.feed, stream);
    state.reach(Infinity); // what there is by now is of links that are here, or will never be
    for await (const lines of connection.blocks(stream)) {
      if (lines.length > 0) {
        const wasThere = log.size < stream.size;
        await append(log, lines, stream);
        state.read(lines, () => {}, tellOf(log));
        if (wasThere) state.reach(Infinity); // likewise
        log.publish();
        connection.worked = true;
      }
      checkCopy(log.feed, stream);
    }
  }

  /** Waits until the log of links has come to where the master's was. */
  async #waitForLinks(end: number): Promise<void> {
    while (this.#links!.log.size < end) {
      if (!this.isLive()) throw new KnownTrouble("links come first");
      await pause(LOOK_MS);
    }
  }

  /**
   * Opens the feed for a mirror of this one.
   *
   * @throws {StoreError} unavailable: there is no copy
   */
  async feed(offset?: number, check?: string, until?: AbortSignal): Promise<FeedStream> {
    if (!this.#log) throw errNoHits;
    return await openFeed(this.#log.feed, offset, check, until);
  }

  endFeeds(): void {
    this.#log?.end();
  }

  async rest(): Promise<void> {
    await this.#upkeep?.close();
  }

  async letGo(): Promise<void> {
    await this.rest();
    await this.#log?.close();
    this.#log = undefined;
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    await this.#opening;
    await this.#copy?.close();
  }
}
