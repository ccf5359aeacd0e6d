/**
 * A table as other threads have it.
 *
 * @module
 */
import { EntryReader, type Segments } from "./entries.ts";
import { hash, type HashConstants } from "./hash.ts";
import { find } from "./part.ts";
import { partOf, type SlotTable } from "./slots.ts";

/** What another thread reads a table by. The memory itself is shared, not copied. */
export interface TableMemory {
  /** Holds `generation` as long as all this is right, and 0 while only the owner may read. */
  control: Int32Array<SharedArrayBuffer>;
  generation: number;
  slots: SlotTable;
  segments: Segments;
  segmentBits: number;
  constants: HashConstants;
}

/**
 * A table as other threads read it.
 *
 * @example
 * ```ts
 * import { Table } from "./table.ts";
 *
 * const table = new Table();
 * table.set({ key: "docs", url: "https://example.com/" });
 * const reader = new TableReader(table.memory); // perhaps after a postMessage
 * reader.get("docs"); // "https://example.com/"
 * ```
 */
export class TableReader {
  readonly #entries: EntryReader;
  #found = 0;

  constructor(private readonly memory: TableMemory) {
    this.#entries = new EntryReader(memory.segments, memory.segmentBits);
  }

  /** The URL of `key`: "" if it was deleted, or is over; nothing where only the owner can tell. */
  get(key: string): string | undefined {
    if (!this.#isCurrent()) return;
    try {
      const { slots, constants } = this.memory;
      const code = hash(key, constants);
      const ref = find(partOf(slots, code), this.#entries, key, code);
      this.#found = ref;
      if (ref === 0) return;
      const url = this.#entries.shownURL(ref);
      // What is out of date may lead anywhere: it must be right from the first look to the last.
      return this.#isCurrent() ? url : undefined;
    } catch (error) {
      if (this.#isCurrent()) throw error;
    }
  }

  /** The number of the counter of the link that {@linkcode get} has just given, or 0 where it has none. */
  get counter(): number {
    return this.#entries.counterOf(this.#found);
  }

  /** When the link was created that {@linkcode get} has just given, or 0 where that isn't known. */
  get created(): number {
    return this.#entries.createdOf(this.#found);
  }

  #isCurrent(): boolean {
    return Atomics.load(this.memory.control, 0) === this.memory.generation;
  }
}

/** Lets other threads know what a table is read by. */
export class Sharing {
  readonly #control = new Int32Array(new SharedArrayBuffer(4));
  #generation = 1;
  #readable = true;
  readonly #listeners: ((memory: TableMemory) => void)[] = [];

  /** @param describe gives what there is now */
  constructor(private readonly describe: () => Omit<TableMemory, "control" | "generation">) {
    this.#control[0] = this.#generation;
  }

  get memory(): TableMemory {
    return { control: this.#control, generation: this.#generation, ...this.describe() };
  }

  set readable(readable: boolean) {
    this.#readable = readable;
    Atomics.store(this.#control, 0, readable ? this.#generation : 0);
  }

  /** Gives what there is to `take`, now and whenever it has become another. */
  share(take: (memory: TableMemory) => void): void {
    this.#listeners.push(take);
    take(this.memory);
  }

  /** There is more than there was. */
  tell(): void {
    for (const take of this.#listeners) take(this.memory);
  }

  /** What there was is not kept up to date: who has it reads nothing by it any more. */
  replace(): void {
    this.#generation++;
    if (this.#readable) Atomics.store(this.#control, 0, this.#generation);
    this.tell();
  }
}
