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
export async function ask<T>(call: Call<T>): Promise<T> {
  try {
    return await within(DEADLINE_MS, call);
  } catch (error) {
    if (error instanceof Error && KNOWN.has(error.name)) throw error;
    throw new StoreError("unavailable", `the database is out of reach: ${causeOf(error)}`);
  }
}

/** Something that is asked, until the signal says otherwise. */
export type Call<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Asks for `ms` milliseconds at most, whether or not what is asked listens to its signal: the body of an answer may
 * outlive it.
 */
export async function within<T>(ms: number, call: Call<T>): Promise<T> {
  const late = new Error(`no answer in ${Math.round(ms)} ms`);
  const { promise, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(late);
    reject(late);
  }, ms);
  try {
    return await Promise.race([call(controller.signal), promise]);
  } finally {
    clearTimeout(timer);
  }
}

// What is wrong with what was read, not with the reading.
const KNOWN = new Set(["StoreError", "JournalError", "RowsGone"]);
