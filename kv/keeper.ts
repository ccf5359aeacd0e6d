/**
 * When a log in a database is compacted, and what becomes of what a snapshot replaced.
 *
 * @module
 */
import { type Compacted, type CompactionOptions } from "../journal/compaction.ts";
import type { Events } from "../journal/events.ts";
import { explain, JournalError, reasonOf } from "../journal/file.ts";
import { ask } from "./call.ts";
import type { Database, Entry } from "./database.ts";
import type { Loaded } from "./loaded.ts";
import type { Mutex } from "../links/mutex.ts";
import type { Layout } from "./rows.ts";
import { Compactor, parseSnapshot, type Snapshot } from "./snapshot.ts";

/** So long, in milliseconds, replaced rows stay for those who are reading them. */
const KEEP_MS = 600_000;
const QUIET_MS = 60_000; // without anybody's compaction, before one is due
const SELDOM = 1 / 10; // of the looks whether one is due, so that several masters don't begin at once
const MAX_AHEAD_MS = 5000;

/** Goes over to the snapshots of a log, whoever made them, and deletes what they replaced. */
export class Keeper {
  readonly #compactor: Compactor;
  #adopting?: Promise<void>;
  #timer?: ReturnType<typeof setTimeout>;
  #changed = -Infinity; // when the snapshot was last seen to change
  #told = false; // that a clock is wrong

  constructor(
    private readonly database: Database,
    private readonly layout: Layout,
    private readonly mutex: Mutex,
    private readonly loaded: () => Loaded,
    private readonly events: Events,
    private readonly keepMs = KEEP_MS,
  ) {
    this.#compactor = new Compactor(database, layout);
  }

  /** Whether a compaction is worth its work. */
  get isDue(): boolean {
    if (this.#clock !== undefined || !this.loaded().isDue) return false;
    if (performance.now() - this.#changed < QUIET_MS) return false;
    return this.database.exclusive || Math.random() < SELDOM;
  }

  /** What is wrong with this clock, or with the service's. */
  get #clock(): string | undefined {
    const { ahead = 0, address } = this.database;
    const isWrong = Math.abs(ahead) > MAX_AHEAD_MS;
    if (isWrong && !this.#told) {
      const seconds = Math.round(ahead / 1000);
      this.events("warn", "the clocks differ: no compaction until they agree", {
        database: address,
        ahead: seconds,
      });
    }
    this.#told = isWrong;
    return isWrong ? `the database's clock is ${Math.round(ahead / 1000)} s ahead` : undefined;
  }

  /** Takes in what the value of `snapshot` is now. */
  see(entry?: Entry): void {
    const loaded = this.loaded();
    const snapshot = parseSnapshot(entry);
    if (snapshot.version !== loaded.snapshot.version) this.#changed = performance.now();
    if (snapshot.id !== loaded.snapshot.id) {
      this.#adopt(loaded, snapshot).catch((error) => {
        this.events("warn", "cannot read the snapshot", {
          database: this.database.address,
          reason: reasonOf(error),
        });
      });
      return;
    }
    loaded.snapshot = snapshot;
    this.#cleanUpLater(snapshot);
  }

  #adopt(loaded: Loaded, snapshot: Snapshot): Promise<void> {
    return this.#adopting ??= (async () => {
      try {
        if (loaded.snapshot.id === snapshot.id) return;
        await loaded.adopt(snapshot, this.mutex);
        this.#cleanUpLater(snapshot);
      } finally {
        this.#adopting = undefined;
      }
    })();
  }

  /**
   * Compacts, whether or not it is due.
   *
   * @param takeIn takes in what is new; fails where the database holds another log by now
   */
  async compact(
    options: CompactionOptions,
    takeIn: () => Promise<unknown>,
  ): Promise<Compacted | undefined> {
    const unlock = await this.mutex.lock();
    const loaded = this.loaded();
    try {
      const refused = loaded.refusal?.message ?? this.#clock;
      if (refused !== undefined) throw new JournalError(refused);
      await takeIn();
      const snapshot = await this.#read();
      if (snapshot.id !== loaded.snapshot.id) throw new JournalError("another master compacted it");
      loaded.snapshot = snapshot;
      if (!await this.#compactor.compact(loaded, options, unlock)) return;
      await this.#adopting; // as the watch may have told of it
      await this.#adopt(loaded, await this.#read());
      return { lines: loaded.lines, bytes: loaded.bytes };
    } catch (error) {
      throw explain(this.database.address, error);
    } finally {
      unlock();
    }
  }

  async #read(): Promise<Snapshot> {
    const { snapshot } = this.layout;
    const [entry] = await ask((signal) => this.database.read([snapshot], signal));
    return parseSnapshot(entry);
  }

  #cleanUpLater(snapshot: Snapshot): void {
    clearTimeout(this.#timer);
    if (snapshot.first === snapshot.rows && snapshot.old.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // What another master deletes meanwhile, or the database doesn't, is tried again after the next start.
      this.#compactor.cleanUp(snapshot).catch(() => {});
    }, this.keepMs);
    Deno.unrefTimer(this.#timer);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
