/**
 * A replica: a {@linkcode Store} whose links another one owns.
 *
 * @module
 */
import type { Traffic } from "../hits/traffic.ts";
import { unsentOf } from "../hits/unsent.ts";
import { type Events, silent } from "../journal/events.ts";
import type { FeedStream, LogName } from "../journal/feed.ts";
import type { JournalOptions } from "../journal/journal.ts";
import type { Position } from "../journal/position.ts";
import type { CompactionState } from "../journal/upkeep.ts";
import type { Copy } from "../links/copy.ts";
import { causeOf, errNoLog, StoreError } from "../links/errors.ts";
import { type Link, randomKey } from "../links/link.ts";
import type { Listing, Query } from "../links/query.ts";
import type { TableMemory } from "../links/table.ts";
import { errDown } from "../jsonrpc/client.ts";
import { ProxyStore } from "../rpc.ts";
import type { Health } from "../links/health.ts";
import type { Backend } from "./backend.ts";
import { CachedCopy } from "./cached.ts";
import { BatchClient } from "./client.ts";
import { errNoFeed, type Followed, Follower } from "./follower.ts";
import { SentHits } from "./hits.ts";
import type { HitsMirror } from "./hits_mirror.ts";
import { type Claim, formatPath, OwnAddress, Refusal } from "./judge.ts";
import { Masters } from "./masters.ts";
import { Mirror } from "./mirror.ts";
import type { Transport } from "./transport.ts";

const HEALTH_MS = 500; // a master that takes longer to say how it is has nothing good to say

/** How a {@linkcode Replica} keeps what it learns. */
export interface ReplicaOptions extends JournalOptions {
  /** Most links to keep in memory; a mirror keeps all. */
  cache?: number;
  /** The file of a mirror. */
  file?: string;
  /** Where short links live, as {@linkcode checkURL} takes it. */
  host?: string;
}

/** What a replica has of the links, and what it can do with that. */
interface FedCopy extends Copy, Followed {
  readonly count: number;
  /** What a master must not fall short of. */
  readonly claim: Claim;
  load(): Promise<void>;
  /** What it has of how often links are followed, if it has that. */
  readonly hits?: HitsMirror;
  /** Lists its links, if it has them all. */
  list?(query?: Query, signal?: AbortSignal): Promise<Listing>;
  feed(
    offset?: number,
    check?: string,
    log?: LogName,
    until?: AbortSignal,
  ): Promise<FeedStream>;
  share(take: (memory: TableMemory) => void): void;
  /** Compacts the log that it keeps, if it keeps one. */
  compact?(id: string): CompactionState;
  /** What there is to tell of it, where the master's journal reaches to `end`. */
  health(end?: number): Partial<Health>;
  endFeeds(): void;
  close(): Promise<void>;
}

/**
 * What it was asked for it keeps, or, as a mirror, everything; it follows the owner's feed to learn
 * what changes.
 *
 * @example
 * ```ts ignore
 * const replica = Replica.of([new HTTPTransport("http://localhost:8080")]);
 * await replica.load();
 * await replica.get("0");
 * ```
 */
export class Replica extends ProxyStore implements Backend {
  readonly hits: SentHits;
  readonly #followers: Follower[] = [];
  #owed = 0; // answers that the master owes, of how it is
  #below = new AbortController(); // lets those below go
  readonly #masters: Masters;
  readonly #copy: FedCopy;
  readonly #options: ReplicaOptions;
  readonly #events: Events;

  /** Makes a replica of whichever of several masters answers. */
  static of(transports: Transport[], options: ReplicaOptions = {}): Replica {
    const { cache = 1_000_000, file, events = silent } = options;
    const self = { name: randomKey(), claim: () => copy.claim };
    const masters = new Masters(transports, (up, master, error) => {
      const reason = causeOf(error);
      if (up) events("info", "the master answers", { master });
      else if (error instanceof OwnAddress) events("info", "skipping an own address", { master });
      else if (error instanceof Refusal) events("warn", "refused the master", { master, reason });
      else events("warn", "lost the master", { master, reason });
    }, self);
    const copy: FedCopy = file === undefined
      ? new CachedCopy(masters, cache, events)
      : new Mirror(file, options);
    return new Replica(self.name, masters, copy, options);
  }

