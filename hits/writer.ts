/**
 * Writing what is counted.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { reasonOf } from "../journal/file.ts";
import type { HitsFile, Part } from "./file.ts";
import { formatLine, type Line } from "./lines.ts";
import { Waiting } from "./waiting.ts";

const WRITE_MS = 1000;
const MIN_GROWTH = 16 << 20; // bytes beside twice what is needed: then the file is made anew

const encoder = new TextEncoder();

/** What was added up. */
interface Added {
  /** About how many bytes all of it takes in lines. */
  readonly size: number;
  lines(): AsyncIterable<string>;
}

/**
 * Appends lines to `FILE.hits` once a second, one write at a time. When the file has grown much, or lacks
 * something, because it could not be written, it is made anew of all that was added up.
 */
export class HitsWriter {
  readonly #waiting = new Waiting(); // lines of what was added up
  #writing: Promise<unknown> = Promise.resolve();
  #timer?: ReturnType<typeof setTimeout>;
  #incomplete = false; // whether it lacks something
  #closed = false;

  constructor(
    private readonly file: HitsFile,
    private readonly from: Added,
    private readonly events: Events,
  ) {}

  /** Writes the line of what was added up, soon. */
  note(line: Line): void {
    if (this.#closed) return;
    this.#waiting.add(line);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS);
  }

  /**
   * Writes, behind all that waits, the line that `make` gives of what is to be added up after that, and gives it.
   *
   * @throws what the file system said; nothing is written then
   */
  append(make: () => Line): Promise<Line> {
    return this.#queue(async () => {
      const line = make();
      await this.#save(formatLine(line));
      return line;
    });
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
    const lines = this.#waiting.take();
    try {
      if (this.#incomplete || size > 2 * this.from.size + MIN_GROWTH) {
        await this.file.replace(this.from.lines());
      } else if (lines.length > 0) {
        await this.file.append(lines);
      }
      if (more !== "") await this.file.append(encoder.encode(more));
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

  /** One after the other. */
  #queue<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}
