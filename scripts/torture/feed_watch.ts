/**
 * How long replicas are without a feed.
 *
 * @module
 */
import type { Cluster } from "./cluster.ts";
import type { Report } from "./report.ts";

const LOOK_MS = 50;
const MAX_WITHOUT = 0.05; // of the looks at a replica

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

/** Whether a replica was without a feed, where none had to be. */
export function checkFeeds(watch: FeedWatch | undefined, report: Report): string[] {
  const broken: string[] = [];
  for (const [name, { all, without, reasons }] of watch?.looks ?? []) {
    const said = [...reasons];
    // A machine that is too busy to answer in two seconds is none that keeps the feed back.
    if (all === 0 || said.some((reason) => reason.startsWith("lost the master:"))) continue;
    report.looks += all;
    report.withoutFeed = Math.max(report.withoutFeed, without / all);
    const wasLost = said.some((reason) => reason.startsWith("lost the master's feed"));
    if (without <= Math.max(1, MAX_WITHOUT * all) && !wasLost) continue;
    broken.push(
      `${name} was without a feed in ${without} of ${all} looks, and nobody touched it; it said: ${
        said.join(", ") || "nothing"
      }`,
    );
  }
  return broken;
}
