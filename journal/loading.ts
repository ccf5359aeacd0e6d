/**
 * Loading what could not be loaded at once.
 *
 * @module
 */
import type { Events } from "./events.ts";
import { reasonOf } from "./file.ts";

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2000;

/**
 * Loads links anew, for a reason: calls `load` until it succeeds, or `closed` says otherwise. Each reason why it
 * fails is told once.
 */
export async function loadAgain(
  load: () => Promise<void>,
  reason: string,
  closed: AbortSignal,
  events: Events,
): Promise<void> {
  events("warn", "loading the links anew", { reason });
  let told = reason;
  for (let backoff = MIN_BACKOFF_MS; !closed.aborted;) {
    try {
      await load();
      return events("info", "the links are loaded");
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== told) events("warn", "cannot load the links", { reason });
      told = reason;
    }
    await new Promise((resolve) => setTimeout(resolve, backoff * (1 + Math.random()) / 2));
    backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
  }
}
