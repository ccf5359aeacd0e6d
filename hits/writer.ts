/**
 * Writing what is counted.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import { HitsFile, type Part } from "./file.ts";

const WRITE_MS = 1000;
const MIN_GROWTH = 4 << 20; // bytes by which the file grows at least before it is written anew

/** What is to be written, in lines. */
export interface Lines {
  /** All that was added up so far. Until `done`, nothing is added up. */
  all(): { lines: AsyncIterable<string>; done: () => void };
}

/**
 * Appends lines to `FILE.hits` once a second, one write at a time. When the file has grown much, or lacks
 * something, because it could not be written, it is made anew of all that was added up.
 */
export class HitsWriter {
  #waiting = ""; // lines of what was added up
  #writing: Promise<unknown> = Promise.resolve();
  #timer?: ReturnType<typeof setTimeout>;
  #full: number; // at how many bytes the file is made anew
  #incomplete = false; // whether it lacks something
  #closed = false;

  constructor(
    private readonly file: HitsFile,
    private readonly from: Lines,
    private readonly events: Events,
  ) {
    this.#full = file.size + MIN_GROWTH;
  }

  /** Writes lines of what was added up, soon. */
  note(lines: string): void {
    if (this.#closed) return;
    this.#waiting += lines;
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
  }

  /**
   * Writes, behind all that waits, the line that `make` gives of what is to be added up after that.
   *
   * @throws what the file system said; nothing is written then
   */
  append(make: () => string): Promise<void> {
    return this.#queue(() => this.#save(make()));
  }

  /** Gives lines of the file to who copies it. */
  read(file: string, offset: number): Promise<Part> {
    return this.#queue(() => this.file.read(file, offset));
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#write();
  }

  #write(): Promise<void> {
    return this.#queue(() => this.#save().catch(() => {}));
  }

  async #save(more = ""): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { path: file, size } = this.file;
    let lines = this.#waiting;
    this.#waiting = "";
    try {
      if (this.#incomplete || size + lines.length > this.#full) {
        await this.#rewrite();
        lines = "";
      }
      if (lines !== "" || more !== "") await this.file.append(lines + more);
      if (this.#incomplete) this.events("info", "hits are saved again", { file });
      this.#incomplete = false;
    } catch (error) {
      if (!this.#incomplete) {
        this.events("error", "cannot save hits", { file, reason: reasonOf(error) });
      }
      // Nothing is kept for later but what was added up, of which the whole file is made then.
      this.#incomplete = true;
      if (!this.#closed) this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
      throw error;
    }
  }

  async #rewrite(): Promise<void> {
    const { lines, done } = this.from.all();
    try {
      await this.file.replace(lines);
    } finally {
      done();
    }
    this.#full = 2 * this.file.size + MIN_GROWTH;
  }

  /** One after the other. */
  #queue<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}
