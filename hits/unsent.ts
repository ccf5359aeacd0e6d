/**
 * `FILE.hits.unsent`: what a mirror counted, and could not send.
 *
 * @module
 */
import { makeBeside, readBeside } from "../journal/beside.ts";
import { type Events, silent } from "../journal/events.ts";
import { exists, reasonOf, writeAll } from "../journal/file.ts";
import type { Counting } from "./counting.ts";
import { type Counts, parseCounts } from "./counts.ts";

/** The file of what the mirror at `file` could not send. */
export function unsentOf(file: string): string {
  return `${file}.hits.unsent`;
}

/** Where what a server counted stands until it is sent; without a path, nowhere. */
export class Unsent {
  /** Whether something is there. */
  there = false;

  /** @param path that of the file; without one, nothing is kept */
  constructor(readonly path?: string, private readonly events: Events = silent) {}

  /** What was left there. What is damaged is left out, and told of. */
  async load(): Promise<Counts[]> {
    if (this.path === undefined || !await exists(this.path)) return [];
    const lines = (await readBeside(this.path)).split("\n").filter((line) => line !== "");
    this.there = true;
    const all = lines.flatMap((line) => parse(line) ?? []);
    const damaged = lines.length - all.length;
    if (damaged > 0) {
      this.events("warn", "left out damaged hits", { file: this.path, lines: damaged });
    }
    return all;
  }

  /**
   * Keeps that, in place of what was there, so that a crash leaves either.
   *
   * @throws what the file system said
   */
  async save(all: Counts[]): Promise<void> {
    if (this.path === undefined || (all.length === 0 && !this.there)) return;
    if (all.length === 0) {
      await Deno.remove(this.path).catch(() => {});
      this.there = false;
      return;
    }
    const temp = `${this.path}.tmp`;
    const text = all.map((counts) => `${JSON.stringify(counts)}\n`).join("");
    try {
      await Deno.remove(temp).catch(() => {}); // that of who was killed
      using file = await makeBeside(temp);
      await writeAll(file, new TextEncoder().encode(text));
      await file.syncData();
      await Deno.rename(temp, this.path);
    } catch (error) {
      await Deno.remove(temp).catch(() => {});
      throw error;
    }
    this.there = true;
  }
}

/**
 * Adds what the mirror at `file` could not send to what the master has, as which it goes on now: once, also
 * where the one before had it already. What can't be added now stays for the next start.
 */
export async function takeUnsent(file: string, hits: Counting, events: Events): Promise<void> {
  const unsent = new Unsent(unsentOf(file), events);
  try {
    const left = await unsent.load();
    while (left.length > 0) {
      await hits.take(left[0]);
      left.shift();
      await unsent.save(left);
    }
  } catch (error) {
    events("warn", "cannot take over hits", { file: unsentOf(file), reason: reasonOf(error) });
  }
}

function parse(line: string): Counts | undefined {
  try {
    const { id }: { id?: unknown } = Object(JSON.parse(line));
    return { ...parseCounts(line), ...(typeof id === "string" ? { id } : {}) };
  } catch {
    // It is damaged.
  }
}
