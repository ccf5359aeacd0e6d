/**
 * Counts on their way.
 *
 * @module
 */
import { randomKey } from "../links/link.ts";

/** Counts that are being taken in, by their marks: those that come again meanwhile have the same outcome. */
export class Taking {
  readonly #marks = new Map<string, Promise<void>>();

  /** Takes counts in; those without a mark are always others. */
  once(mark = randomKey(), take: () => Promise<void>): Promise<void> {
    const known = this.#marks.get(mark);
    if (known !== undefined) return known;
    const taken = take().finally(() => this.#marks.delete(mark));
    this.#marks.set(mark, taken);
    return taken;
  }

  /** Resolves when none is on its way any more, whatever came of it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#marks.values());
  }
}
