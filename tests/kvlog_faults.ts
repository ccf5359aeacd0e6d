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

/**
 * A database in memory, of which an older copy can be restored. The versions that it gives then are those that it gave
 * before, as those of denokv may be: each commit adds one to nine.
 */
export class Restorable implements Database {
  readonly address = "memory";
  readonly exclusive = false;
  #entries = new Map<string, Entry>();
  #version = 0;

  /** Gives what restores it as it is now. */
  copy(): () => void {
    const [entries, version] = [new Map(this.#entries), this.#version];
    return () => [this.#entries, this.#version] = [new Map(entries), version];
  }

  async read(keys: Key[], signal: AbortSignal, range?: Range): Promise<(Entry | undefined)[]> {
    const found = keys.map((key) => this.#entries.get(key.join("\n")));
    return range ? [...found, ...await this.range(range, signal)] : found;
  }

  // deno-lint-ignore require-await
  async range({ start, end, limit }: Range, _signal: AbortSignal): Promise<Entry[]> {
    const [first, last] = [start.join("\n"), end.join("\n")];
    const names = [...this.#entries.keys()].filter((name) => name >= first && name < last);
    return names.sort().slice(0, limit).map((name) => this.#entries.get(name)!);
  }

  // deno-lint-ignore require-await
  async commit({ checks, mutations }: Write): Promise<string | undefined> {
    const versionOf = (key: Key) => this.#entries.get(key.join("\n"))?.version ?? null;
    if (checks.some(({ key, version }) => versionOf(key) !== version)) return;
    const version = `${++this.#version}`.padStart(20, "0");
    for (const mutation of mutations) {
      const { key } = mutation;
      if ("set" in mutation) {
        this.#entries.set(key.join("\n"), { key, value: mutation.set, version });
      } else this.#entries.delete(key.join("\n"));
    }
    return version;
  }

  /** It tells nothing: masters look by themselves. */
  watch(_key: Key, _changed: unknown, signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }

  async close(): Promise<void> {}
}
