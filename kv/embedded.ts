/**
 * A database in a file, which belongs to this process.
 *
 * @module
 */
import { makeBeside } from "../journal/beside.ts";
import { JournalError, lock, type Locked, reasonOf, unlock } from "../journal/file.ts";
import { StoreError } from "../links/errors.ts";
import type { Database, Entry, Key, Range, Value, Write } from "./database.ts";

/**
 * Deno.Kv in a file.
 *
 * @example
 * ```ts ignore
 * const database = await EmbeddedDatabase.open("links.db");
 * await database.read([["goto", "head"]]);
 * await database.close();
 * ```
 */
export class EmbeddedDatabase implements Database {
  readonly exclusive = true;

  private constructor(
    readonly address: string,
    private readonly locked: Locked,
    private readonly kv: Deno.Kv,
  ) {}

  /**
   * Opens the file at `path`, makes it where it is missing, and locks it.
   *
   * @throws {JournalError} it can't be used, or another process has it
   */
  static async open(path: string): Promise<EmbeddedDatabase> {
    // Not the file itself: on some systems a lock of ours would shut SQLite out.
    const locked = await lock(`${path}.lock`, true).catch((error) => {
      throw new JournalError(error.message.replace(`${path}.lock:`, `${path}:`));
    });
    try {
      // SQLite takes an empty file for a new database, and gives what stands beside it the same mode.
      await makeBeside(path).then((file) => file.close(), () => {});
      return new EmbeddedDatabase(path, locked, await Deno.openKv(path));
    } catch (error) {
      await unlock(locked);
      throw new JournalError(`${path}: ${reasonOf(error)}`);
    }
  }

  async read(
    keys: Key[],
    _signal: AbortSignal,
    range?: Range,
  ): Promise<(Entry | undefined)[]> {
    const entries = (await this.kv.getMany<Value[]>(keys))
      .map((entry) => entry.versionstamp === null ? undefined : toEntry(entry));
    return range ? [...entries, ...await this.range(range)] : entries;
  }

  async range({ start, end, limit }: Range): Promise<Entry[]> {
    const entries: Entry[] = [];
    const list = this.kv.list<Value>({ start, end }, { limit, batchSize: limit });
    for await (const entry of list) entries.push(toEntry(entry));
    return entries;
  }

  async commit({ checks, mutations }: Write): Promise<string | undefined> {
    const atomic = this.kv.atomic();
    for (const { key, version } of checks) atomic.check({ key: [...key], versionstamp: version });
    for (const mutation of mutations) {
      const key = [...mutation.key];
      if ("set" in mutation) atomic.set(key, mutation.set);
      else atomic.delete(key);
    }
    try {
      const result = await atomic.commit();
      return result.ok ? result.versionstamp : undefined;
    } catch (error) {
      throw new StoreError("full", `cannot save: ${reasonOf(error)}`);
    }
  }

  /** There are no others. */
  watch(_key: Key, _changed: unknown, signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }

  async close(): Promise<void> {
    this.kv.close();
    await unlock(this.locked);
  }
}

function toEntry({ key, value, versionstamp }: Deno.KvEntry<unknown>): Entry {
  if (!(value instanceof Uint8Array)) throw new Error("the database holds what isn't goto's");
  return { key: key.map(String), value: new Uint8Array(value), version: versionstamp };
}
