/**
 * Loading what could not be loaded at once.
 *
 * @module
 */
import type { Events } from "./events.ts";
import { StoreError } from "../links/errors.ts";
import { reasonOf } from "./file.ts";
import type { Log } from "./log.ts";

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2000;

/**
 * Loads links from a log: once it can be reached, and anew whenever it turns out to be another one.
 *
 * @param closed ends that
 * @throws {JournalError} the log can't be used
 */
export async function keepLoaded(
  log: Log,
  load: () => Promise<void>,
  closed: AbortSignal,
  events: Events,
): Promise<void> {
  const tell: Events = (level, msg, fields) =>
    events(level, msg, { [log.kind]: log.name, ...fields });
  log.onreplace = (reason) => loadAgain(load, reason, closed, tell);
  await load().catch((error) => {
    if (!(error instanceof StoreError)) throw error;
    log.onreplace(error.message);
  });
}

/** Calls `load` until it succeeds. Each reason why it fails is told once. */
async function loadAgain(
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
