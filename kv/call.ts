/**
 * Asking a database, for a time at most.
 *
 * @module
 */
import { JournalError } from "../journal/file.ts";
import { causeOf, StoreError } from "../links/errors.ts";

/** How long a call of the database may take, in milliseconds. */
export const DEADLINE_MS = 2000;

/**
 * Asks a database.
 *
 * @throws {StoreError} unavailable: it is out of reach
 */
export async function ask<T>(call: Call<T>): Promise<T> {
  return await within(DEADLINE_MS, call).catch(explainAway);
}

/**
 * Tells that a database is out of reach, unless something is wrong with what it answered.
 *
 * @throws {StoreError} or else {@linkcode JournalError}
 */
export function explainAway(error: unknown): never {
  if (error instanceof StoreError || error instanceof JournalError) throw error;
  throw new StoreError("unavailable", `the database is out of reach: ${causeOf(error)}`);
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
