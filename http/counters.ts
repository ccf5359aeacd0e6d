/**
 * What is counted of requests, in all threads.
 *
 * @module
 */
import type { Counts } from "../hits/counts.ts";

/** What requests are told apart by. */
export const HANDLERS = [
  "redirect",
  "form",
  "add",
  "page",
  "api",
  "rpc",
  "feed",
  "health",
  "metrics",
] as const;

/** One of {@linkcode HANDLERS}. */
export type HandlerName = (typeof HANDLERS)[number];

/**
 * What answers for `path`, where it is no key.
 *
 * @example
 * ```ts
 * handlerOf("api/links/docs"); // "api"
 * ```
 */
export function handlerOf(path: string): HandlerName {
  if (path.startsWith("api")) return "api";
  return NAMES[path] ?? "page";
}

const NAMES: Record<string, HandlerName> = {
  "": "form",
  "add": "add",
  "rpc": "rpc",
  "rpc/log": "feed",
  "healthz": "health",
  "readyz": "health",
  "metrics": "metrics",
};

const FIRST_CODE = 100; // statuses have three digits,
const CODES = 500; // and end with 599
const LATE = HANDLERS.length * CODES;
const LATE_FOUND = LATE + 1;
const EVENTS_DROPPED = LATE + 2;
const FOLLOWED = LATE + 3;
const PREVIEWED = LATE + 4;
const MEMORY = LATE + 5;
const WIDTH = LATE + 6;

const NO_ROWS = new Uint32Array();

/** So many bytes each thread counts in. */
export const COUNTERS_BYTES = WIDTH * Float64Array.BYTES_PER_ELEMENT;

/** The counters of all threads, together. */
export interface Totals {
  requests: { handler: HandlerName; code: number; count: number }[];
  /** Redirects that were answered from memory, at once. */
  cacheHits: number;
  /** Redirects that somebody had to be asked for. */
  cacheMisses: number;
  eventsDropped: number;
  /** How often links were followed, as far as that is counted. */
  hits: number;
  /** How often links were only looked at, likewise. */
  previews: number;
}

/**
 * The counters of one thread, in memory that all share: only that thread writes them, so that to count is
 * to add one to a number. (What another thread reads meanwhile is a whole number, since 64-bit machines
 * store 8 bytes at once.)
 *
 * @example
 * ```ts
 * const memory = new SharedArrayBuffer(COUNTERS_BYTES);
 * const counters = new Counters(memory);
 * counters.redirected(Response.redirect("https://example.com/"));
 * total(memory).requests; // [{ handler: "redirect", code: 302, count: 1 }]
 * ```
 */
export class Counters {
  readonly #cells: Float64Array<SharedArrayBuffer>;

  /** @param thread which of the threads counts here; the main one is 0 */
  constructor(memory = new SharedArrayBuffer(COUNTERS_BYTES), thread = 0) {
    this.#cells = new Float64Array(memory, thread * COUNTERS_BYTES, WIDTH);
  }

  /** Counts a redirect. One that is there at once was answered from memory. */
  redirected(response: Response | Promise<Response>): Response | Promise<Response> {
    if (response instanceof Response) {
      this.#cells[response.status - FIRST_CODE]++;
      return response;
    }
    return response.then((response) => {
      this.#cells[LATE]++;
      if (response.status === 302) this.#cells[LATE_FOUND]++;
      this.#cells[response.status - FIRST_CODE]++;
      return response;
    });
  }

  /** Counts any other answer. */
  answered(
    handler: HandlerName,
    response: Response | Promise<Response>,
  ): Response | Promise<Response> {
    const count = (response: Response) => {
      this.#cells[HANDLERS.indexOf(handler) * CODES + response.status - FIRST_CODE]++;
      return response;
    };
    return response instanceof Response ? count(response) : response.then(count);
  }

  /** Counts how often links were followed, and how often they were only looked at. */
  followed({ hits: keyed, rows = NO_ROWS }: Counts): void {
    let [hits, previews] = [0, 0];
    for (const [, count, looks] of keyed) [hits, previews] = [hits + count, previews + looks];
    for (let i = 1; i < rows.length; i += 2) hits += rows[i];
    this.#cells[FOLLOWED] += hits;
    this.#cells[PREVIEWED] += previews;
  }

  /** Notes how many bytes of memory the thread accounts for. */
  set memory(bytes: number) {
    this.#cells[MEMORY] = bytes;
  }

  /** How many all threads do. */
  get allMemory(): number {
    const { buffer } = this.#cells;
    let bytes = 0;
    for (let at = 0; at < buffer.byteLength; at += COUNTERS_BYTES) {
      bytes += new Float64Array(buffer, at, WIDTH)[MEMORY];
    }
    return bytes;
  }

  /** Counts events that nobody could be told of. */
  dropped(count: number): void {
    this.#cells[EVENTS_DROPPED] += count;
  }
}

/** Adds up what all threads counted. */
export function total(memory: SharedArrayBuffer): Totals {
  const sums = new Float64Array(WIDTH);
  for (let at = 0; at < memory.byteLength; at += COUNTERS_BYTES) {
    const cells = new Float64Array(memory, at, WIDTH);
    for (let i = 0; i < WIDTH; i++) sums[i] += cells[i];
  }
  const requests = HANDLERS.flatMap((handler, i) =>
    Array.from(sums.subarray(i * CODES, (i + 1) * CODES), (count, code) => {
      return { handler, code: FIRST_CODE + code, count };
    })
  ).filter(({ count }) => count > 0);
  return {
    requests,
    cacheHits: sums[302 - FIRST_CODE] - sums[LATE_FOUND],
    cacheMisses: sums[LATE],
    eventsDropped: sums[EVENTS_DROPPED],
    hits: sums[FOLLOWED],
    previews: sums[PREVIEWED],
  };
}
