/**
 * The last bytes of something that grows, in memory.
 *
 * @module
 */

/**
 * Keeps the last `bytes` at least, and twice as many at most. Positions count from wherever one likes.
 *
 * @example
 * ```ts
 * const tail = new Tail(1 << 20);
 * tail.append(new TextEncoder().encode("one\ntwo\n"));
 * tail.read(4, 100); // the bytes of "two\n"
 * ```
 */
export class Tail {
  /** Where what is kept ends. */
  end: number;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;
  #last?: { position: number; bytes: Uint8Array<ArrayBuffer> };

  /** @param end the position where the first bytes begin */
  constructor(private readonly bytes: number, end = 0) {
    this.#buffer = new Uint8Array(2 * bytes);
    this.end = end;
  }

  /** Where what is kept begins. */
  get start(): number {
    return this.end - this.#length;
  }

  append(bytes: Uint8Array): void {
    this.#last = undefined;
    this.end += bytes.length;
    if (this.#length + bytes.length > this.#buffer.length) {
      const keep = Math.max(0, Math.min(this.#length, this.bytes - bytes.length));
      this.#buffer.copyWithin(0, this.#length - keep, this.#length);
      this.#length = keep;
      bytes = bytes.subarray(Math.max(0, bytes.length - this.#buffer.length));
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Forgets what is before `position`. */
  forget(position: number): void {
    const keep = Math.max(0, this.end - position);
    if (keep >= this.#length) return;
    this.#last = undefined;
    this.#buffer.copyWithin(0, this.#length - keep, this.#length);
    this.#length = keep;
  }

  /** Forgets what it has, and begins anew at `end`. */
  restart(end: number): void {
    this.#last = undefined;
    this.#length = 0;
    this.end = end;
  }

  /** Some of what is kept from `position`; all who ask for the same share one copy. */
  read(position: number, most: number): Uint8Array<ArrayBuffer> {
    const at = position - this.start;
    const length = Math.min(most, this.#length - at);
    if (this.#last?.position !== position || this.#last.bytes.length !== length) {
      this.#last = { position, bytes: this.#buffer.slice(at, at + length) };
    }
    return this.#last.bytes;
  }
}
