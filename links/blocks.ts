/**
 * Entries in blocks, in the order in which they were written, so that all can be looked at, the newest
 * first, and in pieces.
 *
 * @module
 */
import type { EntryReader } from "./entries.ts";
import type { Link } from "./link.ts";

const BLOCK = 128 << 10; // bytes; one ends with the entry that reaches beyond

/** Neighbours in a segment. */
export interface Block {
  /** The number of the segment. */
  readonly segment: number;
  /** Where in it the block begins, and ends. */
  readonly start: number;
  end: number;
  /** How many bytes were written before, in all segments. */
  readonly offset: number;
  /** No link in it was created later, and none sooner. */
  newest: number;
  oldest: number;
  /** Whether its segment was let go. */
  freed: boolean;
}

/**
 * The blocks of a writer's entries.
 *
 * @example
 * ```ts
 * import { EntryWriter } from "./writer.ts";
 *
 * const entries = new EntryWriter();
 * entries.add({ key: "docs", url: "https://example.com/" });
 * const [block] = entries.blocks.all();
 * const [ref] = entries.blocks.refsOf(block);
 * entries.keyOf(ref); // "docs"
 * ```
 */
export class Blocks {
  /** How many bytes were ever written. */
  written = 0;
  #blocks: Block[] = [];

  constructor(private readonly entries: EntryReader) {}

  /** Notes that links created between `oldest` and `newest` are written to a segment, from `start` to `end`. */
  note(segment: number, start: number, end: number, oldest: number, newest: number): void {
    const offset = this.written;
    this.written += end - start;
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.segment === segment && last.end - last.start < BLOCK) {
      last.end = end;
      last.newest = Math.max(last.newest, newest);
      last.oldest = Math.min(last.oldest, oldest);
    } else {
      this.#blocks.push({ segment, start, end, offset, newest, oldest, freed: false });
    }
  }

  /** Notes that a segment is let go. */
  drop(segment: number): void {
    this.#blocks = this.#blocks.filter((block) => !(block.freed = block.segment === segment));
  }

  /** All of them, in the order in which they were written. */
  all(): Block[] {
    return [...this.#blocks];
  }

  /**
   * The references to all entries, block after block, whatever is written or moved between two of them:
   * that comes last, so an entry may come twice.
   */
  *walk(): Generator<number[], void, void> {
    for (let from = 0, seen; (seen = this.written) > from; from = seen) {
      for (const block of this.all()) {
        if (!block.freed && endOf(block) > from) yield this.refsOf(block);
      }
    }
  }

  bytesOf({ segment, start, end }: Block) {
    return this.entries.bytesOf(segment).subarray(start, end);
  }

  /** The references to the entries of a block, in the order in which they were written. */
  refsOf(block: Block): number[] {
    const { entries } = this;
    const refs: number[] = [];
    for (let at = block.start; at < block.end;) {
      const ref = entries.refTo(block.segment, at);
      refs.push(ref);
      at += entries.sizeOf(ref);
    }
    return refs;
  }

  /** How many bytes were written before an entry of a block. */
  placeOf(ref: number, block: Block): number {
    return block.offset + this.entries.offsetOf(ref) - block.start;
  }

  /** Where in a block the key and the URL of an entry begin, and where that ends. */
  rangesOf(ref: number, { start }: Block): [key: number, url: number, end: number] {
    const { key, url, end } = this.entries.parts(ref);
    return [key - start, url - start, end - start];
  }

  linkOf(ref: number): Link {
    return this.entries.linkOf(ref);
  }
}

/** How many bytes were written up to the end of a block. */
export function endOf({ offset, start, end }: Block): number {
  return offset + end - start;
}
