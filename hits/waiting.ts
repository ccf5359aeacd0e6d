/**
 * Lines that are to be written soon.
 *
 * @module
 */
import { formatLine, type Line } from "./lines.ts";

const MIN_BYTES = 64 << 10;
const MAX_DIGITS = 16; // of a number
const [ZERO, COMMA] = [0x30, 0x2c];

const encoder = new TextEncoder();

/**
 * Gathers lines as bytes: texts would live long enough for memory to grow by them.
 *
 * @example
 * ```ts
 * const waiting = new Waiting();
 * waiting.add({ day: 20782, hits: [1, 3] });
 * new TextDecoder().decode(waiting.take()); // {"Hits":[1,3],"Day":20782}\n
 * ```
 */
export class Waiting {
  #bytes = new Uint8Array(MIN_BYTES);
  #length = 0;

  add({ hits = [], ...rest }: Line): void {
    const line = formatLine(rest);
    this.#reserve(3 * line.length + (MAX_DIGITS + 1) * hits.length + 16);
    if (hits.length === 0) return this.#write(line);
    this.#write('{"Hits":[');
    // There may be thousands of them, of which a text takes three times as long.
    for (let i = 0; i < hits.length; i++) this.#writeNumber(hits[i]);
    this.#length--; // the last comma
    this.#write("],");
    this.#write(line.slice(1));
  }

  /** Gives what there is. */
  take(): Uint8Array<ArrayBuffer> {
    const lines = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return lines;
  }

  #reserve(more: number): void {
    const most = this.#length + more;
    if (most <= this.#bytes.length) return;
    const longer = new Uint8Array(2 * most);
    longer.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = longer;
  }

  #write(text: string): void {
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** Writes a whole number, and a comma. */
  #writeNumber(n: number): void {
    let end = this.#length + 1;
    for (let least = 10; n >= least; least *= 10) end++;
    this.#length = end + 1;
    this.#bytes[end] = COMMA;
    do {
      const tens = Math.floor(n / 10);
      this.#bytes[--end] = n - 10 * tens + ZERO;
      n = tens;
    } while (n > 0);
  }
}
