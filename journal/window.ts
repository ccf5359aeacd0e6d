/**
 * The end of a feed, in memory.
 *
 * @module
 */
import { CHECK_BYTES, Condition, type Feed, fingerprint } from "./feed.ts";

const WINDOW_BYTES = 1 << 20;

/**
 * The last stretch of a feed that is followed without being kept: enough to show, after a lost
 * connection, where it was, and to pass it on to followers of one's own.
 */
export class Window implements Feed {
  readonly base = 0;
  readonly kept = 0;
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
    // The end of a follower's feed, too, where this one was lost or the follower is too slow for it.
    if (this.#ended || offset < this.start) return;
    return this.#bytes.slice(offset - this.start, this.#length);
  }

  async check(offset: number): Promise<string | undefined> {
    if (offset === this.start && this.startCheck !== undefined) return this.startCheck;
    const from = Math.max(0, offset - CHECK_BYTES);
    if (from < this.start || offset > this.size) return;
    return await fingerprint(this.#bytes.slice(from - this.start, offset - this.start));
  }

  /** Whether the feed was lost: another window took over, or none did. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves when the feed has grown, or was lost, or after `ms` milliseconds. */
  async grown(ms: number): Promise<void> {
    if (!this.#ended) await this.#grown.wait(ms);
  }

  /** Lets followers go. */
  end(): void {
    this.#ended = true;
    this.#grown.notifyAll();
  }
}
