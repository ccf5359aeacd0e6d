/**
 * What is written to stderr, and never waited for: whoever reads it may have stopped.
 *
 * @module
 */
import { Buffer } from "node:buffer";

const MAX_WAITING = 1 << 20; // bytes that wait for whoever reads; what comes beyond them is dropped
const PIECE = 4096; // a pipe takes that much in one piece, so that lines of several threads stay whole
const RETRY_MS = 20;
/** How long the end of the program waits for what is still to be written. */
export const FLUSH_MS = 1000;

/** Writes lines in their order, one write at a time; meanwhile the next ones gather. */
export class LineWriter {
  /** The line that tells how many lines were dropped. */
  ondrop = (count: number): string => `${count} lines were dropped\n`;
  /** Told of each line that is dropped. */
  onlose: () => void = () => {};
  #lines: string[] = [];
  #waiting = 0; // bytes
  #full = false;
  #dropped = 0;
  #writing?: Promise<void>;

  constructor(private readonly to: { write(bytes: Uint8Array): Promise<number> }) {}

  /** Has `line` written, or drops it where too much waits already. */
  write(line: string): void {
    const size = Buffer.byteLength(line);
    this.#full ||= this.#waiting > 0 && this.#waiting + size > MAX_WAITING;
    if (this.#full) {
      this.#dropped++;
      this.onlose();
      return;
    }
    this.#lines.push(line);
    this.#waiting += size;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all is written, or after `ms` milliseconds. */
  async flush(ms: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      for (let i = 0; i < lines.length;) {
        const first = i;
        let piece = lines[i++];
        while (i < lines.length && piece.length + lines[i].length <= PIECE) piece += lines[i++];
        const bytes = Buffer.from(piece);
        const written = await this.#writePiece(bytes);
        this.#waiting -= bytes.length;
        for (let lost = first; !written && lost < i; lost++) {
          this.#dropped++;
          this.onlose();
        }
        // Only half empty it takes lines again, so that a slow reader isn't told of every gap.
        if (this.#waiting <= MAX_WAITING / 2) this.#full = false;
        if (written && !this.#full && this.#dropped > 0) {
          const count = this.#dropped;
          this.#dropped = 0;
          this.write(this.ondrop(count));
        }
      }
    }
    this.#writing = undefined;
  }

  /** Writes `bytes`; false where nobody can read them. */
  async #writePiece(bytes: Uint8Array): Promise<boolean> {
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(await this.to.write(bytes));
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) return false;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    return true;
  }
}

/** The stderr of this thread. */
export const stderr = new LineWriter(Deno.stderr);

/** Says why the program ends. */
export function complain(reason: string): void {
  stderr.write(`goto: ${printable(reason)}\n`);
}

/**
 * Escapes what a terminal would obey, or not show: control characters, C1 ones too, and those that
 * turn the direction of text around.
 *
 * @example
 * ```ts
 * printable("a\u009b31mb"); // "a\\u009b31mb"
 * ```
 */
export function printable(text: string): string {
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => {
    let escaped = "";
    for (let i = 0; i < found.length; i++) {
      escaped += `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
