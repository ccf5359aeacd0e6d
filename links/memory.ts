/**
 * Memory that threads share, and how much of it there is.
 *
 * @module
 */

let bytes = 0;
const freed = new FinalizationRegistry<number>((size) => bytes -= size);

/** So many bytes of memory that other threads can read. */
export function shareMemory(size: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(size);
  bytes += size;
  freed.register(memory, size);
  return memory;
}

/** How much was made here and is still in use: the heap's own numbers leave it out. */
export function sharedBytes(): number {
  return bytes;
}
