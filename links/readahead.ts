/**
 * What comes after a page of links.
 *
 * @module
 */
import type { Place } from "./order.ts";

const MOST = 4; // at once
const MAX_MS = 10_000;

/** The links behind a page, which were found with it. */
export interface Following {
  /** Where they stand, one right after the other. */
  places: Place[];
  /** Whether there are more behind them. */
  more: boolean;
  /** How many bytes had been written to the table by then: what was written since must be looked at. */
  written: number;
}

/**
 * Keeps the links behind the last few pages for ten seconds. A search looks at all links, whatever a page has room
 * for. As it finds several pages at once, a client that asks for one after the other makes it do so only for the
 * first of them.
 */
export class ReadAhead {
  readonly #kept = new Map<string, { following: Following; till: number }>();

  /** Returns what was kept by this name, and forgets it. */
  take(name: string): Following | undefined {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    return kept !== undefined && performance.now() < kept.till ? kept.following : undefined;
  }

  /** Keeps them by a name; of more than four the oldest are dropped. */
  keep(name: string, following: Following): void {
    this.#kept.set(name, { following, till: performance.now() + MAX_MS });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(oldest);
    }
  }

  /** Forgets them all. */
  clear(): void {
    this.#kept.clear();
  }
}
