/**
 * How a store is.
 *
 * @module
 */

/** How a store is. */
export interface Health {
  /** Whether it can tell where links lead. */
  ready: boolean;
  /** Whether links can be made and changed, as far as is known; where it isn't said, if it is ready. */
  writable?: boolean;
  /** What is amiss, if anything is. */
  reason?: string;
  [detail: string]: string | number | boolean | undefined;
}

/** Whether what came from elsewhere tells that. */
export function isHealth(value: unknown): value is Health {
  return typeof value === "object" && value !== null && "ready" in value &&
    typeof value.ready === "boolean";
}
