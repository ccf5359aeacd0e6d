/**
 * What the owner of a log does to it by itself, and what others ask it to do.
 *
 * @module
 */
import type { Events } from "./events.ts";
import { reasonOf } from "./file.ts";
import type { Log } from "./log.ts";
import { type Compaction, compactOpen } from "./maintenance.ts";

const LOOK_MS = 1000;
const RETRY_MS = 3_600_000; // after a compaction that failed
const SLICE_MS = 2; // of work, between which others go on

/** How far a compaction is that was asked for. */
export interface CompactionState {
  /** Of the work, from 0 to 99; 100 once there is an outcome. */
  percent: number;
  /** What came of it. */
  done?: Compaction;
  /** Why it failed. */
  error?: string;
}

/**
 * Compacts a log while it is in use: once most of its lines are superseded, and when it is asked to.
 *
 * @example
 * ```ts ignore
 * const upkeep = new Upkeep(log, events);
 * upkeep.compact("an id"); // { percent: 0 }, and it has begun
 * await upkeep.close();
 * ```
 */
export class Upkeep {
  readonly #closed = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  #working?: Promise<void>;
  #state?: CompactionState; // of the last one that was asked for
  #id = ""; // by whom
  #end = -1; // where the log ended when that began
  #retry = -Infinity;

  constructor(private readonly log: Log, private readonly events: Events) {
    this.#timer = setInterval(() => {
      if (this.log.isDue && performance.now() > this.#retry) this.#start();
    }, LOOK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /**
   * Begins a compaction, unless one is under way, or nothing was appended since the last.
   *
   * @param id that of who asks: who asks again is told how far it is, and what came of it
   */
  compact(id: string): CompactionState {
    const isDone = this.#state?.percent === 100;
    if (this.#state === undefined || isDone && id !== this.#id && this.#end < this.log.feed.size) {
      this.#state = { percent: 0 };
      this.#start();
    }
    this.#id = id;
    return this.#state;
  }

  /** Gives up what is being done. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed.abort(new Error("shutting down"));
    await this.#working;
  }

  #start(): void {
    this.#working ??= this.#compact().finally(() => this.#working = undefined);
  }

  async #compact(): Promise<void> {
    const { name: file, feed: { size } } = this.log;
    const tell = (state: CompactionState) => {
      if (this.#state?.percent !== 100) this.#state = state;
    };
    try {
      const progress = (done: number, total: number) =>
        this.#state && tell({ percent: Math.min(99, Math.floor(100 * done / total)) });
      const done = await compactOpen(this.log, { progress, pause: slices(this.#closed.signal) });
      const { lines: [, lines], bytes: [before, bytes] } = done;
      if (bytes !== before) this.events("info", "compacted", { file, lines, bytes, before });
      this.#end = size;
      if (this.#state) tell({ percent: 100, done });
    } catch (error) {
      const reason = reasonOf(error).replace(`${file}: `, "");
      this.#retry = performance.now() + RETRY_MS;
      if (!this.#closed.signal.aborted) this.events("warn", "cannot compact", { file, reason });
      this.#end = -1;
      if (this.#state) tell({ percent: 100, error: reason });
    }
  }
}

/** Lets others go on after each slice of work, until `signal` ends it. */
function slices(signal: AbortSignal): () => Promise<void> | void {
  let began = performance.now();
  return () => {
    signal.throwIfAborted();
    if (performance.now() - began < SLICE_MS) return;
    return new Promise((resolve) =>
      setTimeout(() => {
        began = performance.now();
        resolve();
      })
    );
  };
}
