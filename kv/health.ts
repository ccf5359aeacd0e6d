/**
 * Whether a database takes what is written.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { causeOf, StoreError } from "../links/errors.ts";
import { ask } from "./call.ts";
import type { Database, Key } from "./database.ts";

const PROBE_MS = 1000;

/** Knows why nothing can be appended; then it looks once a second whether something can. */
export class Health {
  /** Why the last write failed, until one succeeds. */
  failure?: StoreError;
  #probe?: ReturnType<typeof setTimeout>;
  #closed = false;

  /** @param key what is written to see whether something can be */
  constructor(
    private readonly database: Database,
    private readonly key: Key,
    private readonly events: Events,
  ) {}

  /** A write failed, or a read that must come before one. */
  fail(error: unknown): void {
    const reason = causeOf(error);
    if (this.failure === undefined) {
      this.events("error", "cannot write", { database: this.database.address, reason });
      this.#probeLater();
    }
    const kind = error instanceof StoreError ? error.kind : "unavailable";
    this.failure = new StoreError(kind, reason.replace(/^may have been saved: /, ""));
  }

  #probeLater(): void {
    if (this.#closed) return;
    this.#probe = setTimeout(async () => {
      try {
        const mutations = [{ key: this.key, set: new Uint8Array(1) }];
        await ask((signal) => this.database.commit({ checks: [], mutations }, signal));
        this.failure = undefined;
        this.events("info", "writing again", { database: this.database.address });
      } catch {
        this.#probeLater();
      }
    }, PROBE_MS);
    Deno.unrefTimer(this.#probe);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#probe);
  }
}
