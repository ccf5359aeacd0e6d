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
   * What a follower is sent, at its own pace: what `read` gives, until it gives nothing, or `until` is
   * aborted. Then, or when the follower goes, its place is free, and `end` is called.
   */
  body(
    read: () => Promise<Uint8Array | undefined>,
    end: () => void = () => {},
    until?: AbortSignal,
  ): ReadableStream<Uint8Array> {
    let close = () => {};
    const leave = () => {
      if (!this.leave()) return false;
      until?.removeEventListener("abort", close);
      end();
      return true;
    };
    return new ReadableStream<Uint8Array>({
      start(controller) {
        close = () => leave() && controller.close();
        until?.addEventListener("abort", close);
        if (until?.aborted) close();
      },
      // Called when the follower has taken what was there: nothing piles up for a slow one.
      pull: async (controller) => {
        try {
          const bytes = await read();
          if (!this.#taken) return; // it was closed meanwhile
          if (bytes !== undefined) controller.enqueue(bytes);
          else close();
        } catch (error) {
          if (leave()) controller.error(error);
        }
      },
      cancel: () => void leave(),
    }, { highWaterMark: 0 });
  }
}
