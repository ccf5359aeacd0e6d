/**
 * The end of a feed, in memory.
 *
 * @module
 */
import { Condition } from "./condition.ts";
import { CHECK_BYTES, type Feed, fingerprint } from "./feed.ts";
import { FOLLOWER_BYTES } from "./followers.ts";
import { Tail } from "./tail.ts";

const WINDOW_BYTES = 1 << 20;

/**
 * The last stretch of a feed that is followed without being kept: enough to show, after a lost
 * connection, where it was, and to pass it on to followers of one's own.
 */
export class Window implements Feed {
  readonly base = 0;
  readonly kept = 0;
  readonly #tail: Tail;
  #ended = false;
  #grown = new Condition();

  /** Starts, still empty, at `first`; `firstCheck` is the fingerprint of the bytes before. */
  constructor(private readonly first: number, private readonly firstCheck?: string) {
    this.#tail = new Tail(WINDOW_BYTES, first);
  }

  get size(): number {
    return this.#tail.end;
  }

  /** An offset whose fingerprint is known, as late as can be. */
  get anchor(): number {
    const { start, end } = this.#tail;
    return start === 0 || end - start >= CHECK_BYTES ? end : start;
  }

  append(bytes: Uint8Array): void {
    this.#tail.append(bytes);
    this.#grown.notifyAll();
  }

  async read(offset: number, wait: number): Promise<Uint8Array | undefined> {
    if (offset === this.size) await this.grown(wait);
    // The end of a follower's feed, too, where this one was lost or the follower is too slow for it.
    if (this.#ended || offset < this.#tail.start) return;
    return this.#tail.read(offset, FOLLOWER_BYTES);
  }

  async check(offset: number): Promise<string | undefined> {
    if (offset === this.first && this.firstCheck !== undefined) return this.firstCheck;
    const from = Math.max(0, offset - CHECK_BYTES);
    if (from < this.#tail.start || offset > this.size) return;
    return await fingerprint(this.#tail.read(from, offset - from));
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
