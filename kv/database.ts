/**
 * What is asked of a database: the part of Deno.Kv that links need, the same for one in a file and for
 * a service.
 *
 * @module
 */

/** The parts of a key, from the left; none has a character 0. */
export type Key = readonly string[];

/** What is kept. */
export type Value = Uint8Array<ArrayBuffer>;

/** A value with its key, and the version that each change of it makes another. */
export interface Entry {
  key: Key;
  value: Value;
  version: string;
}

/** Keys from `start` up to, but without, `end`; at most {@linkcode MAX_RANGE} of them. */
export interface Range {
  start: Key;
  end: Key;
  limit: number;
}

/** What a commit does to one key: it sets it, or deletes it, if it is there. */
export type Mutation = { key: Key; set: Value } | { key: Key; delete: true };

/** What is done as a whole, or not at all. */
export interface Write {
  /** Versions that keys must have; null: there must be none. */
  checks: { key: Key; version: string | null }[];
  /** Done in this order. */
  mutations: Mutation[];
}

/** Most keys of one read. */
export const MAX_READ = 9;
/** Most entries of a range. */
export const MAX_RANGE = 500;

/**
 * A database. What it reads is never older than what was committed before it was asked. Every method
 * throws an error when the database is out of reach, or `signal` says so.
 */
export interface Database {
  /** Its path or its URL. */
  readonly address: string;
  /** Whether nobody else writes to it, so that what is known of it need not be read again. */
  readonly exclusive: boolean;
  /** Reads up to {@linkcode MAX_READ} keys, and a range behind them, as they are at one time. */
  read(keys: Key[], signal: AbortSignal, range?: Range): Promise<(Entry | undefined)[]>;
  /** Reads a range, as it is at one time. */
  range(range: Range, signal: AbortSignal): Promise<Entry[]>;
  /**
   * Commits, and gives the version that this made; nothing, where a check failed. After an error nobody
   * knows whether it was done, or will be.
   *
   * @throws {StoreError} full: the database can't write
   */
  commit(write: Write, signal: AbortSignal): Promise<string | undefined>;
  /** How many milliseconds the service's clock is ahead of this one, as far as it told. */
  readonly ahead?: number;
  /**
   * Calls `changed` after each change of `key`, soon, with its version, "" where there is none; ends with an
   * error.
   */
  watch(key: Key, changed: (version: string) => void, signal: AbortSignal): Promise<void>;
  /** Lets go of it. */
  close(): Promise<void>;
}

/** The first key that can come after `key` and those that begin with it: its last part with the least character. */
export function after(key: Key): Key {
  return key.with(-1, `${key.at(-1)}\x01`);
}
