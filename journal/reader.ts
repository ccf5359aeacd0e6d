/**
 * Reading a journal's file by positions.
 *
 * @module
 */
import { Mutex } from "../links/mutex.ts";
import { readAt } from "./file.ts";

/** Reads for all followers, for each in its turn, also where another file takes the place of the first. */
export class Reader {
  #file?: Deno.FsFile;
  #base = 0;
  readonly #mutex = new Mutex();

  /** Reads from `file` from now on, which begins at the position `base`, and closes it in the end. */
  use(file: Deno.FsFile, base: number): void {
    const old = this.#file;
    this.#file = file;
    this.#base = base;
    this.#mutex.run(() => old?.close());
  }

  /** Gives so many bytes from `position`; none, where the file begins behind it. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#mutex.run(async () => {
      if (this.#file === undefined) throw new Error("The journal is not loaded");
      if (position < this.#base) return new Uint8Array();
      return await readAt(this.#file, position - this.#base, length);
    });
  }

  async close(): Promise<void> {
    await this.#mutex.run(() => this.#file?.close());
  }
}
