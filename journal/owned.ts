/**
 * A log as its owner has it.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import type { Health } from "../links/health.ts";
import { Backoff } from "../links/wait.ts";
import type { Events } from "./events.ts";
import { reasonOf } from "./file.ts";
import type { Log } from "./log.ts";
import { FollowedTerms } from "./term.ts";
import { type CompactionState, Upkeep } from "./upkeep.ts";

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2000;

/**
 * Keeps a log loaded: once it can be reached, and anew whenever it turns out to be another one; compacts it; and
 * knows whether changes may still be appended.
 */
export class OwnedLog {
  #isLoaded = false;
  #upkeep?: Upkeep;
  readonly #closed = new AbortController();
  readonly #terms = new FollowedTerms();

  /** @param read reads the log, into another table than the one before; told whether it is the first */
  constructor(
    private readonly log: Log,
    private readonly read: (isFirst: boolean) => Promise<void>,
    private readonly events: Events,
  ) {}

  /**
   * Reads the log. What is out of reach is read as soon as it can be.
   *
   * @throws {JournalError} the log can't be used
   */
  async load(): Promise<void> {
    this.log.onreplace = (reason) => void this.#loadAgain(reason);
    await this.#load().catch((error) => {
      if (!(error instanceof StoreError)) throw error;
      this.log.onreplace(error.message);
    });
    if (!this.log.readOnly) this.#upkeep = new Upkeep(this.log, this.events);
  }

  async #load(): Promise<void> {
    await this.read(!this.#isLoaded);
    this.#isLoaded = true;
    if (this.log.failure === undefined) this.log.publish();
  }

  /** Reads the log until that succeeds. Each reason why it fails is told once. */
  async #loadAgain(reason: string): Promise<void> {
    const about = { [this.log.kind]: this.log.name };
    this.events("warn", "loading the links anew", { ...about, reason });
    let told = reason;
    const backoff = new Backoff(MIN_BACKOFF_MS, MAX_BACKOFF_MS);
    while (!this.#closed.signal.aborted) {
      try {
        await this.#load();
        return this.events("info", "the links are loaded", about);
      } catch (error) {
        const reason = reasonOf(error);
        if (reason !== told) this.events("warn", "cannot load the links", { ...about, reason });
        told = reason;
      }
      await backoff.pause(this.#closed.signal);
    }
  }

  /**
   * Lets a change be appended.
   *
   * @throws {StoreError} unavailable: none may
   */
  check(): void {
    const refusal = this.#closed.signal.aborted
      ? "shutting down"
      : this.#terms.refusal(this.log.term);
    if (refusal !== undefined) throw new StoreError("unavailable", refusal);
  }

  /**
   * The log, once it was read: what is not yet known shall not pass for nothing.
   *
   * @throws {StoreError} unavailable: it was not
   */
  get loaded(): Log {
    if (this.#isLoaded) return this.log;
    throw new StoreError("unavailable", this.log.failure ?? "the log is not loaded");
  }

  /** Compacts the log; see {@linkcode Upkeep.compact}. */
  compact(id: string): CompactionState {
    if (this.loaded && this.#upkeep) return this.#upkeep.compact(id);
    throw new StoreError("unavailable", "the log can't be compacted");
  }

  /** How the log is; `term` is the latest that whoever asks has followed. */
  async health(term: number): Promise<Health> {
    const { log } = this;
    if (term > log.term) await log.catchUp()?.catch(() => {}); // it may be that of this log by now
    this.#terms.see(term);
    const { bytes, feed: { size: position }, syncs, failure = this.#terms.refusal(log.term) } = log;
    const state = { ready: this.#isLoaded, writable: failure === undefined, reason: failure };
    return { ...state, bytes, position, term: log.term, syncs, time: Date.now() / 1000 };
  }

  /** Leaves the log alone from now on, but for changes. */
  async rest(): Promise<void> {
    await this.#upkeep?.close();
  }

  /** Takes no more changes. */
  close(): void {
    this.#closed.abort();
  }
}
