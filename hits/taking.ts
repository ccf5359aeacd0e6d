/**
 * Counts on their way.
 *
 * @module
 */
import { randomKey } from "../links/link.ts";

/** Counts that are being taken in, by their ids: those that come again meanwhile have the same outcome. */
export class Taking {
  readonly #byId = new Map<string, Promise<void>>();

  /** Takes counts in; those without an id are always others. */
  once(id: string | undefined, take: () => Promise<void>): Promise<void> {
    id ??= randomKey();
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const taken = take().finally(() => this.#byId.delete(id));
    this.#byId.set(id, taken);
    return taken;
  }

  /** Resolves when none is on its way any more, whatever came of it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#byId.values());
  }
}
