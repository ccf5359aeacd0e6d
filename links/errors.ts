/**
 * Why a store refuses.
 *
 * @module
 */

/** The kinds of refusals. */
export type Refusal =
  | "not found"
  | "exists"
  | "invalid url"
  | "invalid key"
  | "invalid query"
  | "invalid time"
  | "invalid name"
  | "expired"
  | "forbidden"
  | "unavailable"
  | "full";

/**
 * A store's refusal: `kind` for programs, `message` for people.
 *
 * @example
 * ```ts
 * const error = new StoreError("unavailable", "master out of reach");
 * error.kind; // "unavailable"
 * ```
 */
export class StoreError extends Error {
  override name = "StoreError";
  constructor(readonly kind: Refusal, message: string) {
    super(message);
  }
}

// One instance each, as in Go: a flood of unknown keys must not pay for a stack trace apiece.
/** There is no such link. */
export const errNotFound = new StoreError("not found", "key not found");
/** There was such a link, and its time is over. */
export const errExpired = new StoreError("expired", "link expired");
/** The key asked for is taken. */
export const errExists = new StoreError("exists", "key already exists");
/** A server without a log was asked to compact it. */
export const errNoLog = new StoreError("unavailable", "this server keeps no log: ask its master");
/** Nobody waits for the answer any more. */
export const errLeft = new StoreError("unavailable", "whoever asked has left");

/**
 * Ends work that nobody waits for.
 *
 * @throws {StoreError} unavailable: whoever asked has left
 */
export function checkLeft(signal?: AbortSignal): void {
  if (signal?.aborted) throw errLeft;
}

/** What went wrong; of a failed fetch, why. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
