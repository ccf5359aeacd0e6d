/**
 * Whose counts were taken in.
 *
 * @module
 */
import { randomKey } from "../links/link.ts";

/**
 * Knows ids that came before, of the form `NAME-N`: of each name it remembers the greatest `N`, in base 36,
 * since who sends counts sends one after the other. So many names at most; those heard of longest ago go.
 *
 * @example
 * ```ts
 * const senders = new Senders();
 * senders.note("pZ8vD0bQ3e-z");
 * senders.has("pZ8vD0bQ3e-y"); // true
 * senders.has("pZ8vD0bQ3e-10"); // false
 * ```
 */
export class Senders {
  readonly #last = new Map<string, number>();

  constructor(private readonly limit = 65_536) {}

  has(id: string): boolean {
    const [name, n] = splitId(id);
    return n <= (this.#last.get(name) ?? -1);
  }

  note(id: string): void {
    const [name, n] = splitId(id);
    const last = Math.max(n, this.#last.get(name) ?? 0);
    this.#last.delete(name);
    this.#last.set(name, last);
    if (this.#last.size <= this.limit) return;
    const [oldest] = this.#last.keys();
    this.#last.delete(oldest);
  }

  /** The last number of each. */
  *[Symbol.iterator](): Generator<string, void, void> {
    for (const [name, n] of this.#last) yield `${name}-${n.toString(36)}`;
  }
}

/** Makes ids, one after the other. */
export function newIds(): () => string {
  const name = randomKey();
  let count = 0;
  return () => `${name}-${(count++).toString(36)}`;
}

/**
 * The name and the number of an id.
 *
 * @example
 * ```ts
 * splitId("pZ8vD0bQ3e-10"); // ["pZ8vD0bQ3e", 36]
 * ```
 */
export function splitId(id: string): [name: string, n: number] {
  const [, name = id, n = "0"] = /^(.*)-([\da-z]{1,10})$/s.exec(id) ?? [];
  return [name, parseInt(n, 36)];
}
