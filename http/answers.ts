/**
 * Answers that are large, until their clients have taken them.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { Budget } from "./budget.ts";
import { sendPatiently } from "./patience.ts";

// What is no larger goes with the head into the runtime's buffers, which every connection has.
const SMALL = 16 << 10;
const CHUNK = 64 << 10;
/** So many bytes of answers are held at once, by each thread; of those to `/rpc` as many again. */
export const MAX_ANSWERS = 64 << 20;

const answers = new Budget(MAX_ANSWERS);
/** What answers to `/rpc` hold: replicas shall not lose their master to those who list links. */
export const rpcAnswers: Budget = new Budget(MAX_ANSWERS);
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
   * @throws {StoreError} unavailable: others wait to be taken
   */
  constructor(private bytes: number, private readonly budget: Budget = answers) {
    if (!budget.take(bytes)) {
      throw new StoreError("unavailable", "too many answers wait to be taken");
    }
  }

  /** Gives back what is still held. */
  give(): void {
    this.#set(0);
  }

  /** A body of `text`, which gives its room back by itself. */
  hold(text: string, patience?: number): string | ReadableStream<Uint8Array> {
    if (text.length <= SMALL) {
      this.give();
      return text;
    }
    let bytes = encoder.encode(text);
    this.#set(bytes.length);
    let at = 0;
    // Copies, since a part would keep all the rest.
    const read = () => at < bytes.length ? bytes.slice(at, at += CHUNK) : undefined;
    const end = () => {
      bytes = new Uint8Array(); // the runtime may keep the stream as long as the connection
      this.give();
    };
    return sendPatiently(read, end, patience);
  }

  #set(bytes: number): void {
    this.budget.give(this.bytes - bytes);
    this.bytes = bytes;
  }
}

const sizes = new WeakMap<Response, number>();

/** Notes that `response` is a stream, which holds so many bytes beside what every answer does until it is taken. */
export function sized(response: Response, bytes: number): Response {
  sizes.set(response, bytes);
  return response;
}

/** How many bytes `response` holds, if it is a stream. */
export function sizeOf(response: Response): number | undefined {
  return sizes.get(response);
}

/**
 * A response with a text, which holds its share of what may be held. For answers to what changes nothing:
 * they may be refused when they are there.
 *
 * @throws {StoreError} unavailable: others wait to be taken
 */
export function respond(text: string, init: ResponseInit): Response {
  if (text.length <= SMALL) return new Response(text, init);
  return sized(new Response(new Room(text.length).hold(text), init), text.length);
}
