/**
 * What servers take while they run: memory and descriptors, minute by minute.
 *
 * @module
 */
import type { Goto } from "../../tests/processes.ts";
import { memoryOf } from "../../tests/sockets.ts";

const MAX_PART = 1.15; // of the memory before: more has grown
const MAX_MB = 25; // and as much beside it, where there is little

/** What one server took at one time. */
export interface Sample {
  /** Seconds since the beginning. */
  second: number;
  pid: number;
  memory: number;
  descriptors?: number;
}

/** Looks at one server. */
export async function sample(server: Goto, second: number): Promise<Sample | undefined> {
  if (server.exited) return undefined;
  const { pid } = server;
  const memory = await memoryOf(server);
  if (!(memory > 0)) return undefined; // it has just gone
  return { second, pid, memory, descriptors: await descriptorsOf(pid) };
}

/** How many files and connections a process has open; nothing where the system doesn't tell. */
async function descriptorsOf(pid: number): Promise<number | undefined> {
  try {
    return (await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`))).length;
  } catch {
    return undefined;
  }
}

/**
 * Whether a process that wasn't killed any more grew, after it had time to settle: its last quarter
 * against the second one. Nothing is said of a process that didn't last for `least` seconds.
 */
export function growth(samples: Sample[], least: number): string | undefined {
  const last = samples.at(-1);
  const own = samples.filter(({ pid }) => pid === last?.pid);
  if (last === undefined || last.second - own[0].second < least) return undefined;
  const quarter = Math.floor(own.length / 4);
  for (const [what, name] of [["memory", "MB"], ["descriptors", "descriptors"]] as const) {
    const [before, after] = [own.slice(quarter, 2 * quarter), own.slice(-quarter)].map((part) =>
      median(part.map((one) => one[what] ?? 0))
    );
    if (after > MAX_PART * before + MAX_MB) {
      return `it grew from ${before.toFixed()} to ${after.toFixed()} ${name}`;
    }
  }
}

/** What half of the values are below. */
export function median(values: number[]): number {
  return part(values, 0.5);
}

/** What so many of the values are below; 0, if there are none. */
export function part(values: number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(of * sorted.length), sorted.length - 1)] ?? 0;
}
