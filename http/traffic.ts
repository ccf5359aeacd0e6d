/**
 * How often links are followed, for who is shown links.
 *
 * @module
 */
import { formatDay } from "../hits/counts.ts";
import type { Traffic } from "../hits/traffic.ts";
import { StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import type { Store } from "../store.ts";

/**
 * A link, and how often it was followed, as far as that can be had: a replica has links at hand while the
 * master, who counts, is away.
 *
 * @throws {StoreError} not found, expired, unavailable
 */
export async function findLink(
  store: Store,
  key: string,
): Promise<{ link: Link; traffic?: Traffic }> {
  // The link first: a store may throw at once, before there is a promise that nobody waits for.
  const [link, traffic] = await Promise.all([
    store.link(key),
    store.traffic(key).catch((error) => {
      if (!(error instanceof StoreError)) throw error;
      return undefined;
    }),
  ]);
  return { link, traffic };
}

/** The sums, as JSON has them; nothing, where nobody counts. */
export function sumsOf(
  traffic?: Traffic,
): { hits?: number; previews?: number; lastHit?: string } {
  if (traffic === undefined) return {};
  const { hits, previews, last } = traffic;
  return { hits, previews, lastHit: last === undefined ? undefined : formatDay(last) };
}

/** The days on which a link was followed, as JSON has them, the oldest first. */
export function daysOf({ days }: Traffic): { day: string; hits: number }[] {
  return days.map(([day, hits]) => ({ day: formatDay(day), hits }));
}
