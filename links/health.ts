/**
 * How a store is.
 *
 * @module
 */

/** Whether a store can do its work, why not, and what else there is to tell. */
export interface Health {
  ready: boolean;
  reason?: string;
  [detail: string]: string | number | boolean | undefined;
}

/** Whether what came from elsewhere tells that. */
export function isHealth(value: unknown): value is Health {
  return typeof value === "object" && value !== null && "ready" in value &&
    typeof value.ready === "boolean";
}
