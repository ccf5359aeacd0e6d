/**
 * A part of a table's slots, by open addressing: a key is found from where the low bits of its hash point
 * to. A slot has 32 bits of hash and 32 bits of reference to an entry.
 *
 * @module
 */
import type { EntryReader } from "./entries.ts";
import { shareMemory } from "./memory.ts";

/** So many slots, a power of 2, of which some are always free. */
export type Part = Uint32Array<SharedArrayBuffer>;

/** A part of so many slots, all of them free. */
export function newPart(count: number): Part {
  return new Uint32Array(shareMemory(8 * count));
}

/** The entry of `key`, whose hash is `code`, or 0. */
export function find(slots: Part, entries: EntryReader, key: string, code: number): number {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask;; i = (i + 1) & mask) {
    const ref = slots[2 * i + 1];
    if (ref === 0 || (slots[2 * i] === code && entries.isOf(ref, key))) return ref;
  }
}

/** The entry with the key that the one at `ref` has, whose hash is `code`, or 0. */
export function findSame(slots: Part, entries: EntryReader, code: number, ref: number): number {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask;; i = (i + 1) & mask) {
    const other = slots[2 * i + 1];
    if (other === 0 || (slots[2 * i] === code && entries.haveSameKey(other, ref))) return other;
  }
}

/** Whether a slot leads to the entry at `ref`, the hash of whose key is `code`. */
export function leadsTo(slots: Part, code: number, ref: number): boolean {
  const mask = slots.length / 2 - 1;
  let i = code & mask;
  while (slots[2 * i + 1] !== 0 && slots[2 * i + 1] !== ref) i = (i + 1) & mask;
  return slots[2 * i + 1] === ref;
}

/** Puts what is in slots where `target` says, which no other thread reads yet. */
export function moveTo(
  slots: Part,
  target: (code: number) => Part,
  start = 0,
  end = slots.length / 2,
): void {
  for (let n = start; n < end; n++) {
    const ref = slots[2 * n + 1];
    if (ref === 0) continue;
    const code = slots[2 * n];
    const to = target(code);
    const mask = to.length / 2 - 1;
    let i = code & mask;
    while (to[2 * i + 1] !== 0) i = (i + 1) & mask;
    to[2 * i] = code;
    to[2 * i + 1] = ref;
  }
}

/** Lets the slot that leads to `before` lead to `ref`, if there is one. */
export function replace(slots: Part, code: number, before: number, ref: number): void {
  const mask = slots.length / 2 - 1;
  for (let i = code & mask; slots[2 * i + 1] !== 0; i = (i + 1) & mask) {
    if (slots[2 * i + 1] === before) return void Atomics.store(slots, 2 * i + 1, ref);
  }
}
