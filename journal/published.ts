/**
 * What of a journal is published, as its followers read it.
 *
 * @module
 */
import { Checksum, formatSum, type Start } from "./checksum.ts";
import { Condition } from "./condition.ts";
import { crc32 } from "./crc32.ts";
import type { Feed } from "./feed.ts";
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
  keys?: number;
  kept = 0;
  size = 0;
  /** The running checksum of what was written. */
  checksum = new Checksum();
  #sum = 0; // at size
  readonly #file = new Reader();
  readonly #tail = new Tail(TAIL_BYTES); // what most followers want next, up to the end of what was written
  readonly #grown = new Condition();
  #ended = false;

  /** @param source what is read of who is further behind than memory reaches; without it a file */
  constructor(private readonly source?: Pick<Reader, "read" | "close">) {}

  get sum(): string {
    return formatSum(this.#sum);
  }

  /** Begins at a position, with nothing yet; `start` is what the first line says of a compacted file. */
  begin(position: number, start?: Start): void {
    this.base = position;
    this.checksum.begin(position, 0, start);
    this.size = position;
    this.#sum = this.checksum.sum;
    this.#tail.restart(position);
  }

  /** Reads what was loaded, and added to the checksum, from a file, which is closed in the end. */
  use(file?: Deno.FsFile): void {
    this.size = this.checksum.end;
    this.#sum = this.checksum.sum;
    this.#tail.restart(this.size);
    if (file) this.#file.use(file, this.base);
  }

  /** Reads from a compacted file from now on, which begins at `base`, and is as before from `kept` on. */
  replace(file: Deno.FsFile | undefined, base: number, kept: number, checksum: Checksum): void {
    this.base = base;
    this.kept = kept;
    this.checksum = checksum;
    this.#tail.forget(kept); // the file has other bytes there now
    if (file) this.#file.use(file, base);
  }

  /**
   * Takes what was written; nobody is given it until it is published.
   *
   * @returns where a checksum among it shows that it is not what was once written
   */
  append(lines: Uint8Array): number | undefined {
    this.#tail.append(lines);
    return this.checksum.append(lines);
  }

  /** Lets followers have what was written; of how many `keys` it is, where that is known. */
  publish(keys?: number): void {
    this.keys = keys;
    if (this.size === this.checksum.end) return; // followers who are woken take it for a sign of life
    this.size = this.checksum.end;
    this.#sum = this.checksum.sum;
    this.#grown.notifyAll();
  }

  async read(position: number, wait: number): Promise<Uint8Array | undefined> {
    if (position === this.size && !this.#ended) await this.#grown.wait(wait);
    if (position === this.size && this.#ended) return;
    const length = Math.min(FOLLOWER_BYTES, this.size - position);
    if (length <= 0) return new Uint8Array();
    return await this.#read(position, length);
  }

  async check(position: number): Promise<string | undefined> {
    if (position < this.base || position > this.size) return;
    const point = this.checksum.before(position);
    if (point === undefined) return;
    const { base } = this;
    const bytes = await this.#read(point.position, position - point.position);
    if (base !== this.base) return; // another file took its place meanwhile
    return formatSum(crc32(bytes, point.sum));
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    if (position >= this.#tail.start) return this.#tail.read(position, length);
    return await (this.source ?? this.#file).read(position, length);
  }

  /** Lets followers go, once they have read what there is. */
  end(): void {
    this.#ended = true;
    this.#grown.notifyAll();
  }

  /** Lets go of the file, once what is being read of it has been. */
  async close(): Promise<void> {
    await (this.source ?? this.#file).close();
  }
}
