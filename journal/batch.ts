/**
 * Changes that share one commit.
 *
 * @module
 */
import { errExists, errNotFound, StoreError } from "../links/errors.ts";
import type { Change, Link } from "../links/link.ts";
import type { Table } from "../links/table.ts";
import { formatLine } from "./lines.ts";

/** A change that somebody waits for. */
export interface Save {
  /** None: a new one is to be made. */
  key?: string;
  /** "" deletes. */
  url: string;
  id?: string;
  /** Whether the key must lead nowhere yet, or somewhere already. */
  isNew: boolean;
  resolve: (link: Link) => void;
  reject: (error: unknown) => void;
}

/**
 * What a commit makes of the links. Each change finds them as those before it leave them, and has its
 * place in memory before any is written: what can't be held would never load again.
 */
export class Batch {
  /** What is to be written. */
  lines = "";
  readonly #urls = new Map<string, string>(); // as the batch leaves them, by key
  readonly #changes: { change: Change; entry: number; save: Save }[] = [];
  readonly #refused: { save: Save; error: unknown }[] = [];

  /** @param newKey makes a key that is not `taken` */
  constructor(
    private readonly links: Table,
    saves: Save[],
    newKey: (taken: ReadonlyMap<string, string>) => string,
  ) {
    for (const save of saves) {
      try {
        const { url, id, key = newKey(this.#urls) } = save;
        this.#check(key, save.isNew);
        const change = { key, url, id };
        this.#changes.push({ change, entry: this.#add(change), save });
        this.#urls.set(key, url);
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
    for (const { change: { key, url }, save } of this.#changes) save.resolve({ key, url });
    for (const { save, error } of this.#refused) save.reject(error);
  }

  /** Tells everyone that nothing could be written. */
  fail(error: StoreError): void {
    for (const { entry, save } of this.#changes) {
      this.links.drop(entry);
      save.reject(error);
    }
    for (const { save } of this.#refused) save.reject(error);
  }

  #check(key: string, isNew: boolean): void {
    const leads = this.#urls.get(key) ?? this.links.get(key);
    if (isNew && leads) throw errExists;
    if (!isNew && !leads) throw errNotFound;
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
