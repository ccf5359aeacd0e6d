/**
 * Copying what the master has counted.
 *
 * @module
 */
import type { HitsCopy } from "../hits/copy.ts";
import type { Counting } from "../hits/counting.ts";
import { pause } from "./wait.ts";

const COPY_MS = 2000;

/** What a mirror has, and whether it is up to date. */
interface Copied {
  readonly live: boolean;
  readonly hits?: HitsCopy;
}

/** Copies every two seconds what `from` reads, until it is closed. */
export class HitsCopier {
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;

  constructor(private readonly copy: Copied, private readonly from: Counting) {
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await pause(COPY_MS, signal);
      // What can't be had now may be had later. Links come first: counts are of those that are there.
      if (this.copy.live) await this.copy.hits?.copy(this.from).catch(() => {});
    }
  }
}
