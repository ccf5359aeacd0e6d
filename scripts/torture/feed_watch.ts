/**
 * How long replicas are without a feed.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";

const LOOK_MS = 50;

/** Looks at every replica again and again, until it is stopped. */
export class FeedWatch {
  /** How often each replica was looked at, and how often it had no feed. */
  readonly looks = new Map<string, { all: number; without: number }>();
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>[];

  constructor(cluster: Cluster) {
    this.#running = cluster.replicas.map(async (replica) => {
      const look = { all: 0, without: 0 };
      this.looks.set(replica.name, look);
      while (!this.#stopped.signal.aborted) {
        const ready = await replica.ready().catch(() => undefined);
        if (ready) look.all++;
        if (ready?.reason === "the feed is not at hand") look.without++;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#running);
  }
}
