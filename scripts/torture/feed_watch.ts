/**
 * How long replicas are without a feed.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";

const LOOK_MS = 50;

/** How often a replica was looked at, how often it had no feed, and what it said of that. */
export interface Look {
  all: number;
  without: number;
  reasons: Set<string>;
}

/** Looks at every replica again and again, until it is stopped. */
export class FeedWatch {
  /** How often each replica was looked at, and how often it had no feed. */
  readonly looks = new Map<string, Look>();
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>[];

  constructor(cluster: Cluster) {
    this.#running = cluster.replicas.map(async (replica) => {
      const look: Look = { all: 0, without: 0, reasons: new Set() };
      const { logs = [] } = replica.goto ?? {};
      const before = logs.length;
      this.looks.set(replica.name, look);
      while (!this.#stopped.signal.aborted) {
        const ready = await replica.ready().catch(() => undefined);
        if (ready) look.all++;
        if (ready?.reason === "the feed is not at hand") look.without++;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      for (const { msg, reason } of logs.slice(before)) look.reasons.add(`${msg}: ${reason}`);
    });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#running);
  }
}
