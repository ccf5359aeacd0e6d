/**
 * Those who follow, and what each may hold.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";

/** So many follow a process at most, on all its threads. */
export const MAX_FOLLOWERS = 2048;
/** So many bytes are read for a follower at once: the runtime holds two or three times as many for it. */
export const FOLLOWER_BYTES = 64 << 10;

let followers = 0;

/** How many follow just now. */
export function countFollowers(): number {
  return followers;
}

/** A place among those who follow. */
export class Place {
  #taken = true;

  /** @throws {StoreError} unavailable: there is none */
  constructor() {
    if (followers >= MAX_FOLLOWERS) throw new StoreError("unavailable", "too many followers");
    followers++;
  }

  /** Gives it to another; false if it did so before. */
  leave(): boolean {
    if (!this.#taken) return false;
    followers--;
    this.#taken = false;
    return true;
  }

  /**
   * What a follower is sent, at its own pace: what `read` gives, until it gives nothing. Then, or when
   * the follower goes, its place is free, and `end` is called.
   */
  body(
    read: () => Promise<Uint8Array | undefined>,
    end: () => void = () => {},
  ): ReadableStream<Uint8Array> {
    const leave = () => {
      if (this.leave()) end();
    };
    return new ReadableStream<Uint8Array>({
      // Called when the follower has taken what was there: nothing piles up for a slow one.
      async pull(controller) {
        try {
          const bytes = await read();
          if (bytes !== undefined) return controller.enqueue(bytes);
          leave();
          controller.close();
        } catch (error) {
          leave();
          controller.error(error);
        }
      },
      cancel: leave,
    }, { highWaterMark: 0 });
  }
}
