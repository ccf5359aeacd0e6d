/**
 * What the owner of a journal does to it by itself, and what others ask it to do.
 *
 * @module
 */
import { Asked } from "./asked.ts";
import type { Events } from "./events.ts";
import { reasonOf } from "./file.ts";
import type { Journal } from "./journal.ts";
import { type Compaction, compactOpen } from "./maintenance.ts";

const LOOK_MS = 1000;
const RETRY_MS = 3_600_000; // after a compaction that failed
const SLICE_MS = 2; // of work, between which others go on
const LARGE = 64 << 20; // bytes
const MOSTLY = 1 / 2; // of the lines

/**
 * Compacts a journal while it is in use: once most of its lines are superseded, and when the `-compact`
 * of another process asks for it.
 *
 * @example
 * ```ts ignore
 * const upkeep = new Upkeep(journal, () => table.size);
 * await upkeep.close();
 * ```
 */
export class Upkeep {
  readonly #closed = new AbortController();
  readonly #asked: Asked;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #events: Events;
  #working?: Promise<void>;
  #retry = -Infinity;

  /** @param keys how many there are in what the journal has published */
  constructor(
    private readonly journal: Journal,
    private readonly keys: () => number,
  ) {
    this.#events = journal.events;
    this.#asked = new Asked(journal);
    this.#timer = setInterval(() => this.#working ??= this.#look(), LOOK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Gives up what is being done. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closed.abort(new Error("shutting down"));
    await this.#working;
  }

  async #look(): Promise<void> {
    try {
      const answer = await this.#asked.take();
      if (!answer && !this.#isDue) return;
      const outcome = await this.#compact(answer?.progress);
      await answer?.give(outcome);
    } finally {
      this.#working = undefined;
    }
  }

  get #isDue(): boolean {
    const { bytes, lines } = this.journal;
    return bytes > LARGE && lines - this.keys() > MOSTLY * lines &&
      performance.now() - this.#retry > RETRY_MS;
  }

  async #compact(progress?: (done: number, total: number) => void): Promise<Compaction | string> {
    const { path: file } = this.journal;
    try {
      const pause = slices(this.#closed.signal);
      const done = await compactOpen(this.journal, this.keys(), { progress, pause });
      const { lines: [, lines], bytes: [before, bytes] } = done;
      if (bytes !== before) this.#events("info", "compacted", { file, lines, bytes, before });
      return done;
    } catch (error) {
      const reason = reasonOf(error).replace(`${file}: `, "");
      this.#retry = performance.now();
      if (!this.#closed.signal.aborted) this.#events("warn", "cannot compact", { file, reason });
      return reason;
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
