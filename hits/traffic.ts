/**
 * How often a link was followed.
 *
 * @module
 */

import { isCount } from "../links/count.ts";
import { isDay } from "./counts.ts";

/** The days of which it is known how often a link was followed on each. */
export const DAYS = 90;

/** How often a link was followed. */
export interface Traffic {
  /** In all; exact up to 2^53. */
  hits: number;
  /** HEAD requests, and those who fetch a preview of a link: they are not among the hits. */
  previews: number;
  /** The day of the last hit, in days since 1970, by UTC. */
  last?: number;
  /** Of the last {@linkcode DAYS} days those with hits, the oldest first. */
  days: [day: number, hits: number][];
}

/** That of a link which nobody has followed. */
export const NO_TRAFFIC: Traffic = { hits: 0, previews: 0, days: [] };

/** Whether what came from elsewhere is that. */
export function isTraffic(value: unknown): value is Traffic {
  const { hits, previews, last = 0, days }: { [Name in keyof Traffic]?: unknown } = Object(value);
  return isCount(hits) && isCount(previews) && isDay(last) && Array.isArray(days) &&
    days.length <= DAYS && days.every((day) => {
      return Array.isArray(day) && day.length === 2 && isDay(day[0]) && isCount(day[1]);
    });
}

/** The same, or nothing, where nobody counts. */
export function isTrafficOrNull(value: unknown): value is Traffic | null {
  return value === null || isTraffic(value);
}
