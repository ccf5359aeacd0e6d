/**
 * Reading a journal's file by positions.
 *
 * @module
 */
import { readAt } from "./file.ts";

/** Reads for all followers, for each in its turn, also where another file takes the place of the first. */
export class Reader {
  #file?: Deno.FsFile;
  #base = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Reads from `file` from now on, which begins at the position `base`, and closes it in the end. */
  use(file: Deno.FsFile, base: number): void {
    const old = this.#file;
    this.#file = file;
    this.#base = base;
    this.#last = this.#last.then(() => old?.close());
  }

  /** Gives so many bytes from `position`; none, where the file begins behind it. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#last.then(async () => {
      if (this.#file === undefined) throw new Error("The journal is not loaded");
      if (position < this.#base) return new Uint8Array();
      return await readAt(this.#file, position - this.#base, length);
    });
    this.#last = bytes.catch(() => {});
    return bytes;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#file?.close();
  }
}
