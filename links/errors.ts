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
