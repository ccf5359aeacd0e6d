/**
 * `FILE.hits`: what was counted, as lines of JSON, one for all that was counted within a second.
 *
 * @module
 */
import { wholeLines } from "../journal/feed.ts";
import { explain, readAt, syncFolder, writeAll } from "../journal/file.ts";
import { NEWLINE } from "../journal/lines.ts";
import { isCount } from "./counts.ts";
import { randomKey } from "../links/link.ts";

/** So many bytes are read at once, but a whole line at least. */
export const PART_BYTES = 1 << 20;

const encoder = new TextEncoder();

/** Some of a file's lines. */
export interface Part {
  /** The name of the file, which another one in its place doesn't have. */
  file: string;
  /** Where in it they begin, in bytes. */
  offset: number;
  /** Whole ones; "" where there are no more. */
  lines: string;
}

/**
 * A file of lines to which only one process appends: whoever has locked the journal beside it. Its first line
 * is its name. It is made when there is something to write.
 *
 * @example
 * ```ts
 * const file = new HitsFile("links.jsonl.hits");
 * await file.load((line) => console.log(line)); // {"Day":20782,"Hits":[["docs",3]]}
 * await file.append('{"Day":20782,"Hits":[["docs",1]]}\n');
 * ```
 */
export class HitsFile {
  /** The name of what is there. */
  name = "";
  /** How many bytes are whole lines. */
  size = 0;
  #file?: Deno.FsFile;

  constructor(readonly path: string) {}

  /** Gives every line to `take`, but for the first, and cuts off one that is torn. */
  async load(take: (line: string) => void): Promise<void> {
    await Deno.remove(`${this.path}.tmp`).catch(() => {}); // of who was killed
    try {
      this.#use(await Deno.open(this.path, { read: true, append: true }));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw explain(this.path, error);
    }
    const decoder = new TextDecoder();
    for await (const block of wholeLines((await Deno.open(this.path)).readable)) {
      this.size += Math.max(block.length, 1); // a blank line has its end
      for (const line of decoder.decode(block).split("\n")) {
        if (this.name === "") this.name = nameIn(line);
        else if (line !== "") take(line);
      }
    }
    await this.#cutOff();
  }

  /**
   * Appends whole lines: all, or none.
   *
   * @throws what the file system said
   */
  async append(lines: string | Uint8Array): Promise<void> {
    if (this.name === "") return await this.replace([lines]);
    const bytes = typeof lines === "string" ? encoder.encode(lines) : lines;
    const file = this.#file!;
    try {
      await writeAll(file, bytes);
    } catch (error) {
      await this.#cutOff().catch(() => {});
      throw error;
    }
    this.size += bytes.length;
  }

  /**
   * Puts another file in its place, so that a crash leaves either.
   *
   * @param name that of a file of which it is a copy
   * @throws what the file system said; the file is then as it was before
   */
  async replace(
    lines: Iterable<string | Uint8Array> | AsyncIterable<string>,
    name = randomKey(),
  ): Promise<void> {
    const temp = `${this.path}.tmp`;
    await Deno.remove(temp).catch(() => {}); // that of who was killed
    const file = await Deno.open(temp, { read: true, append: true, createNew: true });
    let size = 0;
    try {
      const write = async (text: string | Uint8Array) => {
        const bytes = typeof text === "string" ? encoder.encode(text) : text;
        await writeAll(file, bytes);
        size += bytes.length;
      };
      await write(`${JSON.stringify({ File: name })}\n`);
      for await (const text of lines) await write(text);
      await file.syncData();
      await Deno.rename(temp, this.path);
    } catch (error) {
      file.close();
      await Deno.remove(temp).catch(() => {});
      throw error;
    }
    this.#use(file);
    [this.name, this.size] = [name, size];
    await syncFolder(this.path);
  }

  /**
   * Reads lines from `offset`, or from the beginning where `file` is the name of another one. Nothing may be
   * written meanwhile.
   */
  async read(file: string, offset: number): Promise<Part> {
    const [name, size] = [this.name, this.size];
    if (file !== name || !isCount(offset) || offset > size) offset = 0;
    let bytes = new Uint8Array();
    let end = 0;
    for (let most = PART_BYTES; end === 0 && bytes.length < size - offset; most *= 2) {
      bytes = await readAt(this.#file!, offset, Math.min(most, size - offset));
      end = bytes.lastIndexOf(NEWLINE) + 1;
    }
    return { file: name, offset, lines: new TextDecoder().decode(bytes.subarray(0, end)) };
  }

  /** Lets go of the file; what was appended is on disk then. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    try {
      await file?.syncData();
    } finally {
      file?.close();
    }
  }

  /** Takes back what a failed write, or a crash, left behind the last whole line. */
  async #cutOff(): Promise<void> {
    if ((await this.#file!.stat()).size > this.size) await this.#file!.truncate(this.size);
  }

  #use(file: Deno.FsFile): void {
    this.#file?.close();
    this.#file = file;
  }
}

/** The name that the first line of a file tells; a line that tells none gives it one. */
function nameIn(line: string): string {
  try {
    const { File: name }: { File?: unknown } = Object(JSON.parse(line));
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // It is damaged.
  }
  return randomKey();
}
