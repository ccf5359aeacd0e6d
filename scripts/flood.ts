/**
 * Measures what clients that mean ill, or don't know better, cost those beside them: the time of a
 * redirect, and the server's memory, while each flood lasts.
 *
 *     deno task flood                     # all of them, in about three minutes
 *     deno task flood -- --only=batch     # those whose name holds "batch"
 *     deno task flood -- --scale=0.1      # a tenth of it
 *     GOTO_BINARY=./goto deno task flood  # of a compiled program
 *
 * @module
 */
import { add, type Goto, start } from "../tests/processes.ts";
import { memoryOf } from "../tests/sockets.ts";
import { at, type Scenario, SCENARIOS } from "./flood/scenarios.ts";
import { takeArgs } from "./args.ts";

const PROBES = 300; // redirects, one after the other
const PROBE_MS = 10_000; // and no more are begun after so long

/** What one flood did. */
export interface Row {
  flood: string;
  /** Of a redirect meanwhile, in milliseconds; nothing where none was answered. */
  p50?: number;
  p99?: number;
  /** Redirects that failed, of so many. */
  failed: number;
  of: number;
  /** Resident memory before, and the most there was, in MB. */
  before: number;
  most: number;
  /** What else there is to say. */
  note: string;
}

/** Runs one flood. */
async function measure(scenario: Scenario, scale: (count: number) => number): Promise<Row> {
  const { name, flags = [], through, journal, flood } = scenario;
  const cwd = await Deno.makeTempDir();
  try {
    if (journal) await Deno.writeTextFile(`${cwd}/store.jsonl`, journal(scale));
    await using server = await start({ cwd, through }, ...flags);
    const key = await add(server.url, "https://example.com/");
    const before = await memoryOf(server);
    let most = before;
    const look = async () => {
      if (!server.exited) most = Math.max(most, await memoryOf(server));
    };
    const timer = setInterval(look, 200);
    try {
      using flooded = await flood(server, scale);
      const { times, failed, of } = await probe(server, key);
      await look();
      const note = await flooded.note();
      return {
        flood: name,
        p50: at(times, 0.5),
        p99: at(times, 0.99),
        failed,
        of,
        before: Math.round(before),
        most: Math.round(most),
        note,
      };
    } finally {
      clearInterval(timer);
    }
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

/** Follows a link, again and again. */
async function probe({ url }: Goto, key: string) {
  const times: number[] = [];
  let failed = 0;
  let of = 0;
  const end = performance.now() + PROBE_MS;
  while (of < PROBES && performance.now() < end) {
    of++;
    const began = performance.now();
    try {
      const init = { redirect: "manual" as const, signal: AbortSignal.timeout(5000) };
      const { status, body } = await fetch(`${url}/${key}`, init);
      await body?.cancel();
      if (status !== 302) throw new Error(`${status}`);
      times.push(performance.now() - began);
    } catch {
      failed++;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { times, failed, of };
}

/** Runs the floods whose name holds `only`, at a part of their size. */
export async function floods(only = "", part = 1, tell = (_row: Row) => {}): Promise<Row[]> {
  const rows: Row[] = [];
  const scale = (count: number) => Math.max(1, Math.round(count * part));
  for (const scenario of SCENARIOS) {
    if (!scenario.name.includes(only)) continue;
    const row = await measure(scenario, scale);
    rows.push(row);
    tell(row);
  }
  return rows;
}

if (import.meta.main) {
  const values = takeArgs("flood", {
    only: { type: "string", default: "" },
    scale: { type: "string", default: "1" },
  });
  console.log("| flood | redirect p50 ms | p99 ms | failed | memory before MB | most MB | |");
  console.log("| ----- | --------------: | -----: | -----: | ---------------: | ------: | - |");
  await floods(values.only, Number(values.scale), (row) => {
    const { flood, p50 = "-", p99 = "-", failed, of, before, most, note } = row;
    const cells = [flood, p50, p99, `${failed} of ${of}`, before, most, note];
    console.log(`| ${cells.join(" | ")} |`);
  });
}
