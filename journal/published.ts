/**
 * What of a journal is published, as its followers read it.
 *
 * @module
 */
import { Condition } from "./condition.ts";
import { CHECK_BYTES, type Feed, fingerprint } from "./feed.ts";
import { FOLLOWER_BYTES } from "./followers.ts";
import { Reader } from "./reader.ts";
import { Tail } from "./tail.ts";

const TAIL_BYTES = 256 << 10;

/**
 * The feed of a journal's file: most followers are given what they lack from memory, who is further
 * behind from the file.
 */
export class Published implements Feed {
  base = 0; // until the first line of a file says otherwise
  #kept = 0;
  #size = 0;
  readonly #reader = new Reader();
  readonly #tail = new Tail(TAIL_BYTES); // what most followers want next, up to the end of what was written
  readonly #grown = new Condition();
  #ended = false;

  get kept(): number {
    return this.#kept;
  }

  get size(): number {
    return this.#size;
  }

  /** Begins at a position, with nothing yet. */
  begin(position: number): void {
    this.base = position;
    this.#restart(position);
  }

  /** Reads from a file that was loaded, whose lines end at the position `size`; it is closed in the end. */
  use(file: Deno.FsFile, size: number): void {
    this.#restart(size);
    this.#reader.use(file, this.base);
  }

  #restart(position: number): void {
    this.#size = position;
    this.#tail.restart(position);
  }

  /** Reads from a compacted file from now on, which begins at `base`, and is as before from `kept` on. */
  replace(file: Deno.FsFile, { base, kept }: { base: number; kept: number }): void {
    this.base = base;
    this.#kept = kept;
    this.#reader.use(file, base);
  }

  /** Takes what was written; nobody is given it until it is published. */
  append(bytes: Uint8Array): void {
    this.#tail.append(bytes);
  }

  /** Lets followers have what was written up to a position. */
  publish(size: number): void {
    this.#size = size;
    this.#grown.notifyAll();
  }

  async read(position: number, wait: number): Promise<Uint8Array | undefined> {
    if (position === this.#size && !this.#ended) await this.#grown.wait(wait);
    if (position === this.#size && this.#ended) return;
    const length = Math.min(FOLLOWER_BYTES, this.#size - position);
    if (length <= 0) return new Uint8Array();
    if (position >= this.#tail.start) return this.#tail.read(position, length);
    return await this.#reader.read(position, length);
  }

  async check(position: number): Promise<string | undefined> {
    if (position < this.base || position > this.#size) return;
    const length = Math.min(position - this.base, CHECK_BYTES);
    return await fingerprint(await this.#reader.read(position - length, length));
  }

  /** Lets followers go, once they have read what there is. */
  end(): void {
    this.#ended = true;
    this.#grown.notifyAll();
  }

  /** Lets go of the file, once what is being read of it has been. */
  async close(): Promise<void> {
    await this.#reader.close();
  }
}
