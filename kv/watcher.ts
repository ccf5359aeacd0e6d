/**
 * Hearing of what others append.
 *
 * @module
 */
import { Condition } from "../journal/condition.ts";
import { pause } from "../links/wait.ts";
import type { Database, Key } from "./database.ts";

const POLL_MS = 1000; // from one look to the next where the watch is silent
const RETRY_MS = 500; // after a watch was lost

type Look = (isNew: () => boolean) => Promise<void>;

/** Has a process look for what others appended: soon after they did, and now and then, should the watch be lost. */
export class Watcher {
  #news = ""; // the version of the head that the watch told of
  readonly #told = new Condition();
  readonly #closed = new AbortController();
  #running?: Promise<unknown>;

  constructor(private readonly database: Database, private readonly head: Key) {}

  /**
   * Begins, unless it has, or nobody else writes there.
   *
   * @param version that of the head which is known
   * @param look takes in what there is, if `isNew` still says so when its turn comes; it doesn't fail
   */
  start(version: () => string | null, look: Look): void {
    if (this.database.exclusive) return;
    this.#running ??= Promise.all([this.#watch(version), this.#look(version, look)]);
  }

  /** Resolves when there may be something new, or after `ms` milliseconds. */
  async news(ms: number): Promise<void> {
    await this.#told.wait(ms);
  }

  async #watch(version: () => string | null): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const tell = (told: string) => {
        this.#news = told;
        if (this.#isNew(version())) this.#told.notifyAll();
      };
      await this.database.watch(this.head, tell, signal).catch(() => {});
      await pause(RETRY_MS, signal);
    }
  }

  async #look(version: () => string | null, look: Look): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const due = performance.now() + POLL_MS;
      while (!this.#closed.signal.aborted && !this.#isNew(version()) && performance.now() < due) {
        await this.#told.wait(due - performance.now());
      }
      const isDue = performance.now() >= due;
      if (!this.#closed.signal.aborted) await look(() => isDue || this.#isNew(version()));
    }
  }

  /** Whether the watch told of a version that isn't known yet. That of an older one comes late. */
  #isNew(version: string | null): boolean {
    return this.#news > (version ?? "");
  }

  /** Ends, and waits until nothing is under way. */
  async close(): Promise<void> {
    this.#closed.abort(new Error("closed"));
    this.#told.notifyAll();
    await this.#running;
  }
}
