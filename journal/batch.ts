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
import { type Log, LogConflict } from "./log.ts";

const encoder = new TextEncoder();

/** A change that somebody waits for. */
export interface Save {
  wanted: Wanted;
  resolve: (link: Link) => void;
  reject: (error: unknown) => void;
}

/** What everyone is told of a commit that failed. */
function toRefusal(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  return error instanceof MaybeSavedError
    ? new StoreError("unavailable", error.message)
    : new StoreError("full", `cannot save: ${reasonOf(error)}`);
}

/** What a {@linkcode Batch} is made for. */
export interface BatchOptions {
  /** Makes a key that is not `taken`. */
  newKey(taken: ReadonlyMap<string, unknown>): string;
  /** The link that a write with this id has made before, perhaps at another master. */
  made(id: string): Link | undefined;
  /** The longest line that the log takes, in bytes. */
  maxLine?: number;
  /** So many seconds after its end the key of a link is free again. */
  grace?: number;
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
  readonly #made: { link: Link; save: Save }[] = [];
  readonly #refused: { save: Save; error: unknown }[] = [];

  constructor(
    private readonly links: Table,
    saves: Save[],
    private readonly options: BatchOptions,
  ) {
    for (const save of saves) {
      try {
        this.#take(save);
      } catch (error) {
        this.#refused.push({ save, error });
      }
    }
  }

  #take(save: Save): void {
    const { wanted } = save;
    const { newKey, made, grace } = this.options;
    const { url, key = newKey(this.#links), id } = wanted;
    const before = id === undefined ? undefined : made(id);
    if (before !== undefined) return void this.#made.push({ link: before, save });
    // Of a new key there is nothing.
    const there = wanted.key === undefined
      ? undefined
      : this.#links.get(key) ?? this.links.peek(key);
    const link: Link = { key, url, ...factsOf(there, wanted, grace) };
    const change: Change = id === undefined ? link : { ...link, id };
    const line = formatLine(change);
    this.#refuseLong(line);
    this.#changes.push({ link, change, entry: this.#add(change), save });
    this.#links.set(key, link);
    this.lines += line;
  }

  /** Shows what was written, each change by `set`. */
  show(set: (change: Change, entry: number, links: Table) => void): void {
    for (const { change, entry } of this.#changes) set(change, entry, this.links);
  }

  /** Tells everyone what came of it. */
  answer(): void {
    for (const { link, save } of [...this.#changes, ...this.#made]) save.resolve(link);
    for (const { save, error } of this.#refused) save.reject(error);
  }

  /** Lets go of the memory that it took: it is made anew of the same changes. */
  drop(): void {
    for (const { entry } of this.#changes) this.links.drop(entry);
  }

  /** Tells everyone why nothing is shown of what they wanted. */
  fail(error: StoreError): void {
    this.drop();
    for (const { save } of [...this.#changes, ...this.#made, ...this.#refused]) save.reject(error);
  }

  #refuseLong(line: string): void {
    const { maxLine = Infinity } = this.options;
    if (3 * line.length <= maxLine || encoder.encode(line).length <= maxLine) return;
    throw new StoreError("invalid url", `invalid URL: with it the line has over ${maxLine} bytes`);
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

/**
 * Appends what becomes of changes, shows it, lets followers have it, and answers everyone. Where another master was
 * first, the batch is formed anew: a key may be taken now. Nobody is refused by what is not the latest.
 *
 * @param form makes a batch of the changes, as they can be made now
 * @param set shows a change
 * @returns whether it was appended
 */
export async function commit(
  log: Log,
  form: () => Batch,
  set: (change: Change, entry: number, links: Table) => void,
): Promise<boolean> {
  for (let isLatest = !log.shared;;) {
    const batch = form();
    try {
      if (batch.lines !== "") {
        await log.append(batch.lines);
      } else if (!isLatest) {
        await log.catchUp();
        isLatest = true;
        batch.drop();
        continue;
      }
    } catch (error) {
      if (!(error instanceof LogConflict)) {
        batch.fail(toRefusal(error));
        return false;
      }
      batch.drop();
      continue;
    }
    batch.show(set);
    log.publish();
    batch.answer();
    return true;
  }
}
