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
/** A follower that takes nothing for so long, though there is something, is cut off. */
const STALLED_MS = 30_000;

let followers = 0;

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
   * What a follower is sent, at its own pace: what `read` gives, until it gives nothing. Then, or when it
   * was cut off, or goes, its place is free, and `end` is called.
   */
  body(
    read: () => Promise<Uint8Array | undefined>,
    patience = STALLED_MS,
    end: () => void = () => {},
  ): ReadableStream<Uint8Array> {
    let stalled: ReturnType<typeof setTimeout> | undefined;
    const leave = () => {
      clearTimeout(stalled);
      if (this.leave()) end();
    };
    const watch = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      stalled = setTimeout(() => {
        leave();
        controller.error(new Error("stalled"));
      }, patience);
    };
    return new ReadableStream<Uint8Array>({
      start: watch, // whoever asked may be gone already
      // Called when the follower has taken what was there: nothing piles up for a slow one.
      async pull(controller) {
        clearTimeout(stalled);
        try {
          const bytes = await read();
          if (bytes === undefined) {
            leave();
            return controller.close();
          }
          controller.enqueue(bytes);
          watch(controller);
        } catch (error) {
          leave();
          controller.error(error);
        }
      },
      cancel: leave,
    }, { highWaterMark: 0 });
  }
}
