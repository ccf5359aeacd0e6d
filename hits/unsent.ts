/**
 * `FILE.hits.unsent`: what a mirror counted, and could not send.
 *
 * @module
 */
import { exists, writeAll } from "../journal/file.ts";
import type { Counting } from "./counting.ts";
import { type Counts, parseCounts } from "./counts.ts";

/** The file of what the mirror at `file` could not send. */
export function unsentOf(file: string): string {
  return `${file}.hits.unsent`;
}

/** Where what a server counted stands until it is sent; without a path, nowhere. */
export class Unsent {
  #there = false;

  /** @param path that of the file; without one, nothing is kept */
  constructor(private readonly path?: string) {}

  /** Whether anything can be kept. */
  get keeps(): boolean {
    return this.path !== undefined;
  }

  /** Whether something is. */
  get there(): boolean {
    return this.#there;
  }

  /** What was left there. What is damaged is left out. */
  async load(): Promise<Counts[]> {
    if (this.path === undefined || !await exists(this.path)) return [];
    this.#there = true;
    const lines = (await Deno.readTextFile(this.path)).split("\n");
    return lines.filter((line) => line !== "").flatMap((line) => parse(line) ?? []);
  }

  /**
   * Keeps that, in place of what was there, so that a crash leaves either.
   *
   * @throws what the file system said
   */
  async save(all: Counts[]): Promise<void> {
    if (this.path === undefined || (all.length === 0 && !this.#there)) return;
    if (all.length === 0) {
      await Deno.remove(this.path).catch(() => {});
      this.#there = false;
      return;
    }
    const temp = `${this.path}.tmp`;
    const text = all.map((counts) => `${JSON.stringify(counts)}\n`).join("");
    using file = await Deno.open(temp, { write: true, create: true, truncate: true });
    await writeAll(file, new TextEncoder().encode(text));
    await Deno.rename(temp, this.path);
    this.#there = true;
  }
}

/**
 * Adds what a mirror could not send to what the master has, as which it goes on now: once, also where the one
 * before had it already.
 *
 * @throws {StoreError} full: it can't be kept
 */
export async function takeUnsent(file: string, hits: Counting): Promise<void> {
  const unsent = new Unsent(unsentOf(file));
  for (const counts of await unsent.load()) await hits.take(counts);
  await unsent.save([]);
}

function parse(line: string): Counts | undefined {
  try {
    const { id }: { id?: unknown } = Object(JSON.parse(line));
    return { ...parseCounts(line), ...(typeof id === "string" ? { id } : {}) };
  } catch {
    // It is damaged.
  }
}
