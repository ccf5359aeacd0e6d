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

/** The database doesn't answer. */
export const errAway = new StoreError("unavailable", "the database is out of reach");

/** Knows why nothing can be appended; then it looks once a second whether something can. */
export class Health {
  /** Why the last write failed, until one succeeds. */
  failure?: StoreError;
  #probe?: ReturnType<typeof setTimeout>;
  #closed = false;

  /**
   * @param key what is written to see whether something can be
   * @param read reads what must be read before anything is appended
   */
  constructor(
    private readonly database: Database,
    private readonly key: Key,
    private readonly read: (signal: AbortSignal) => Promise<unknown>,
    private readonly events: Events,
  ) {}

  /** A write failed, or a read that must come before one. */
  fail(error: unknown): void {
    const { address: database } = this.database;
    const reason = causeOf(error).replace(
      /^(?:may have been saved|the database is out of reach): /,
      "",
    );
    const isFull = error instanceof StoreError && error.kind === "full";
    if (this.failure === undefined) {
      if (isFull) this.events("error", "cannot write", { database, reason });
      else this.events("warn", "lost the database", { database, reason });
      this.#probeLater();
    }
    this.failure = isFull ? new StoreError("full", reason) : errAway;
  }

  #probeLater(): void {
    if (this.#closed) return;
    this.#probe = setTimeout(async () => {
      try {
        const mutations = [{ key: this.key, set: new Uint8Array(1) }];
        await ask((signal) => this.database.commit({ checks: [], mutations }, signal));
        await ask(this.read);
        this.work();
      } catch {
        this.#probeLater();
      }
    }, PROBE_MS);
    Deno.unrefTimer(this.#probe);
  }

  /** It works. */
  work(): void {
    if (this.failure === undefined) return;
    const { address: database } = this.database;
    const isAway = this.failure === errAway;
    this.failure = undefined;
    clearTimeout(this.#probe);
    this.events("info", isAway ? "the database answers" : "writing again", { database });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#probe);
  }
}
