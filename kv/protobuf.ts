/**
 * Protocol buffers, as far as KV Connect needs them: numbers and bytes, in fields.
 *
 * @module
 */
import { join } from "../journal/feed.ts";

/**
 * Writes a message: one field after the other.
 *
 * @example
 * ```ts
 * new MessageWriter().number(1, 150).done(); // Uint8Array [8, 150, 1]
 * ```
 */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];

  /** A field that is a number below 2 to the 53rd; 0 is the protocol's default, and left out. */
  number(field: number, value: number): this {
    if (value !== 0) this.#parts.push(varints(field << 3, value));
    return this;
  }

  /** A field that is bytes, or a message. */
  bytes(field: number, bytes: Uint8Array): this {
    this.#parts.push(varints(field << 3 | 2, bytes.length), bytes);
    return this;
  }

  /** The message. */
  done(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(join(this.#parts));
  }
}

function varints(...values: number[]): Uint8Array {
  const bytes: number[] = [];
  for (let value of values) {
    for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
    bytes.push(value);
  }
  return new Uint8Array(bytes);
}

/** A field of a message: which one, and what it holds. */
export interface Field {
  field: number;
  /** Of one that is a number. */
  number: number;
  /** Of one that is bytes, or a message. */
  bytes: Uint8Array;
}

export const NONE: Uint8Array = new Uint8Array();

/**
 * Reads a message.
 *
 * @throws {Error} it is none
 */
export function* readMessage(bytes: Uint8Array): Generator<Field, void, void> {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint();
    const [field, type] = [tag >>> 3, tag & 7];
    if (type === 0) {
      yield { field, number: varint(), bytes: NONE };
    } else if (type === 2) {
      const length = varint();
      if (length > bytes.length - at) throw new Error("a message is cut off");
      yield { field, number: 0, bytes: bytes.subarray(at, at += length) };
    } else {
      throw new Error(`a message has a field of type ${type}`);
    }
  }

  function varint(): number {
    let value = 0;
    for (let factor = 1;; factor *= 0x80) {
      const byte = bytes[at++];
      if (byte === undefined || factor > 2 ** 63) throw new Error("a message is cut off");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }
}
