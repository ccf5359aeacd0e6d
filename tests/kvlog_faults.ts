/**
 * A real database that several masters share in one process, and a fault injector around it: a test decides what becomes of each
 * commit.
 *
 * @module
 */
import type { Database, Entry, Key, Range, Write } from "../kv/database.ts";
import { EmbeddedDatabase } from "../kv/embedded.ts";
import { tempDir } from "./processes.ts";

/** What becomes of a commit: `commit` does it. */
export type Fate = (commit: () => Promise<string | undefined>) => Promise<string | undefined>;

/** The database as one master has it. */
export class Faulty implements Database {
  readonly exclusive = false;
  ahead?: number;
  /** What becomes of the next commits, one after the other; then they are done. */
  readonly fates: Fate[] = [];
  /** How often what was asked. */
  readonly asked = { reads: 0, ranges: 0, commits: 0 };
  /** Awaited before a read is done, and told which keys. */
  onread: (keys: Key[]) => Promise<void> | void = () => {};
  /** Awaited before a range is read. */
  onrange: () => Promise<void> | void = () => {};

  constructor(private readonly real: Database) {}

  get address(): string {
    return this.real.address;
  }

  async read(
    keys: Key[],
    signal: AbortSignal,
    range?: Range,
  ): Promise<(Entry | undefined)[]> {
    this.asked.reads++;
    await this.onread(keys);
    return await this.real.read(keys, signal, range);
  }

  async range(range: Range, signal: AbortSignal): Promise<Entry[]> {
    this.asked.ranges++;
    await this.onrange();
    return await this.real.range(range, signal);
  }

  async commit(write: Write, signal: AbortSignal): Promise<string | undefined> {
    this.asked.commits++;
    const commit = () => this.real.commit(write, signal);
    const fate = this.fates.shift();
    return await (fate ? fate(commit) : commit());
  }

  watch(key: Key, changed: (version: string) => void, signal: AbortSignal): Promise<void> {
    return this.real.watch(key, changed, signal);
  }

  async close(): Promise<void> {}
}

/** Databases of several masters, which are one. */
export async function share(count: number): Promise<
  AsyncDisposable & { databases: Faulty[]; real: Database; path: string }
> {
  const temp = tempDir();
  const path = `${temp.path}/shared.db`;
  const real = await EmbeddedDatabase.open(path);
  return {
    databases: Array.from({ length: count }, () => new Faulty(real)),
    real,
    path,
    async [Symbol.asyncDispose]() {
      await real.close();
      temp[Symbol.dispose]();
    },
  };
}
