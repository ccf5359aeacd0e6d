/**
 * Changes that share one commit.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import type { Change, Link } from "../links/link.ts";
import type { Table } from "../links/table.ts";
import { factsOf, type Wanted } from "../links/wanted.ts";
import { MaybeSavedError } from "./appender.ts";
import { reasonOf } from "./file.ts";
import { formatLine } from "./lines.ts";

/** A change that somebody waits for. */
export interface Save {
  wanted: Wanted;
  resolve: (link: Link) => void;
  reject: (error: unknown) => void;
}

/** What everyone is told of a commit that failed. */
export function toRefusal(error: unknown): StoreError {
  return error instanceof MaybeSavedError
    ? new StoreError("unavailable", error.message)
    : new StoreError("full", `cannot save: ${reasonOf(error)}`);
}

/**
 * What a commit makes of the links. Each change finds them as those before it leave them, and has its
 * place in memory before any is written: what can't be held would never load again.
 */
export class Batch {
  /** What is to be written. */
  lines = "";
  readonly #links = new Map<string, Link>(); // as the batch leaves them, by key
  readonly #changes: { link: Link; change: Change; entry: number; save: Save }[] = [];
  readonly #refused: { save: Save; error: unknown }[] = [];

  /** @param newKey makes a key that is not `taken` */
  constructor(
    private readonly links: Table,
    saves: Save[],
    newKey: (taken: ReadonlyMap<string, unknown>) => string,
  ) {
    for (const save of saves) {
      try {
        const { wanted } = save;
        const { url, key = newKey(this.#links), id } = wanted;
        // Of a new key there is nothing.
        const before = wanted.key === undefined
          ? undefined
          : this.#links.get(key) ?? this.links.peek(key);
        const link: Link = { key, url, ...factsOf(before, wanted) };
        const change: Change = id === undefined ? link : { ...link, id };
        this.#changes.push({ link, change, entry: this.#add(change), save });
        this.#links.set(key, link);
        this.lines += formatLine(change);
      } catch (error) {
        this.#refused.push({ save, error });
      }
    }
  }

  /** Shows what was written, each change by `set`. */
  show(set: (change: Change, entry: number) => void): void {
    for (const { change, entry } of this.#changes) set(change, entry);
  }

  /** Tells everyone what came of it. */
  answer(): void {
    for (const { link, save } of this.#changes) save.resolve(link);
    for (const { save, error } of this.#refused) save.reject(error);
  }

  /** Tells everyone why nothing is shown of what they wanted. */
  fail(error: StoreError): void {
    for (const { entry, save } of this.#changes) {
      this.links.drop(entry);
      save.reject(error);
    }
    for (const { save } of this.#refused) save.reject(error);
  }

  #add(change: Change): number {
    try {
      return this.links.add(change);
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      throw new StoreError("full", `cannot keep one more link: ${reason}`);
    }
  }
}
