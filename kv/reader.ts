/**
 * Reading links, many at once.
 *
 * @module
 */
import type { Change } from "../links/link.ts";
import { type Database, MAX_READ } from "./database.ts";
import { DEADLINE_MS, type Head } from "./head.ts";
import { HEAD, linkKey, toChange } from "./layout.ts";

const MAX_READS = 32; // that are under way

/** Somebody who waits for a link. */
interface Question {
  key: string;
  resolve: (change: Change | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Reads links. Those asked for in the same turn travel together, with the head, so that it is known how
 * new they are.
 */
export class Reader {
  #queue: Question[] = [];
  #gathering = false;
  #reads = 0;

  constructor(private readonly database: Database, private readonly head: Head) {}

  /** The link of `key` as it was last changed; afterwards the head is known to be as far. */
  get(key: string): Promise<Change | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Change | undefined>();
    this.#queue.push({ key, resolve, reject });
    if (!this.#gathering) {
      this.#gathering = true;
      queueMicrotask(() => {
        this.#gathering = false;
        this.#start();
      });
    }
    return promise;
  }

  #start(): void {
    while (this.#reads < MAX_READS && this.#queue.length > 0) {
      this.#read(this.#queue.splice(0, MAX_READ - 1));
    }
  }

  async #read(questions: Question[]): Promise<void> {
    this.#reads++;
    try {
      const keys = [HEAD, ...questions.map(({ key }) => linkKey(key))];
      const [head, ...links] = await this.database.read(keys, AbortSignal.timeout(DEADLINE_MS));
      this.head.take(head);
      for (const [i, { resolve }] of questions.entries()) {
        resolve(links[i] && toChange(links[i].value));
      }
    } catch (error) {
      for (const { reject } of questions) reject(error);
    } finally {
      this.#reads--;
      this.#start();
    }
  }
}
