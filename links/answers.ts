/**
 * The answers to the latest writes, so that each is done once however often it is sent.
 *
 * @module
 */
import type { Link } from "./link.ts";

/**
 * Remembers the last `limit` ids at least, and twice as many at most.
 *
 * @example
 * ```ts
 * const answers = new Answers();
 * const write = () => Promise.resolve({ key: "0", url: "https://example.com/" });
 * await answers.once("an id", write);
 * await answers.once("an id", write); // the same answer, and nothing was written
 * ```
 */
export class Answers {
  #recent = new Map<string, Link | Promise<Link>>();
  #older = new Map<string, Link | Promise<Link>>();

  constructor(private readonly limit = 65_536) {}

  /** Gives a repeated `id` its first answer; a write that failed may be tried again. */
  once(id: string | undefined, write: () => Promise<Link>): Promise<Link> {
    if (id === undefined) return write();
    const first = this.#recent.get(id) ?? this.#older.get(id);
    if (first !== undefined) return Promise.resolve(first);
    const answer = write();
    this.remember(id, answer);
    answer.catch(() => {
      this.#recent.delete(id);
      this.#older.delete(id);
    });
    return answer;
  }

  /** The link that a write with this id made, once it has. */
  of(id: string): Link | undefined {
    const answer = this.#recent.get(id) ?? this.#older.get(id);
    return answer instanceof Promise ? undefined : answer;
  }

  /** Takes over what a write was answered. */
  remember(id: string, answer: Link | Promise<Link>): void {
    this.#recent.set(id, answer);
    if (this.#recent.size < this.limit) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
