/**
 * What a mirror knows of how often links are followed.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import type { Table } from "../links/table.ts";
import type { ServedHits } from "./counting.ts";
import { HitsFile, type Part } from "./file.ts";
import { parseLine } from "./lines.ts";
import { HitsState } from "./state.ts";
import type { Traffic } from "./traffic.ts";

/** A copy of the `FILE.hits` of the links' owner, byte for byte: with it a mirror can take the owner's place. */
export class HitsCopy {
  #file: HitsFile;
  #next?: HitsFile; // one that is made anew, to take the file's place
  readonly #state: HitsState;
  #unread = false; // whether what there is could not be read
  #copying?: Promise<void>;
  #closed = false;

  constructor(
    private readonly path: string,
    table: Table,
    private readonly events: Events = silent,
  ) {
    this.#file = new HitsFile(path);
    this.#state = new HitsState(table);
  }

  /** Reads what there is. What can't be read is tried again when it is to be copied. */
  load(): Promise<void> {
    return this.#state.loaded = this.#load();
  }

  async #load(): Promise<void> {
    try {
      if (await this.#read() > 0) this.#file.name = ""; // by which it is copied anew
    } catch (error) {
      this.#unread = true;
      const { path: file } = this.#file;
      this.events("warn", "cannot load hits", { file, reason: reasonOf(error) });
    }
  }

  /** How often the link of `key` was followed. */
  traffic(key: string): Promise<Traffic> {
    return this.#state.traffic(key);
  }

  /**
   * Copies what `from` reads for it, as far as it goes.
   *
   * @throws what came in the way; the copy is then good as far as it goes
   */
  copy(from: Pick<ServedHits, "read">): Promise<void> {
    return this.#copying ??= this.#copy(from).finally(() => this.#copying = undefined);
  }

  async #copy(from: Pick<ServedHits, "read">): Promise<void> {
    await this.#state.loaded;
    if (this.#unread) await this.#reopen();
    let begun = 0;
    while (!this.#closed) {
      const { name, size } = this.#next ?? this.#file;
      const part = await from.read(name, size);
      // Where nothing was counted yet there is no file, and nothing to give up one's own for.
      if (part === undefined || part.file === "" || this.#closed) return;
      if (size > 0 && part.offset === size) {
        if (part.lines === "") return await this.#place();
        await this.#append(part);
      } else {
        if (begun++ > 0) throw new Error("it is another file each time");
        await this.#begin(part);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#state.loaded;
    await this.#copying?.catch(() => {});
    await this.#next?.close();
    await this.#file.close();
  }

  /** Begins another copy. */
  async #begin(part: Part): Promise<void> {
    await this.#next?.close();
    const next = new HitsFile(`${this.path}.part`);
    await next.copy(part);
    this.#next = next;
  }

  async #append({ file, lines }: Part): Promise<void> {
    const to = this.#next ?? this.#file;
    await to.append(lines);
    to.name = file;
    if (this.#next !== undefined) return;
    for (const text of lines.split("\n")) {
      const line = parseLine(text);
      if (line) this.#state.apply(line);
    }
  }

  /** Lets a whole copy that was made anew take the place of the file. */
  async #place(): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    this.#next = undefined;
    await next.close();
    await Deno.rename(next.path, this.path);
    await this.#reopen();
  }

  /** Begins anew with what the file has now. */
  async #reopen(): Promise<void> {
    await this.#file.close();
    this.#file = new HitsFile(this.path);
    this.#state.clear();
    this.#unread = true;
    const read = this.#read();
    this.#state.loaded = read.then(() => {}, () => {}); // lists wait for it, whatever comes of it
    await read;
    this.#unread = false;
  }

  #read(): Promise<number> {
    return this.#state.read(this.#file, this.events);
  }
}
