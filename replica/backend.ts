/**
 * What a process serves.
 *
 * @module
 */
import type { Counting } from "../hits/counting.ts";
import type { FeedStream, LogName } from "../journal/feed.ts";
import type { Link } from "../links/link.ts";
import type { TableMemory } from "../links/table.ts";
import type { Served } from "../store.ts";

/** What a process serves: the store that owns the links, or one that follows it. */
export interface Backend extends Served {
  readonly hits?: Counting;
  /** What the operator is told of it. */
  readonly about: { role: "master" | "replica"; [detail: string]: string };
  /** How many links are at hand. */
  readonly count: number;
  /** Reads what there is on disk. Throws a JournalError where it can't be used. */
  load(): Promise<void>;
  /** Adds a link that some store has had before: it may be odd, as old ones are. */
  restore(link: Link): Promise<Link>;
  /** Opens the feed of a log, that of the links where none is named; see `openFeed`. */
  feed(offset?: number, check?: string, log?: LogName): Promise<FeedStream>;
  /** Lets other threads read the links: `take` gets the memory, now and whenever it is another. */
  share(take: (memory: TableMemory) => void): void;
  /** Finishes what is on its way, and lets those go who follow the feed. */
  endFeeds(): Promise<void>;
  /** Lets go of everything; afterwards only reads are answered. */
  close(): Promise<void>;
}
