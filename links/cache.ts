/**
 * The links that a replica was asked for.
 *
 * @module
 */
import type { Link } from "./link.ts";
import { Table, type TableMemory } from "./table.ts";

/** So many bytes a link may take, on average: where links are longer, there are fewer. */
export const LINK_BYTES = 128;
const MIN_BYTES = 64 << 10; // of a half: any link fits in that can be made
const MAX_OVERHEAD = 32; // bytes of an entry beside key and URL
const SEGMENT_BITS = 24; // at most

/**
 * At most `limit` links, and {@linkcode LINK_BYTES} bytes for each of them (but 128 KiB at least):
 * those not asked for lately are dropped.
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
  #found: Table; // in which of them
  #readable = true;
  readonly #half: number; // of the links
  readonly #halfBytes: number;
  readonly #listeners: ((memory: TableMemory) => void)[] = [];

  constructor(limit: number) {
    this.#half = limit > 0 ? Math.max(1, Math.floor(limit / 2)) : 0;
    this.#halfBytes = Math.max(MIN_BYTES, this.#half * LINK_BYTES);
    this.#young = this.#newTable();
    this.#old = this.#newTable();
    this.#found = this.#young;
  }

  /** How many links there are. */
  get count(): number {
    return this.#young.count + this.#old.count;
  }

  /** How many bytes they take, with what is superseded. */
  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
  }

  /** The URL of `key`; "" if its time is over. */
  get(key: string): string | undefined {
    const url = this.#young.get(key);
    this.#found = this.#young;
    if (url !== undefined) return url;
    const old = this.#old.get(key);
    this.#found = this.#old;
    if (old !== undefined) this.set(this.#old.peek(key)!);
    return old;
  }

  /** When the link was created that {@linkcode get} found last, or 0 where that isn't known. */
  get created(): number {
    return this.#found.created;
  }

  /** All of the link of `key`, also where its time is over. */
  peek(key: string): Link | undefined {
    if (this.#young.get(key) !== undefined) return this.#young.peek(key);
    return this.#old.get(key) === undefined ? undefined : this.#old.peek(key);
  }

  /** Takes a link in, if it can be held. */
  set(link: Link): void {
    if (this.#half === 0) return;
    const size = MAX_OVERHEAD + 2 * (link.key.length + link.url.length); // at most
    // One that is too large is asked for each time.
    if (size > this.#halfBytes) return this.delete(link.key);
    if (this.#young.bytes + size > this.#halfBytes) this.#turn();
    this.#young.set(link);
    this.#old.hide(link.key);
    if (this.#young.count >= this.#half) this.#turn();
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
    return new Table({
      segmentBits: Math.min(Math.ceil(Math.log2(this.#halfBytes)), SEGMENT_BITS),
    });
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
