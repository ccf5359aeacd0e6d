/**
 * How a store is.
 *
 * @module
 */
import { isCount } from "./count.ts";

const MAX_DETAILS = 64;
const MAX_TEXT = 4096; // characters
const MAX_SECONDS = 8.64e12; // since 1970, or before: all that a date can be

/** How a store is. */
export interface Health {
  /** Whether it can tell where links lead. */
  ready: boolean;
  /** Whether links can be made and changed, as far as is known; where it isn't said, if it is ready. */
  writable?: boolean;
  /** What is amiss, if anything is. */
  reason?: string;
  /** The host of short links, which no new link may point at. */
  host?: string;
  [detail: string]: string | number | boolean | undefined;
}

/** Whether what came from elsewhere tells that, and can be passed on. */
export function isHealth(value: unknown): value is Health {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const {
    ready,
    writable = true,
    reason = "",
    path = "",
    host = "",
    position = 0,
    time = 0,
    clockSeconds = 0,
  }: {
    [Name in keyof Health]?: unknown;
  } = { ...value };
  const details = Object.values(value);
  return typeof ready === "boolean" && typeof writable === "boolean" &&
    typeof reason === "string" && typeof path === "string" &&
    typeof host === "string" &&
    isCount(position) && isSeconds(time) && isSeconds(clockSeconds) &&
    details.length <= MAX_DETAILS && details.every(isDetail);
}

function isDetail(value: unknown): boolean {
  return typeof value === "boolean" || Number.isFinite(value) ||
    typeof value === "string" && value.length <= MAX_TEXT;
}

function isSeconds(value: unknown): boolean {
  return typeof value === "number" && Math.abs(value) <= MAX_SECONDS;
}
