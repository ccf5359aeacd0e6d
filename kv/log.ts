/**
 * A log in a database, which several masters append to.
 *
 * @module
 */
import type { JournalObserver } from "../journal/appender.ts";
import type { Compacted, CompactionOptions } from "../journal/compaction.ts";
import { type Events, silent } from "../journal/events.ts";
import { explain, JournalError } from "../journal/file.ts";
import { countLines, formatAbout } from "../journal/lines.ts";
import type { Journal } from "../journal/journal.ts";
import { type LineReader, type Log, LogConflict } from "../journal/log.ts";
import type { Published } from "../journal/published.ts";
import { termAfter } from "../journal/term.ts";
import { StoreError } from "../links/errors.ts";
import { findHead } from "./begin.ts";
import { ask, DEADLINE_MS, explainAway, within } from "./call.ts";
import { commitOnce, type End, readEnd } from "./commit.ts";
import type { LocalCopy } from "./copy.ts";
import type { Database, Entry } from "./database.ts";
import { errAway, Health } from "./health.ts";
import { Keeper } from "./keeper.ts";
import { Loaded } from "./loaded.ts";
import { Mutex } from "../links/mutex.ts";
import { RowsGone } from "./pages.ts";
import { formatTurn, Layout, newNonce, parseHead, ROW_BYTES, toRows } from "./rows.ts";
import { parseSnapshot } from "./snapshot.ts";
import { Turn } from "./turn.ts";
import { Watcher } from "./watcher.ts";

const SUM_BYTES = 1 << 20; // from one checksum that is written to the next
const YIELD_LOOK_MS = 50; // from one look to the next whether another's turn is over
const RELOAD_MS = 100; // from one look to the next whether a log that is another one was loaded anew
const MAX_APPEND = 600_000; // bytes: a commit has room for 800,000, with the keys

const UNREAD = "it was not read yet"; // why nothing is appended before that

const encoder = new TextEncoder();

/** How a {@linkcode KVLog} goes about it. */
export interface KVLogOptions {
  events?: Events;
  observer?: JournalObserver;
  /** Whether the database is closed with the log. */
  closes?: boolean;
  /** A copy of it in a file, from which one starts while the database is away. */
  copy?: LocalCopy;
  /** How long replaced rows stay for those who are reading them, in milliseconds; ten minutes by default. */
  keepMs?: number;
}

/**
 * A log in a database. All that appends or takes in runs one after the other; each row is applied once, whoever wrote
 * it. The database may hold several logs.
 *
 * @example
 * ```ts ignore
 * const log = new KVLog(await EmbeddedDatabase.open("links.db"), "links");
 * await log.load(table);
 * await log.append('{"Key":"0","URL":"https://example.com/"}\n');
 * log.publish();
 * ```
 */
export class KVLog implements Log {
  readonly kind = "database";
  readonly readOnly = false;
  readonly maxLine = ROW_BYTES;
  readonly maxAppend = MAX_APPEND;
  readonly #layout: Layout;
  readonly #mutex = new Mutex();
  readonly #turn = new Turn();
  readonly #watcher: Watcher;
  readonly #health: Health;
  readonly #keeper: Keeper;
  #loaded: Loaded;
  #local?: Journal; // the copy, as long as nothing else was loaded
  #version: string | null = null; // of the head, as it was last read or written
  #isMarked = false; // whether the turn was set by an append to what is loaded
  #unpublished?: () => void; // unlocks what waits until readers of this process see what was appended
  #catchingUp?: Promise<void>; // which reads nothing yet
  onreplace: (reason: string) => void = () => {};
  syncs = 0;

  /** @param part which of the logs in the database: `links` or `hits` */
  constructor(
    private readonly database: Database,
    part: string,
    private readonly options: KVLogOptions = {},
  ) {
    this.#layout = new Layout(part);
    this.#loaded = new Loaded(database, this.#layout);
    this.#loaded.replaced = UNREAD;
    this.#watcher = new Watcher(database, this.#layout.head);
    const { events = silent, keepMs } = options;
    const { head, probe } = this.#layout;
    const read = async (signal: AbortSignal) => {
      const [found] = await database.read([head], signal);
      if (found) parseHead(found);
    };
    this.#health = new Health(database, probe, read, events);
    const loaded = () => this.#loaded;
    this.#keeper = new Keeper(database, this.#layout, this.#mutex, loaded, events, keepMs);
  }

