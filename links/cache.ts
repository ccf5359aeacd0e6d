/**
 * The links that a replica was asked for.
 *
 * @module
 */
import type { Link } from "./link.ts";
import { Table, type TableMemory } from "./table.ts";

const LINK_BYTES = 128; // that a link takes, more or less
const MIN_BITS = 16; // 64 KiB, which any link fits in that can be made
const MAX_BITS = 24;

/**
 * At most `limit` links: those not asked for lately are dropped.
 *
 * @example
 * ```ts
 * const cache = new Cache(1_000_000);
 * cache.set({ key: "docs", url: "https://example.com/" });
 * cache.get("docs"); // "https://example.com/"
 * ```
 */
export class Cache {
  // Two generations. A hit in the younger costs one look-up and moves nothing; when it is full, it
  // becomes the older, and what the older still held was asked for by nobody since.
  #young: Table;
  #old: Table;
  #readable = true;
  readonly #half: number;
  readonly #segmentBits: number;
  readonly #listeners: ((memory: TableMemory) => void)[] = [];

  constructor(limit: number) {
    this.#half = limit > 0 ? Math.max(1, Math.floor(limit / 2)) : 0;
    const bits = Math.ceil(Math.log2(this.#half * LINK_BYTES));
    this.#segmentBits = Math.max(MIN_BITS, Math.min(bits, MAX_BITS));
    this.#young = this.#newTable();
    this.#old = this.#newTable();
  }

  /** How many links there are. */
  get count(): number {
    return this.#young.count + this.#old.count;
  }

  get(key: string): string | undefined {
    const url = this.#young.get(key);
    if (url !== undefined) return url;
    const old = this.#old.get(key);
    if (old !== undefined) this.set({ key, url: old });
    return old;
  }

  /** Takes a link in, if it can be held. */
  set(link: Link): void {
    if (this.#half === 0) return;
    try {
      this.#young.set(link);
    } catch (error) {
      // One that is too large is asked for each time.
      if (error instanceof RangeError) return this.delete(link.key);
      throw error;
    }
    this.#old.hide(link.key);
    // One that is changed again and again takes no more memory than many.
    const superseded = this.#young.superseded >> this.#segmentBits;
    if (this.#young.count >= this.#half || superseded > 0) this.#turn();
  }

  delete(key: string): void {
    this.#young.hide(key);
    this.#old.hide(key);
  }

  clear(): void {
    this.#turn();
    this.#turn();
  }

  /** Whether other threads may read what is here; if not, they must ask. */
  set readable(readable: boolean) {
    this.#readable = readable;
    this.#young.readable = readable;
  }

  /**
   * Gives `take` what other threads read, now and whenever it is another. They ask for the rest, which
   * then counts as asked for.
   */
  share(take: (memory: TableMemory) => void): void {
    this.#listeners.push(take);
    this.#young.share(take);
  }

  #newTable(): Table {
    return new Table({ segmentBits: this.#segmentBits });
  }

  #turn(): void {
    // Nobody is told any more of what changes in there.
    this.#old.readable = this.#young.readable = false;
    this.#old = this.#young;
    this.#young = this.#newTable();
    this.#young.readable = this.#readable;
    for (const take of this.#listeners) this.#young.share(take);
  }
}
