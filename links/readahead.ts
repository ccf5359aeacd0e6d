/**
 * What comes after a page of links.
 *
 * @module
 */
import type { Place } from "./order.ts";

const MOST = 4; // at once
const MAX_MS = 10_000;

/** Links behind a page, found with it, as the table was then. */
export interface Following {
  /** They have nothing between them. */
  places: Place[];
  /** Whether there are more behind them. */
  more: boolean;
  /** How many bytes were written to the table then: what came later has to be looked at. */
  written: number;
}

/**
 * Keeps what comes after the pages that were given last, for a moment: a search looks at all links anyway, and
 * where it keeps the best of more than one page, whoever asks for all links page after page doesn't make it look at
 * all of them for each.
 */
export class ReadAhead {
  readonly #kept = new Map<string, { following: Following; till: number }>();

  /** Gives what was kept by this name, which nobody gets again. */
  take(name: string): Following | undefined {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    return kept !== undefined && performance.now() < kept.till ? kept.following : undefined;
  }

  keep(name: string, following: Following): void {
    this.#kept.set(name, { following, till: performance.now() + MAX_MS });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(oldest);
    }
  }

  clear(): void {
    this.#kept.clear();
  }
}
