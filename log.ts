/**
 * The log: a journal's bytes on their way to those who follow it.
 *
 * @module
 */
import { CHECK_BYTES, Condition, fingerprint, type Log } from "./journal.ts";

/** How often a silent log shows that it is alive, with a blank line, in milliseconds. */
export const HEARTBEAT_MS = 2000;
const STALLED_MS = 30_000;
const WINDOW_BYTES = 1 << 20;
const MAX_LINE = 64 << 20; // as much as a journal takes
const NEWLINE = 10;
/** Shows that a log is alive. */
export const BLANK = new Uint8Array([NEWLINE]);

/** A log as it is followed: from where, how far it reached at that moment, and what comes. */
export interface LogStream {
  offset: number;
  size: number;
  /** The fingerprint of the bytes before `offset`. */
  check?: string;
  body: ReadableStream<Uint8Array>;
}

/**
 * Opens `log` at `offset` (none: its end). Where the caller's `check` shows that its copy differs
 * from the log before `offset`, the stream starts over at 0. A follower that takes nothing for
 * `patience` milliseconds, though there is something, is cut off.
 */
export async function openLog(
  log: Log,
  offset?: number,
  check?: string,
  patience = STALLED_MS,
): Promise<LogStream> {
  let at = offset ?? log.size;
  let known = await log.check(at);
  // A copy that is longer than the log, or that a given fingerprint shows to differ, is another one's.
  if (at > log.size || (check !== undefined && known !== check)) {
    at = 0;
    known = await log.check(0);
  }
  const size = log.size;
  let next = at;
  let stalled: ReturnType<typeof setTimeout> | undefined;
  const body = new ReadableStream<Uint8Array>({
    // Called when the follower has taken what was there: nothing piles up for a slow one.
    async pull(controller) {
      clearTimeout(stalled);
      try {
        const bytes = await log.read(next, HEARTBEAT_MS);
        if (!bytes) return controller.close();
        next += bytes.length;
        controller.enqueue(bytes.length > 0 ? bytes : BLANK);
        stalled = setTimeout(() => controller.error(new Error("stalled")), patience);
      } catch (error) {
        controller.error(error);
      }
    },
    cancel: () => clearTimeout(stalled),
  }, { highWaterMark: 0 });
  return { offset: at, size, check: known, body };
}

/**
 * Cuts a followed log into blocks of whole lines. A blank line, which only shows that the log is
 * alive, gives an empty block: nothing was left to send just then.
 */
export async function* wholeLines(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let rest: Uint8Array[] = []; // of a line whose end is still to come
  let size = 0;
  for await (const chunk of body) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      yield* withoutBlanks(join([...rest, chunk.subarray(0, end)]));
      rest = [];
      size = 0;
    }
    if (end === chunk.length) continue;
    rest.push(chunk.subarray(end));
    size += chunk.length - end;
    if (size > MAX_LINE) throw new Error(`a line of over ${MAX_LINE} bytes`);
  }
}

/** Gives whole lines on, but an empty block for each blank one. */
function* withoutBlanks(lines: Uint8Array): Generator<Uint8Array, void, void> {
  let start = 0;
  for (let at = 0, next; at < lines.length; at = next) {
    next = lines.indexOf(NEWLINE, at) + 1;
    if (next > at + 1) continue;
    if (at > start) yield lines.subarray(start, at);
    yield lines.subarray(at, at);
    start = next;
  }
  if (start < lines.length) yield lines.subarray(start);
}

function join(chunks: Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/**
 * The last stretch of a log that is followed without being kept: enough to show, after a lost
 * connection, where it was, and to pass the log on to followers of one's own.
 */
export class Window implements Log {
  #bytes = new Uint8Array(2 * WINDOW_BYTES);
  #length = 0;
  #ended = false;
  #grown = new Condition();

  /** Starts, still empty, at `start`; `startCheck` is the fingerprint of the bytes before. */
  constructor(private start: number, private startCheck?: string) {}

  get size(): number {
    return this.start + this.#length;
  }

  /** An offset whose fingerprint is known, as late as can be. */
  get anchor(): number {
    return this.start === 0 || this.#length >= CHECK_BYTES ? this.size : this.start;
  }

  append(bytes: Uint8Array): void {
    const capacity = this.#bytes.length;
    if (this.#length + bytes.length > capacity) {
      const keep = Math.max(0, Math.min(this.#length, WINDOW_BYTES - bytes.length));
      this.#bytes.copyWithin(0, this.#length - keep, this.#length);
      const beyond = Math.max(0, bytes.length - capacity);
      this.start += this.#length - keep + beyond;
      this.startCheck = undefined;
      this.#length = keep;
      bytes = bytes.subarray(beyond);
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#grown.notifyAll();
  }

  async read(offset: number, wait: number): Promise<Uint8Array | undefined> {
    if (offset === this.size) await this.grown(wait);
    // The end of a follower's log, too, where it was lost or the follower is too slow for it.
    if (this.#ended || offset < this.start) return;
    return this.#bytes.slice(offset - this.start, this.#length);
  }

  async check(offset: number): Promise<string | undefined> {
    if (offset === this.start && this.startCheck !== undefined) return this.startCheck;
    const from = Math.max(0, offset - CHECK_BYTES);
    if (from < this.start || offset > this.size) return;
    return await fingerprint(this.#bytes.slice(from - this.start, offset - this.start));
  }

  /** Whether the log was lost: another window took over, or none did. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when the log has grown, or was lost, or after `ms` milliseconds. */
  async grown(ms: number): Promise<void> {
    if (!this.#ended) await this.#grown.wait(ms);
  }

  /** Lets followers go. */
  end(): void {
    this.#ended = true;
    this.#grown.notifyAll();
  }
}
