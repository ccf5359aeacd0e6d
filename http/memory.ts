/**
 * Memory that the runtime takes for what clients send.
 *
 * @module
 */
import { countFollowers } from "../journal/followers.ts";
import { sharedBytes } from "../links/memory.ts";
import type { Counters } from "./counters.ts";
import { lowestFree } from "./descriptors.ts";

/** More memory than this beside ours is the runtime's buffers, for what clients sent ahead. */
export const SPARE_BYTES = 512 << 20;
const MINUTE_MS = 60_000;
const FOLLOWER_BYTES = 600 << 10;
const CONNECTION_BYTES = 16 << 10;

/** How much memory the process takes, and how much of that is accounted for. */
export interface Usage {
  resident: number;
  ours: number;
}

/** Measures the process, of which each thread notes its heap in `counters`. */
export function measure(counters: Counters): Usage {
  const { rss, heapTotal, external } = Deno.memoryUsage();
  counters.memory = heapTotal + external + sharedBytes() + countFollowers() * FOLLOWER_BYTES;
  return { resident: rss, ours: counters.allMemory + (lowestFree() ?? 0) * CONNECTION_BYTES };
}

/**
 * Says when the runtime's buffers take too much memory. It says so once, and again only after they took less in
 * between, and a minute at the earliest.
 *
 * @example
 * ```ts
 * const watch = new MemoryWatch(() => ({ resident: 900e6, ours: 100e6 }));
 * watch.isFull(); // true
 * watch.isFull(); // false: it was said
 * ```
 */
export class MemoryWatch {
  #told = false;
  #last = -Infinity;

  /** @param now the time in milliseconds */
  constructor(
    private readonly usage: () => Usage,
    private readonly now = () => performance.now(),
  ) {}

  /** Whether it is time to close all connections. */
  isFull(): boolean {
    const { resident, ours } = this.usage();
    if (resident - ours <= SPARE_BYTES) {
      this.#told = false;
      return false;
    }
    // What is there after all connections were closed is none of theirs.
    if (this.#told || this.now() - this.#last < MINUTE_MS) return false;
    this.#told = true;
    this.#last = this.now();
    return true;
  }
}