  protected constructor(
    private readonly name: string,
    masters: Masters,
    copy: FedCopy,
    options: ReplicaOptions,
  ) {
    super(copy, new BatchClient(masters), options.host);
    this.#masters = masters;
    this.#copy = copy;
    this.#options = options;
    this.#events = options.events ?? silent;
    const path = options.file && unsentOf(options.file);
    this.hits = new SentHits(this.client, { path, events: this.#events });
  }

  get about(): Backend["about"] {
    const { file } = this.#options;
    const masters = this.#masters.addresses.join(",");
    return { role: "replica", master: masters, ...(file === undefined ? {} : { file }) };
  }

  get count(): number {
    return this.#copy.count;
  }

  get position(): Position {
    return { from: this.#copy.position, to: this.#copy.told };
  }

  override async health(): Promise<Health> {
    const asked = Date.now();
    const master = await this.#askHealth();
    const time = Date.now();
    const end = typeof master?.position === "number" ? master.position : undefined;
    const { reason, ...details } = this.#copy.health(end);
    this.#masters.answered ||= master?.ready ?? false;
    // Without a file it goes on with what it has been told. An unfinished copy is of no use alone.
    const hasCache = this.#options.file === undefined && this.#masters.answered;
    return {
      ready: this.#copy.whole || hasCache || (master?.ready ?? false),
      writable: isReached(master) && (master.writable ?? master.ready),
      reason: reason ?? this.#troubleOf(master),
      master: this.#masters.transport.address,
      links: this.count,
      term: this.#copy.claim.term,
      path: formatPath([this.name, ...this.#masters.path]),
      host: master?.host ?? this.#options.host,
      ...details,
      time: time / 1000,
      clockSeconds: master && clockOf(master, (asked + time) / 2),
    };
  }

  /** With nobody above in reach, a mirror lists what it has. */
  override async list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    try {
      return await super.list(query, signal);
    } catch (error) {
      const isAway = error instanceof StoreError && error.kind === "unavailable";
      if (!isAway || !this.#copy.whole || !this.#copy.list) throw error;
      return await this.#copy.list(query, signal);
    }
  }

  /** With nobody above in reach, a mirror tells what it has. */
  override async traffic(key: string): Promise<Traffic | undefined> {
    try {
      return await super.traffic(key);
    } catch (error) {
      const isAway = error instanceof StoreError && error.kind === "unavailable";
      if (!isAway || !this.#copy.hits) throw error;
      return await this.#copy.hits.traffic(key);
    }
  }

  /** What is amiss above, or between here and there. */
  #troubleOf(master?: Health): string | undefined {
    if (!isReached(master)) return errDown.message;
    if (!this.#copy.live) return errNoFeed.message;
    return master.writable === false ? master.reason : undefined;
  }

  /**
   * How the master is, if it says so soon: those below wait for the answer, and those below them. While
   * it owes an answer it is not asked again, and nobody waits.
   */
  async #askHealth(): Promise<Health | undefined> {
    if (this.#owed > 0) return undefined;
    const answered = super.health().catch(() => undefined);
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => {
      this.#owed++;
      answered.then(() => this.#owed--);
      resolve(undefined);
    }, HEALTH_MS);
    const health = await Promise.race([answered, late]);
    clearTimeout(timer);
    return health;
  }

  /** Reads what there is on disk, and follows the feed from there. */
  async load(): Promise<void> {
    await this.#copy.load();
    this.#masters.find();
    const { hits } = this.#copy;
    const letGo = () => this.#below.abort();
    this.#followers.push(new Follower(this.#masters, this.#copy, letGo, this.#events));
    // Of a master that is lost the first one speaks, and some have no hits to be followed.
    if (hits) this.#followers.push(new Follower(this.#masters, hits, () => {}));
    await this.hits.load();
  }

  /** The master creates the link anew, if it takes it. */
  restore({ key, url, created = 0, expires, author, editor }: Link): Promise<Link> {
    return this.put(url, key, { created, expires, author, editor });
  }

  async trusted(): Promise<boolean> {
    const { result, error } = await this.client.call("Store.Trusts", []);
    if (error) throw error;
    return result === true;
  }

  /** A mirror compacts its own log. */
  compact(id: string): CompactionState {
    if (this.#copy.compact) return this.#copy.compact(id);
    throw errNoLog;
  }

  /** Opens its feed for those below, unless they would hear of nothing by it. */
  async feed(offset?: number, check?: string, log?: LogName): Promise<FeedStream> {
    if (this.#below.signal.aborted) {
      if (!this.#copy.live) throw errNoFeed;
      this.#below = new AbortController();
    }
    return await this.#copy.feed(offset, check, log, this.#below.signal);
  }

  share(take: (memory: TableMemory) => void): void {
    this.#copy.share(take);
  }

  // deno-lint-ignore require-await
  async endFeeds(): Promise<void> {
    this.#copy.endFeeds();
  }

  async close(): Promise<void> {
    await this.hits.close();
    this.#masters.close();
    await Promise.all(this.#followers.map((follower) => follower.close()));
    await this.#copy.close();
  }
}

/** Whether the owner of the links is in reach: the master may be a replica whose own master is not. */
function isReached(master?: Health): master is Health {
  return master !== undefined && master.reason !== errDown.message;
}

/**
 * How many seconds this machine's clock is ahead of that of the one who owns the links, by what a master
 * said of its own when it was `now` here, in milliseconds. It is off by half the time of asking at most.
 */
function clockOf({ time, clockSeconds = 0 }: Health, now: number): number | undefined {
  if (typeof time !== "number" || typeof clockSeconds !== "number") return;
  return Math.round(now - 1000 * time + 1000 * clockSeconds) / 1000;
}
