/**
 * Whether a file is still the one that was opened.
 *
 * @module
 */
import type { Locked } from "./file.ts";

/**
 * Looks whether somebody removed, replaced, cut or wrote to a file that is in use: what is written to it
 * then would be lost. It asks the system for what the name stands for, and reads nothing.
 *
 * @example
 * ```ts ignore
 * const same = new SameFile(locked);
 * await same.wrong(120); // undefined, or "the file has 80 bytes, not 120: ..."
 * ```
 */
export class SameFile {
  #own?: { file: Deno.FsFile; dev: number; ino: number | null };

  constructor(private readonly locked: Locked) {}

  /**
   * What is wrong with the file, which must have `size` bytes and the `added` ones behind them; nothing,
   * if it is as it must be.
   *
   * @throws what the file system said, where it doesn't tell
   */
  async wrong(size: number, added = 0): Promise<string | undefined> {
    const { path, file } = this.locked;
    if (this.#own?.file !== file) {
      const { dev, ino } = await file.stat();
      this.#own = { file, dev, ino };
    }
    try {
      const found = await Deno.stat(path);
      if (found.ino !== this.#own.ino || found.dev !== this.#own.dev) {
        return `another file has taken its place: ${WAY_OUT}`;
      }
      const left = found.size - added;
      if (left !== size) return `the file has ${left} bytes, not ${size}: ${WAY_OUT}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return `the file is gone: ${WAY_OUT}`;
      throw error;
    }
  }
}

const WAY_OUT = "put back what was there, or restart goto on what is there now";
