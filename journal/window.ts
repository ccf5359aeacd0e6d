/**
 * The end of a feed, in memory.
 *
 * @module
 */
import { Checksum, ChecksumError, formatSum, parseSum } from "./checksum.ts";
import { Condition } from "./condition.ts";
import { crc32 } from "./crc32.ts";
import type { Feed } from "./feed.ts";
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
  /** Whether the feed was lost: another window took over, or none did. */
  ended = false;
  readonly #tail: Tail;
  readonly #checksum?: Checksum; // unless nobody told what it is at the beginning
  #grown = new Condition();

  /** Starts, still empty, at `first`; `firstCheck` is the checksum there. */
  constructor(first: number, firstCheck?: string) {
    this.#tail = new Tail(WINDOW_BYTES, first);
    const sum = first === 0 ? 0 : parseSum(firstCheck);
    if (sum !== undefined) this.#checksum = new Checksum(first, sum);
  }

  get size(): number {
    return this.#tail.end;
  }

  get sum(): string | undefined {
    return this.#checksum && formatSum(this.#checksum.sum);
  }

  /**
   * Takes whole lines.
   *
   * @param compared whether it will be compared with the master's own checksum, as in {@linkcode Journal.copy}
   * @throws {ChecksumError} what came so far is not what the master's log holds
   */
  append(lines: Uint8Array, compared = false): void {
    const wrong = this.#checksum?.append(lines);
    if (wrong !== undefined && !compared) {
      throw new ChecksumError(`the bytes before ${wrong} are not the master's`);
    }
    this.#tail.append(lines);
    this.#checksum?.forget(this.#tail.start);
    this.#grown.notifyAll();
  }

  async read(offset: number, wait: number): Promise<Uint8Array | undefined> {
    if (offset === this.size) await this.grown(wait);
    // The end of a follower's feed, too, where this one was lost or the follower is too slow for it.
    if (this.ended || offset < this.#tail.start) return;
    return this.#tail.read(offset, FOLLOWER_BYTES);
  }

  // deno-lint-ignore require-await
  async check(offset: number): Promise<string | undefined> {
    const point = this.#checksum?.before(offset);
    if (point === undefined) return;
    const { position, sum } = point;
    if (position === offset) return formatSum(sum);
    if (position < this.#tail.start) return;
    return formatSum(crc32(this.#tail.read(position, offset - position), sum));
  }

  /** Resolves when the feed has grown, or was lost, or after `ms` milliseconds. */
  async grown(ms: number): Promise<void> {
    if (!this.ended) await this.#grown.wait(ms);
  }

  /** Lets followers go. */
  end(): void {
    this.ended = true;
    this.#grown.notifyAll();
  }
}
