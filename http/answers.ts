/**
 * Answers that are large, until their clients have taken them.
 *
 * @module
 */
import { Budget } from "./budget.ts";
import { HTTPError, RETRY } from "./problem.ts";

// What is no larger goes with the head into the runtime's buffers, which every connection has.
const SMALL = 16 << 10;
const CHUNK = 64 << 10;
/** So many bytes of answers are held at once, by each thread. */
export const MAX_ANSWERS = 64 << 20;
/** A client that takes nothing of its answer for so long is cut off, in milliseconds. */
export const TAKE_MS = 30_000;

const answers = new Budget(MAX_ANSWERS);
const encoder = new TextEncoder();

/**
 * Room for one answer, from before it is made until it is taken.
 *
 * @example
 * ```ts
 * const room = new Room(1 << 20);
 * try {
 *   new Response(room.hold("x".repeat(100_000)));
 * } catch (err) {
 *   room.give(); // there is none
 *   throw err;
 * }
 * ```
 */
export class Room {
  /**
   * @param bytes how large the answer may become; should it be larger, it takes what it needs
   * @throws {HTTPError} 503: others wait to be taken
   */
  constructor(private bytes: number) {
    if (!answers.take(bytes)) throw new HTTPError(503, "too many answers wait to be taken", RETRY);
  }

  /** Gives back what is still held. */
  give(): void {
    this.#set(0);
  }

  /** A body of `text`, which gives its room back by itself. */
  hold(text: string, patience = TAKE_MS): string | ReadableStream<Uint8Array> {
    if (text.length <= SMALL) {
      this.give();
      return text;
    }
    let bytes = encoder.encode(text);
    this.#set(bytes.length);
    let at = 0;
    let stalled: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      clearTimeout(stalled);
      bytes = new Uint8Array(); // the runtime may keep the stream as long as the connection
      this.give();
    };
    const watch = (controller: ReadableStreamDefaultController) => {
      clearTimeout(stalled);
      stalled = setTimeout(() => {
        end();
        controller.error(new Error("stalled"));
      }, patience);
    };
    return new ReadableStream<Uint8Array>({
      start: watch,
      // Called when the client has taken what was there.
      pull: (controller) => {
        watch(controller);
        controller.enqueue(bytes.slice(at, at += CHUNK)); // a part alone would keep all the rest
        if (at < bytes.length) return;
        end();
        controller.close();
      },
      cancel: end,
    }, { highWaterMark: 0 });
  }

  #set(bytes: number): void {
    answers.give(this.bytes - bytes);
    this.bytes = bytes;
  }
}
