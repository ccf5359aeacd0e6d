/**
 * Fairness among the masters of one log: one that is further away from the database would lose every time.
 *
 * @module
 */
import type { Entry } from "./database.ts";

/** So long others let a master go first that lost too often, in milliseconds. */
const YIELD_MS = 500;
const LOSSES = 3; // in a row, before a master asks for a turn

/**
 * Whose turn it is. A master that lost three times in a row writes `turn`, which every append checks; so the appends
 * of the others fail, and they see whose turn it is. A master that needs one again and again asks for it sooner.
 */
export class Turn {
  /** The version of `turn`, as it was last read. */
  version: string | null = null;
  #until = 0;
  #lost = 0;
  #patience = LOSSES;

  /** Takes over what was read: another's turn that is later than the last append. */
  see(turn: Entry | undefined, head: string | null): void {
    const version = turn?.version ?? null;
    if (version !== this.version) {
      this.version = version;
      if (version !== null && version > (head ?? "")) this.#until = performance.now() + YIELD_MS;
    }
    if ((head ?? "") >= (version ?? "")) this.#until = 0; // it was used
  }

  /** How long to let another go first, in milliseconds. */
  get wait(): number {
    return Math.max(0, this.#until - performance.now());
  }

  /** Whether it is no use to try without a turn. */
  get isNeeded(): boolean {
    return this.#patience === 0 && this.#lost === 0;
  }

  /** An append lost: whether it is time to ask for a turn. */
  lose(): boolean {
    return ++this.#lost >= this.#patience;
  }

  /** Takes the turn over that was asked for. */
  take(version: string): void {
    this.version = version;
    this.#until = 0;
    this.#patience = Math.max(0, this.#patience - 1);
  }

  /** An append succeeded. */
  win(): void {
    if (this.#lost < this.#patience) this.ease();
    this.#lost = 0;
  }

  /** It went without one, or would have. */
  ease(): void {
    this.#patience = Math.min(LOSSES, this.#patience + 1);
  }
}