  /** What is served: the copy, as long as nothing else was loaded. */
  get #current(): Journal | Loaded {
    return this.#local ?? this.#loaded;
  }

  get name(): string {
    return this.database.address;
  }

  get shared(): boolean {
    return !this.database.exclusive;
  }

  get feed(): Published {
    return this.#current.feed;
  }

  get term(): number {
    return this.#current.term;
  }

  get failure(): string | undefined {
    return this.#health.failure?.message ?? this.#loaded.replaced;
  }

  get bytes(): number {
    return this.#current.bytes;
  }

  get lines(): number {
    return this.#current.lines;
  }

  async load(reader: LineReader): Promise<void> {
    const isRead = await this.#mutex.run(() => this.#loadDatabase(reader)).catch(async (error) => {
      if (error instanceof JournalError) throw explain(this.name, error.message);
      if (!(error instanceof StoreError)) throw error;
      this.#health.fail(error);
      if (this.#loaded.replaced !== UNREAD || this.#local) throw errAway;
      this.#local = await this.options.copy?.load(reader);
      if (this.#local === undefined) throw errAway;
      queueMicrotask(() => this.onreplace(errAway.message));
      return false;
    });
    if (!isRead) return;
    // Until this returns, whoever appends has the links of the log before.
    const loaded = this.#loaded;
    loaded.replaced = UNREAD;
    await this.options.copy?.follow(this);
    loaded.replaced = undefined;
    this.#watcher.start(() => this.#version, (isNew) => this.#look(isNew));
  }

  async #loadDatabase(reader: LineReader): Promise<true> {
    const loaded = new Loaded(this.database, this.#layout, reader);
    const { head, turn, snapshot } = await findHead(this.database, this.#layout);
    await loaded.read(parseHead(head), parseSnapshot(snapshot)).catch(async (error) => {
      if (error instanceof RowsGone) await this.#checkGone(snapshot);
      explainAway(error);
    });
    this.#health.work();
    this.#local = undefined;
    this.#loaded = loaded;
    this.#version = head.version;
    this.#isMarked = false;
    this.#turn.see(turn, head.version);
    this.#keeper.see(snapshot);
    return true;
  }

  /**
   * Looks whether rows that are not there were replaced.
   *
   * @throws {JournalError} the snapshot is the one that they belong to: they are lost
   */
  async #checkGone(snapshot?: Entry): Promise<void> {
    const key = this.#layout.snapshot;
    const [now] = await ask((signal) => this.database.read([key], signal));
    if (now?.version !== snapshot?.version) return;
    throw new JournalError("rows are missing before where its head says that it ends");
  }

  async append(lines: string): Promise<void> {
    const loaded = this.#loaded;
    const { next } = loaded.rows;
    const unlock = await this.#mutex.lock();
    try {
      // What was taken in since the lines were formed, they may contradict.
      const isStale = this.#loaded !== loaded || loaded.rows.next !== next;
      if (isStale) {
        await this.#lose();
        await this.#conflict();
      }
      await this.#append(lines);
      this.#unpublished = unlock;
    } catch (error) {
      unlock();
      const isAway = error instanceof StoreError && error.kind === "unavailable";
      if (!isAway || error === errAway || this.#loaded.refusal) throw error;
      this.#health.fail(error);
      throw errAway;
    }
  }

  publish(): void {
    this.#loaded.publish();
    this.#unpublished?.();
  }

  async #append(lines: string): Promise<void> {
    const loaded = this.#loaded;
    // A database that is only full may have room by now.
    if (this.#health.failure === errAway) throw errAway;
    if (loaded.refusal) throw loaded.refusal;
    await this.#yield();
    if (this.#turn.isNeeded) {
      await this.#lose();
      if (await this.#takeIn()) throw new LogConflict("another master appended first");
      this.#turn.ease();
    }
    const { next: first, ...at } = loaded.head;
    const isDue = at.position - loaded.feed.checksum.written >= SUM_BYTES;
    const bytes = encoder.encode(isDue ? formatAbout({ sum: at.sum }) + lines : lines);
    const { rows, end } = toRows(bytes, at, newNonce());
    const head = { next: first + rows.length, ...end };
    const start = performance.now();
    const versions = { head: this.#version, turn: this.#turn.version };
    // A database that was restored may give the versions of before: masters that check for the turn of before see it.
    const marks = !this.#isMarked && !this.database.exclusive;
    const append = { first, rows, head, marks };
    const lost = () => this.#lose();
    const outcome = await commitOnce(this.database, this.#layout, versions, append, lost)
      .catch((error) => {
        this.#health.fail(error);
        throw error;
      });
    if ("rows" in outcome) return await this.#conflict(outcome);
    this.#health.work();
    this.syncs++;
    this.options.observer?.synced((performance.now() - start) / 1000);
    this.options.observer?.committed(countLines(bytes));
    this.#turn.win();
    this.#version = outcome.version;
    if (marks) this.#turn.version = outcome.version;
    this.#isMarked = true;
    for (const row of rows) loaded.add(row);
  }

  /** Others were first: now and then this master asks for a turn. */
  async #lose(): Promise<void> {
    if (!this.#turn.lose()) return;
    const mutations = [{ key: this.#layout.turn, set: formatTurn() }];
    const write = { checks: [], mutations };
    const version = await ask((signal) => this.database.commit(write, signal));
    if (version !== undefined) this.#turn.take(version);
  }

  /** Takes in what others left, who were first. */
  async #conflict(end?: End): Promise<never> {
    await this.#takeIn(end);
    throw new LogConflict("another master appended first");
  }

  /** Lets a master go first whose turn it is. */
  async #yield(): Promise<void> {
    for (let wait; (wait = this.#turn.wait) > 0;) {
      await this.#watcher.news(Math.min(wait, YIELD_LOOK_MS));
      if (await this.#takeIn()) throw new LogConflict("another master went first");
    }
  }

  catchUp(): Promise<void> | undefined {
    if (this.database.exclusive) {
      const { refusal } = this.#loaded; // it was not read, and so there may be anything
      return refusal && Promise.reject(refusal);
    }
    if (this.#health.failure === errAway) return Promise.reject(errAway);
    return this.#catchingUp ??= this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    const done = this.#mutex.run(() => {
      this.#catchingUp = undefined; // who asks from now on needs a read that begins later
      return this.#takeIn();
    });
    try {
      await within(DEADLINE_MS, () => done);
    } catch (error) {
      if (this.#loaded.refusal) throw error;
      this.#health.fail(error);
      throw errAway;
    }
  }

  /** Takes in what others appended; whether there was anything. */
  async #takeIn(end?: End): Promise<boolean> {
    const loaded = this.#loaded;
    if (loaded.refusal) throw loaded.refusal;
    const { next } = loaded.rows;
    end ??= await ask((signal) => readEnd(this.database, this.#layout, next, signal));
    const { head, turn, snapshot, rows } = end;
    const known = head && parseHead(head);
    const moved = head?.version !== this.#version || known === undefined || !loaded.isAt(known);
    if (moved) {
      const reason = await loaded.takeIn(known, rows);
      if (reason !== undefined) {
        queueMicrotask(() => this.onreplace(reason));
        throw loaded.refusal;
      }
    }
    this.#version = head?.version ?? null;
    this.#turn.see(turn, this.#version);
    if ((snapshot?.version ?? null) !== loaded.snapshot.version) this.#keeper.see(snapshot);
    return moved;
  }

  /** Looks for what others appended, or waits until the log is loaded anew. */
  async #look(isNew: () => boolean): Promise<void> {
    try {
      await this.#mutex.run(async () => isNew() && await this.#takeIn());
    } catch (error) {
      if (this.#loaded.replaced === undefined) this.#health.fail(error);
      else await this.#watcher.news(RELOAD_MS);
    }
  }

  async promote(): Promise<void> {
    for (;;) {
      const term = termAfter(this);
      try {
        await this.append(formatAbout({ term }));
        this.#loaded.term = term;
        return this.publish();
      } catch (error) {
        if (!(error instanceof LogConflict)) throw error;
      }
    }
  }

  get isDue(): boolean {
    return this.#keeper.isDue;
  }

  compact(options: CompactionOptions = {}): Promise<Compacted | undefined> {
    return this.#keeper.compact(options, () => this.#takeIn());
  }

  end(): void {
    this.feed.end();
  }

  async close(): Promise<void> {
    this.publish();
    this.end();
    await this.options.copy?.close();
    this.#local = undefined; // it went with the copy
    this.#health.close();
    this.#keeper.close();
    await this.#watcher.close();
    await this.#mutex.run(() => this.feed.close());
    if (this.options.closes) await this.database.close();
  }
}
