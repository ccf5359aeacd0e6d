/**
 * Protocol buffers, as far as KV Connect needs them: numbers and bytes, in fields.
 *
 * @module
 */

/**
 * Writes a message: one field after the other.
 *
 * @example
 * ```ts
 * new MessageWriter().number(1, 150).done(); // Uint8Array [8, 150, 1]
 * ```
 */
export class MessageWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** A field that is a number below 2 to the 53rd; 0 is the protocol's default, and left out. */
  number(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  /** A field that is bytes, or a message. */
  bytes(field: number, bytes: Uint8Array): this {
    this.#varint(field << 3 | 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** The message. */
  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #varint(value: number): void {
    this.#reserve(10);
    while (value >= 0x80) {
      this.#bytes[this.#length++] = value % 0x80 | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#length++] = value;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + count));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** A field of a message: which one, and what it holds. */
export interface Field {
  field: number;
  /** Of one that is a number. */
  number: number;
  /** Of one that is bytes, or a message. */
  bytes: Uint8Array;
}

const NONE = new Uint8Array();

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
