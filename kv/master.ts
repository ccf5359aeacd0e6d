/**
 * A master on a database: a replica whose master is the database. Any number of them may share one.
 *
 * @module
 */
import { silent } from "../journal/events.ts";
import { type Link, randomKey } from "../links/link.ts";
import { CachedCopy } from "../replica/cached.ts";
import { Masters } from "../replica/masters.ts";
import type { Health } from "../links/health.ts";
import { causeOf } from "../links/errors.ts";
import { Replica, type ReplicaOptions } from "../replica/replica.ts";
import type { Database } from "./database.ts";
import { KVStore, type KVStoreOptions } from "./store.ts";
import { KVTransport } from "./transport.ts";

/** How a {@linkcode KVMaster} is made. */
export interface KVMasterOptions extends ReplicaOptions, KVStoreOptions {}

/** A master whose links are in a database. */
export class KVMaster extends Replica {
  readonly #database: string;
  readonly #store: KVStore;

  constructor(database: Database, options: KVMasterOptions = {}) {
    const { cache = 1_000_000, events = silent } = options;
    const store = new KVStore(database, {
      ...options,
      isOwn: (id) => id.startsWith(`${this.idPrefix}-`),
    });
    const { address } = database;
    const masters = new Masters([new KVTransport(address, store)], (up, database, error) => {
      if (up) events("info", "the database answers", { database });
      else events("warn", "lost the database", { database, reason: causeOf(error) });
    });
    super(randomKey(), masters, new CachedCopy(masters, cache, events), options);
    this.#database = address;
    this.#store = store;
  }

  override get about() {
    return { role: "master" as const, database: this.#database };
  }

  override get count(): number {
    return this.#store.count;
  }

  override async health(): Promise<Health> {
    const { master: database, ...health } = await super.health();
    const { failure: reason } = this.#store;
    // As a master with a file: it can't do all of its work.
    return { ...health, ...(reason === undefined ? {} : { ready: false, reason }), database };
  }

  /** Asks the database how many links there are; where it is away, it is looked for as ever. */
  override async load(): Promise<void> {
    await this.#store.load();
    await super.load();
  }

  override async restore(link: Link): Promise<Link> {
    const made = await this.#store.restore(link);
    this.urls.tell(link.key, this.#store.position.to);
    return made;
  }

  override async endFeeds(): Promise<void> {
    await this.#store.finish();
    await super.endFeeds();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#store.close();
  }
}
