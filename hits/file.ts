/**
 * `FILE.hits`: what was counted, as lines of JSON, one for all that was counted within a second.
 *
 * @module
 */
import { makeBeside, openBeside } from "../journal/beside.ts";
import { wholeLines } from "../journal/feed.ts";
import { explain, readAt, syncFolder, writeAll } from "../journal/file.ts";
import { randomKey } from "../links/link.ts";
import { NEWLINE } from "../links/syntax.ts";
import { isCount } from "../links/count.ts";

/** So many bytes are read at once, but a whole line at least. */
export const PART_BYTES = 1 << 20;

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true });
const lossy = new TextDecoder();
const DAMAGED = "\ufffd"; // what bytes become that are no UTF-8

/** Some of a file's lines. */
export interface Part {
  /** The name of what the file is now. */
  file: string;
  /** Where in it they begin, in bytes. */
  offset: number;
  /** Whole ones; "" where there are no more. */
  lines: string;
}

/**
 * A file of lines to which only one process appends: whoever has locked the journal beside it. Its first line is
 * its name, and each process that goes on with it gives it another one, in a line of its own. So a copy tells
 * whether it can go on: it can't where it reaches further under a name than the file does. The file is made when
 * there is something to write.
 *
 * @example
 * ```ts
 * const file = new HitsFile("links.jsonl.hits");
 * // Such as {"Day":20782,"Rows":[1],"Keys":["docs"],"Hits":[1,3]}
 * await file.load((line) => line.startsWith("{"));
 * await file.append('{"Day":20782,"Hits":[1,1]}\n');
 * ```
 */
export class HitsFile {
  /** The name of what is there; "" where nothing is. */
  name = "";
  /** How many bytes are whole lines. */
  size = 0;
  #file?: Deno.FsFile;
  #torn = false; // whether there may be something behind the last whole line
  readonly #ends = new Map<string, number>(); // where the names before it end

  /** @param readOnly whether it is left as it is */
  constructor(readonly path: string, private readonly readOnly = false) {}

  /**
   * Gives every line but names to `take`, which gives whether it is a good one, and cuts off one that is torn.
   *
   * @returns how many are damaged
   */
  async load(take: (line: string) => boolean): Promise<number> {
    if (!this.readOnly) await Deno.remove(`${this.path}.tmp`).catch(() => {}); // of who was killed
    try {
      this.#use(await openBeside(this.path, !this.readOnly));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw explain(this.path, error);
    }
    let damaged = 0;
    for await (const block of wholeLines((await openBeside(this.path)).readable)) {
      const lines = linesOf(block);
      for (const [i, line] of lines.entries()) {
        const name = nameIn(line);
        if (name !== undefined) this.#rename(name, this.size + bytesOf(lines.slice(0, i)));
        else if (line === DAMAGED || line !== "" && !take(line)) damaged++;
      }
      this.size += Math.max(block.length, 1); // a blank line has its end
    }
    if (this.size > 0 && this.name === "") {
      this.name = randomKey();
      damaged++;
    }
    this.#torn = !this.readOnly;
    await this.#cutOff();
    return damaged;
  }

  /**
   * Appends whole lines: all, or none.
   *
   * @throws what the file system said
   */
  async append(lines: string | Uint8Array): Promise<void> {
    if (this.name === "") return await this.replace([lines]);
    const bytes = typeof lines === "string" ? encoder.encode(lines) : lines;
    await this.#cutOff();
    this.#torn = true;
    try {
      await writeAll(this.#file!, bytes);
    } catch (error) {
      await this.#cutOff().catch(() => {});
      throw error;
    }
    this.#torn = false;
    this.size += bytes.length;
  }

  /**
   * Gives what is appended from now on a name of its own.
   *
   * @throws what the file system said
   */
  async rename(): Promise<void> {
    if (this.name === "") return;
    const [name, end] = [randomKey(), this.size];
    await this.append(nameLine(name));
    this.#rename(name, end);
  }

  /**
   * Puts another file in its place, so that a crash leaves either.
   *
   * @throws what the file system said; the file is then as it was before
   */
  async replace(lines: Iterable<string | Uint8Array> | AsyncIterable<string>): Promise<void> {
    const name = randomKey();
    await this.#replace(name, lines, nameLine(name));
  }

  /**
   * Puts the beginning of a copy in its place, likewise.
   *
   * @throws what the file system said
   */
  async copy({ file, lines }: Part): Promise<void> {
    await this.#replace(file, [lines]);
  }

  async #replace(
    name: string,
    lines: Iterable<string | Uint8Array> | AsyncIterable<string>,
    first = "",
  ): Promise<void> {
    const temp = `${this.path}.tmp`;
    await Deno.remove(temp).catch(() => {}); // that of who was killed
    const before = await Deno.lstat(this.path).catch(() => undefined);
    const file = await makeBeside(temp, before);
    let size = 0;
    try {
      if (before?.isFile && before.mode !== null && Deno.build.os !== "windows") {
        await Deno.chmod(temp, before.mode & 0o777);
      }
      const write = async (text: string | Uint8Array) => {
        const bytes = typeof text === "string" ? encoder.encode(text) : text;
        await writeAll(file, bytes);
        size += bytes.length;
      };
      await write(first);
      for await (const text of lines) await write(text);
      await file.syncData();
      await Deno.rename(temp, this.path);
    } catch (error) {
      file.close();
      await Deno.remove(temp).catch(() => {});
      throw error;
    }
    this.#use(file);
    [this.name, this.size, this.#torn] = [name, size, false];
    this.#ends.clear();
    await syncFolder(this.path);
  }

  /**
   * Reads lines from `offset`, if a copy of that name can go on there; else from the beginning. Nothing may be
   * written meanwhile.
   */
  async read(file: string, offset: number): Promise<Part> {
    const [name, size] = [this.name, this.size];
    const reach = file === name ? size : this.#ends.get(file) ?? 0;
    if (!isCount(offset) || offset > reach) offset = 0;
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
    if (!this.#torn) return;
    if ((await this.#file!.stat()).size > this.size) await this.#file!.truncate(this.size);
    this.#torn = false;
  }

  #rename(name: string, end: number): void {
    if (this.name !== "") this.#ends.set(this.name, end);
    this.name = name;
  }

  #use(file: Deno.FsFile): void {
    this.#file?.close();
    this.#file = file;
  }
}

function nameLine(name: string): string {
  return `${JSON.stringify({ File: name })}\n`;
}

/** The name that a line gives, if it gives one. */
function nameIn(line: string): string | undefined {
  if (!line.startsWith('{"File":')) return;
  try {
    const { File: name }: { File?: unknown } = JSON.parse(line);
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // It is damaged.
  }
}

/** The lines of a block; {@linkcode DAMAGED} for those that are no UTF-8. */
function linesOf(block: Uint8Array): string[] {
  try {
    return utf8.decode(block).split("\n");
  } catch {
    const lines = lossy.decode(block).split("\n");
    return lines.map((line) => line.includes(DAMAGED) ? DAMAGED : line);
  }
}

/** How many bytes lines take, with their ends. */
function bytesOf(lines: string[]): number {
  return lines.reduce((sum, line) => sum + encoder.encode(line).length + 1, 0);
}
