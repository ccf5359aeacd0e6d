/**
 * The feed: a journal's bytes on their way to those who follow it.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { Place } from "./followers.ts";

/** How often a feed with nothing to tell shows that it is alive, with a blank line, in milliseconds. */
export const HEARTBEAT_MS = 2000;
/** No line of a journal is longer, in bytes. */
export const MAX_LINE = 64 << 20;

/** Shows that a feed is alive. */
export const BLANK = new Uint8Array([NEWLINE]);

/** Which of a server's logs: that of the links, or that of how often they are followed. */
export type LogName = "links" | "hits";

/** Changes that can be followed: bytes that will never be taken back. */
export interface Feed {
  /** The position where they begin. It moves on when superseded changes are left out; */
  readonly base: number;
  /** from this position on, the bytes then stayed as they were. */
  readonly kept: number;
  /** The position where they end. */
  readonly size: number;
  /** The running checksum there, where it is known. */
  readonly sum?: string;
  /** How many keys they are of, those of deleted links included, where it is known. */
  readonly keys?: number;
  /**
   * Reads from `position`, at most {@linkcode FOLLOWER_BYTES}. At the end it waits for the next change,
   * `wait` milliseconds at most; what it then gives is empty. Nothing, once the feed has ended.
   */
  read(position: number, wait: number): Promise<Uint8Array | undefined>;
  /** The running checksum of all before `position`; nothing where it isn't known. */
  check(position: number): Promise<string | undefined>;
}

/** A feed as one follows it. */
export interface FeedStream {
  /** Where it begins. */
  offset: number;
  /** How far it reached when it was opened. */
  size: number;
  /** The running checksum of all before `offset`. */
  check?: string;
  /** That of all before `size`. */
  sum?: string;
  /** How many keys there were by `size`, those of deleted links included. */
  keys?: number;
  /** The master's term; none is 1. */
  term?: number;
  body: ReadableStream<Uint8Array>;
}

/**
 * Opens a feed at `offset` (none: its end). Where the caller's `check` shows that its copy differs
 * before `offset`, or that it lacks what the feed no longer has, the stream starts over where the feed
 * begins.
 *
 * @param until ends the stream when it is aborted
 * @throws {StoreError} unavailable: too many follow already
 */
export async function openFeed(
  feed: Feed,
  offset?: number,
  check?: string,
  until?: AbortSignal,
): Promise<FeedStream> {
  const place = new Place();
  try {
    const { base } = feed;
    let at = offset ?? feed.size;
    let known = await feed.check(at);
    // A copy that is longer than the feed, or that its checksum shows to differ, is another one's.
    if (at < base || at > feed.size || (check !== undefined && known !== check)) {
      at = base;
      known = await feed.check(base);
    }
    let next = at;
    const body = place.body(
      async () => {
        const bytes = await feed.read(next, HEARTBEAT_MS);
        // Where the feed was written anew meanwhile, the follower must start over.
        if (!bytes || (feed.base !== base && next < feed.kept)) return;
        next += bytes.length;
        return bytes.length > 0 ? bytes : BLANK;
      },
      undefined,
      until,
    );
    const { size, sum, keys } = feed;
    return { offset: at, size, sum, keys, check: known, body };
  } catch (error) {
    place.leave();
    throw error;
  }
}

/**
 * Cuts a feed into blocks of whole lines. A blank line, which only shows that the feed is alive, gives
 * an empty block: nothing was left to send just then.
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

/** One array of all. */
export function join(chunks: Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
