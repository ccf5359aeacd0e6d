/**
 * What is written to stderr, and never waited for: whoever reads it may have stopped.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { printable } from "../links/text.ts";
import { pause } from "../links/wait.ts";

const MAX_WAITING = 1 << 20; // bytes that wait for whoever reads; what comes beyond them is dropped
const BLOCK = 64 << 10; // so much is written at once: what a pipe holds
const GATHER_MS = 100; // what may wait for others to be written with waits so long
const RETRY_MS = 20;
/** How long the end of the program waits for what is still to be written. */
export const FLUSH_MS = 1000;

/** Takes bytes, as many as it can; it throws where nobody can read them. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Some lines, and how many. */
interface Lines {
  text: string;
  count: number;
}

/** Writes lines in their order, one write at a time; meanwhile the next ones gather. */
export class LineWriter {
  /** The line that tells how many lines were dropped. */
  ondrop = (count: number): string => `${count} lines were dropped\n`;
  /** Told how many lines are dropped, each time. */
  onlose: (count: number) => void = () => {};
  /** Writes lines elsewhere, in place of what the writer was made with. */
  through?: (text: string, count: number) => Promise<unknown>;
  #queue: Lines[] = [];
  #waiting = 0; // bytes
  #full = false;
  #dropped = 0;
  #alive = true; // whether the last bytes could be written
  #gathered: Lines = { text: "", count: 0 };
  #timer?: ReturnType<typeof setTimeout>;
  #writing?: Promise<void>;

  constructor(private readonly to: Sink) {}

  /** Has lines written, or drops them where too much waits already. */
  write(text: string, count = 1): void {
    this.#release();
    this.#push({ text, count });
  }

  /** Has a line written soon, with others, which costs little. */
  gather(line: string): void {
    const gathered = this.#gathered;
    gathered.text += line;
    gathered.count++;
    if (gathered.text.length >= BLOCK) this.#release();
    else this.#timer ??= setTimeout(() => this.#release(), GATHER_MS);
  }

  /** Resolves when all is written, or after `ms` milliseconds. */
  async flush(ms: number): Promise<void> {
    this.#release();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gathered = this.#gathered;
    if (gathered.count === 0) return;
    this.#gathered = { text: "", count: 0 };
    this.#push(gathered);
  }

  #push(lines: Lines): void {
    const size = Buffer.byteLength(lines.text);
    this.#full ||= this.#waiting > 0 && this.#waiting + size > MAX_WAITING;
    if (this.#full) return this.#lose(lines.count);
    this.#queue.push(lines);
    this.#waiting += size;
    this.#writing ??= this.#writeAll();
  }

  #lose(count: number): void {
    this.#dropped += count;
    this.onlose(count);
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      this.#queue = [];
      for (let i = 0; i < queue.length;) {
        let { text, count } = queue[i++];
        while (i < queue.length && text.length + queue[i].text.length <= BLOCK) {
          text += queue[i].text;
          count += queue[i++].count;
        }
        const size = Buffer.byteLength(text);
        if (this.through) await this.through(text, count);
        else if (!await this.#writeBytes(Buffer.from(text))) this.#lose(count);
        this.#waiting -= size;
        // Only half empty it takes lines again, so that a slow reader isn't told of every gap.
        if (this.#waiting <= MAX_WAITING / 2) this.#full = false;
        if (!this.#full && this.#dropped > 0 && this.#alive) {
          const count = this.#dropped;
          this.#dropped = 0;
          this.#push({ text: this.ondrop(count), count: 1 });
        }
      }
    }
    this.#writing = undefined;
  }

  async #writeBytes(bytes: Uint8Array): Promise<boolean> {
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(await this.to.write(bytes));
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) return this.#alive = false;
        await pause(RETRY_MS);
      }
    }
    return this.#alive = true;
  }
}

/** The stderr of this thread. Those beside the main one write through it: so lines stay whole. */
export const stderr = new LineWriter(Deno.stderr);

/** Says why the program ends. */
export function complain(reason: string): void {
  stderr.write(`goto: ${printable(reason)}\n`);
}
