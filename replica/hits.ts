/**
 * What a replica counts, on its way to who adds it up.
 *
 * @module
 */
import type { Counting } from "../hits/counting.ts";
import { type Counts, formatCounts, type Hit, hitOf } from "../hits/counts.ts";
import { newIds } from "../hits/senders.ts";
import { Unsent } from "../hits/unsent.ts";
import type { Client } from "../jsonrpc/client.ts";
import { type Events, silent } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import { StoreError } from "../links/errors.ts";
import { Mutex } from "../links/mutex.ts";
import { pause } from "../links/wait.ts";

const SEND_MS = 1000;
const MAX_WAIT_MS = 8000; // after failures: longer and longer, up to that
const CLOSE_MS = 3000; // at the end, for a master that is just being restarted, too
const RETRY_MS = 100;
const MAX_SENT = 4000; // links in one call
const MAX_SENT_CHARS = 100 << 10; // of their keys
/** So many links a day are kept that could not be sent; of others nothing is. */
const MAX_KEPT = 100_000;

/** How a {@linkcode SentHits} goes about it. */
export interface SentHitsOptions {
  /** Where what can't be sent is kept beside memory. */
  path?: string;
  events?: Events;
}

/**
 * Sends what is counted to the master, and what those below counted. What can't be sent is kept, and sent later:
 * with the id that it had, so that it counts once.
 */
export class SentHits implements Counting {
  readonly #gathered = new Map<number, Map<string, Hit>>(); // by day, and by key and time
  #kept = 0; // of these
  #sent?: Counts; // on their way, perhaps for the second time
  #dropping = false;
  #failing = false; // whether the file can't be written
  #wait = SEND_MS;
  readonly #mutex = new Mutex();
  #timer?: ReturnType<typeof setTimeout>;
  #closed = false;
  readonly #left: Counts[] = []; // by who ran here before
  readonly #unsent: Unsent;
  readonly #newId = newIds();
  readonly #events: Events;

  constructor(private readonly client: Client, { path, events = silent }: SentHitsOptions = {}) {
    this.#unsent = new Unsent(path, events);
    this.#events = events;
  }

  /** Takes over what was left when the server ended. */
  async load(): Promise<void> {
    const left = await this.#unsent.load().catch((error): Counts[] => {
      this.#events("warn", "cannot load hits", { reason: reasonOf(error) });
      return [];
    });
    for (const counts of left) {
      if (counts.id === undefined) this.add(counts);
      else this.#left.push(counts);
    }
    if (this.#left.length > 0) this.#later();
  }

  add({ day, hits }: Counts): void {
    const links = this.#gathered.get(day) ?? new Map<string, Hit>();
    this.#gathered.set(day, links);
    for (const [key, count, previews, created] of hits) {
      const link = `${created} ${key}`;
      const hit = links.get(link);
      if (hit !== undefined) {
        hit[1] += count;
        hit[2] += previews;
      } else if (this.#kept < MAX_KEPT) {
        links.set(link, hitOf(key, count, previews, created));
        this.#kept++;
      } else if (!this.#dropping) {
        this.#dropping = true;
        this.#events("warn", "hits are lost: too many wait for the master", { links: this.#kept });
      }
    }
    this.#later();
  }

  async take(counts: Counts): Promise<void> {
    const { error } = await this.client.call("Store.Hits", [formatCounts(counts), counts.id]);
    if (error) throw error;
  }

  /** Sends what is left, if the master soon takes it; else it is kept for the next time, if it can be. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#send();
    // A connection that was not used for long may be gone without anybody's fault, so there is a second try;
    // for more of them only what is not kept is worth the time.
    const end = performance.now() +
      (this.#unsent.path !== undefined && !this.#failing ? 0 : CLOSE_MS);
    for (let late = false; this.#waiting().length > 0 && !late; late = performance.now() > end) {
      await pause(RETRY_MS);
      await this.#send();
    }
    const links = this.#waiting().reduce((sum, { hits }) => sum + hits.length, 0);
    const isKept = await this.#keep();
    if (links > 0 && !isKept) {
      this.#events("warn", "hits are lost: the master is out of reach", { links });
    }
  }

  #later(): void {
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#send(), this.#wait);
  }

  #send(): Promise<void> {
    this.#timer = undefined;
    return this.#mutex.run(async () => {
      let failed = false;
      while (!failed && (this.#sent ??= this.#next()) !== undefined) {
        try {
          // With its id, before anybody may have heard of it.
          if (this.#unsent.there) await this.#unsent.save(this.#waiting());
          await this.take(this.#sent);
          this.#sent = undefined;
        } catch (error) {
          // What is refused for good would be refused each time.
          failed = !(error instanceof StoreError && error.kind === "invalid query");
          if (failed) break;
          this.#events("warn", "hits are lost: the master refuses them", {
            reason: reasonOf(error),
          });
          this.#sent = undefined;
        }
      }
      await this.#keep();
      this.#wait = failed ? Math.min(2 * this.#wait, MAX_WAIT_MS) : SEND_MS;
      if (failed) this.#later();
      else this.#dropping = false;
    });
  }

  /** Keeps what is still to be sent beside memory, and gives whether it is. */
  async #keep(): Promise<boolean> {
    try {
      await this.#unsent.save(this.#waiting());
      this.#failing = false;
      return this.#unsent.path !== undefined;
    } catch (error) {
      if (!this.#failing) this.#events("warn", "cannot keep hits", { reason: reasonOf(error) });
      this.#failing = true;
      return false;
    }
  }

  /** What is to be sent next, with an id. */
  #next(): Counts | undefined {
    const left = this.#left.shift();
    if (left !== undefined) return left;
    for (const [day, links] of this.#gathered) {
      const hits: Hit[] = [];
      let chars = 0;
      for (const [link, hit] of links) {
        if (hits.length === MAX_SENT || chars > MAX_SENT_CHARS) break;
        hits.push(hit);
        chars += link.length;
        links.delete(link);
        this.#kept--;
      }
      if (links.size === 0) this.#gathered.delete(day);
      if (hits.length > 0) return { day, hits, id: this.#newId() };
    }
  }

  /** All that is still to be sent. What has no id yet gets one when it is. */
  #waiting(): Counts[] {
    const gathered = Array.from(
      this.#gathered,
      ([day, links]) => ({ day, hits: [...links.values()] }),
    );
    return [...this.#sent ? [this.#sent] : [], ...this.#left, ...gathered];
  }
}
