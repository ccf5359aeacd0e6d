/**
 * Copying what the master has counted.
 *
 * @module
 */
import type { HitsCopy } from "../hits/copy.ts";
import type { Counting } from "../hits/counting.ts";
import { type Events, silent } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import { StoreError } from "../links/errors.ts";
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

  constructor(
    private readonly copy: Copied,
    private readonly from: Counting,
    private readonly events: Events = silent,
  ) {
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    let told = false;
    while (!signal.aborted) {
      await pause(COPY_MS, signal);
      if (!this.copy.live) continue; // links come first: counts are of those that are there
      try {
        await this.copy.hits?.copy(this.from);
        told = false;
      } catch (error) {
        // What can't be had now may be had later.
        if (error instanceof StoreError || told) continue;
        this.events("warn", "cannot copy hits", { reason: reasonOf(error) });
        told = true;
      }
    }
  }
}
