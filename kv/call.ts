/**
 * Asking a database, for a time at most.
 *
 * @module
 */
import { causeOf, StoreError } from "../links/errors.ts";

/** How long a call of the database may take, in milliseconds. */
export const DEADLINE_MS = 2000;

/**
 * Asks a database.
 *
 * @throws {StoreError} unavailable: it is out of reach
 */
export async function ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await call(AbortSignal.timeout(DEADLINE_MS));
  } catch (error) {
    if (error instanceof Error && KNOWN.has(error.name)) throw error;
    throw new StoreError("unavailable", `the database is out of reach: ${causeOf(error)}`);
  }
}

// What is wrong with what was read, not with the reading.
const KNOWN = new Set(["StoreError", "JournalError", "RowsGone"]);
