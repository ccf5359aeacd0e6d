/**
 * A database in a file, which belongs to this process.
 *
 * @module
 */
import { makeBeside } from "../journal/beside.ts";
import { JournalError, lock, type Locked, reasonOf, unlock } from "../journal/file.ts";
import { StoreError } from "../links/errors.ts";
import type { Database, Entry, Key, Range, Value, Write } from "./database.ts";

const MAX_CHECKS = 100; // Deno's limit
const MAX_COMMITS = 1; // SQLite writes one after the other

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
  readonly maxChecks = MAX_CHECKS;
  readonly maxCommits = MAX_COMMITS;

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

  async read(keys: Key[]): Promise<(Entry | undefined)[]> {
    return (await this.kv.getMany<Value[]>(keys)).map(toEntry);
  }

  async range({ start, end, limit, reverse }: Range): Promise<Entry[]> {
    const entries: Entry[] = [];
    const list = this.kv.list<Value>({ start, end }, { limit, reverse, batchSize: limit });
    for await (const entry of list) entries.push(toEntry(entry));
    return entries;
  }

  async commit({ checks, mutations }: Write): Promise<string | undefined> {
    const atomic = this.kv.atomic();
    for (const { key, version } of checks) atomic.check({ key: [...key], versionstamp: version });
    for (const mutation of mutations) {
      const key: Deno.KvKey = mutation.key;
      if ("gone" in mutation) {
        atomic.delete(key);
        continue;
      }
      if ("add" in mutation) {
        atomic.mutate({ type: "sum", key, value: toNumber(mutation.add) });
        continue;
      }
      if ("atLeast" in mutation) {
        atomic.mutate({ type: "max", key, value: toNumber(mutation.atLeast) });
        continue;
      }
      const { set, stamped, expireIn } = mutation;
      // The platform's types have no place for it in a key, though its documentation does.
      const stamp = stamped ? [this.kv.commitVersionstamp() as unknown as Deno.KvKeyPart] : [];
      atomic.set([...key, ...stamp], set, { expireIn });
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

function toEntry({ key, value, versionstamp }: Deno.KvEntry<unknown>): Entry;
function toEntry(entry: Deno.KvEntryMaybe<unknown>): Entry | undefined;
function toEntry({ key, value, versionstamp }: Deno.KvEntryMaybe<unknown>): Entry | undefined {
  if (versionstamp === null) return;
  return { key: key.map(String), value: toValue(value), version: versionstamp };
}

function toNumber(number: bigint): Deno.KvU64 {
  return new Deno.KvU64(BigInt.asUintN(64, number));
}

function toValue(value: unknown): Value {
  if (value instanceof Deno.KvU64) return value.value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw new Error("the database holds what isn't goto's");
}
