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
const MAX_WAIT_MS = 8000; // after failures: longer and longer, up to that
const MIN_GROWTH = 16 << 20; // bytes beside twice what is needed: then the file is made anew
const RENEW_MS = 3_600_000; // where there is no room for that, it is tried again after so long

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
  #wait = WRITE_MS;
  #failure: unknown; // why the last write failed
  #incomplete = false; // whether the file lacks something
  #renewed = 0; // how large the file was when it was made anew
  #renewal = 0; // when that may be tried again
  #closed = false;

  constructor(
    private readonly file: HitsFile,
    private readonly from: Added,
    private readonly events: Events,
  ) {}

  /** Goes on with the file: as it is, or, where it is damaged, with one that is made anew. */
  async begin(isDamaged: boolean): Promise<void> {
    this.#incomplete = isDamaged;
    if (isDamaged) return await this.#write();
    await this.#queue(() => this.#save(() => this.file.rename()).catch(() => {}));
  }

  /** Writes the line of what was added up, soon. */
  note(line: Line): void {
    if (this.#closed) return;
    this.#waiting.add(line);
    this.#timer ??= setTimeout(() => this.#write(), this.#wait);
  }

  /**
   * Writes, behind all that waits, the line that `make` gives of what is to be added up after that, and gives it.
   *
   * @throws what the file system said; nothing is written then
   */
  append(make: () => Line): Promise<Line> {
    return this.#queue(async () => {
      // What failed is tried again by the timer, and not by all who have something to write.
      if (this.#failure !== undefined && this.#timer !== undefined) throw this.#failure;
      const line = make();
      await this.#save(() => this.file.append(formatLine(line)));
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

  /** Saves what waits, and then does `more`. */
  async #save(more?: () => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { path: file } = this.file;
    const lines = this.#waiting.take();
    try {
      const isAnew = await this.#renew();
      if (!isAnew && lines.length > 0) await this.file.append(lines);
      await more?.();
      if (this.#failure !== undefined) this.events("info", "hits are saved again", { file });
      this.#failure = undefined;
      this.#incomplete = false;
      this.#wait = WRITE_MS;
    } catch (error) {
      if (this.#failure === undefined) {
        this.events("error", "cannot save hits", { file, reason: reasonOf(error) });
      }
      this.#failure = error;
      // Nothing is kept for later but what was added up, of which the whole file is made then.
      this.#incomplete = true;
      this.#wait = Math.min(2 * this.#wait, MAX_WAIT_MS);
      if (!this.#closed) this.#timer ??= setTimeout(() => this.#write(), this.#wait);
      throw error;
    }
  }

  /** Makes the file anew where it is due, and gives whether it has all that was added up. */
  async #renew(): Promise<boolean> {
    const most = 2 * Math.max(this.from.size, this.#renewed) + MIN_GROWTH;
    const hasGrown = this.file.size > most && performance.now() >= this.#renewal;
    if (!this.#incomplete && !hasGrown) return false;
    try {
      await this.file.replace(this.from.lines());
    } catch (error) {
      if (this.#incomplete) throw error;
      // There may be no room for both. The one that is there goes on.
      this.#renewal = performance.now() + RENEW_MS;
      return false;
    }
    this.#renewed = this.file.size;
    return true;
  }

  /** One after the other. */
  #queue<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => {});
    return done;
  }
}
