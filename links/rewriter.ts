/**
 * Giving back the memory of superseded entries.
 *
 * @module
 */
import type { HashConstants } from "./hash.ts";
import type { Slots } from "./slots.ts";
import type { EntryWriter } from "./writer.ts";

const STEP = 16; // entries that are done with each new one
const STEP_BYTES = 64 << 10; // or as many of them as have so many bytes
const LOOK_BYTES = 64 << 10; // so many more are superseded before it looks again

/**
 * Rewrites segments that are mostly superseded, a little with each new entry: what is left in one is
 * copied to the end, and the slots then lead there. Other threads go on reading what they read.
 */
export class Rewriter {
  #segment = 0; // the one that is being rewritten
  #refs?: Iterator<number, void, void>; // its entries that are to be done
  #next = 0; // so many bytes are superseded when it looks again

  /** @param moved told of entries that were copied */
  constructor(
    private readonly entries: EntryWriter,
    private readonly slots: Slots,
    private readonly constants: HashConstants,
    private readonly moved: (ref: number) => void,
  ) {}

  /** Does what is due with so many new entries. Gives whether a segment is free now. */
  step(added = 1): boolean {
    const { entries } = this;
    const refs = this.#refs ?? this.#begin();
    if (refs === undefined) return false;
    let bytes = 0;
    for (let n = 0; n < STEP * added && bytes < STEP_BYTES * added; n++) {
      const { value: ref, done } = refs.next();
      if (done) {
        entries.free(this.#segment);
        this.#refs = undefined;
        this.#next = 0;
        return true;
      }
      try {
        bytes += this.#move(ref);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        // There is no memory for it now; whether there is for what is added, its writer will see.
        this.#refs = undefined;
        this.#next = entries.superseded + LOOK_BYTES;
        return false;
      }
    }
    return false;
  }

  #begin(): Iterator<number, void, void> | undefined {
    const { entries } = this;
    if (entries.superseded < this.#next) return;
    this.#next = entries.superseded + LOOK_BYTES;
    const segment = entries.findSparse();
    if (segment === undefined) return;
    this.#segment = segment;
    return this.#refs = entries.of(segment);
  }

  /** Copies an entry that a slot leads to, and gives its size. */
  #move(ref: number): number {
    const { entries, slots } = this;
    const code = entries.codeOf(ref, this.constants);
    if (!slots.has(code, ref)) return 0;
    const copy = entries.copy(ref);
    slots.replace(code, ref, copy);
    this.moved(copy);
    entries.supersede(ref);
    return entries.sizeOf(ref);
  }
}
