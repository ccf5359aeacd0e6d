/**
 * Lets a master with threads, a replica and a mirror work for as long as one likes: redirects, new
 * links, changes, followers and strangers that come and go, and kills. Nothing that was acknowledged may
 * be missing in the end, and those who aren't killed any more may not grow.
 *
 *     deno task soak -- --minutes=10
 *
 * @module
 */
import { pause } from "../links/wait.ts";
import { eventually, follow, type Goto, start } from "../tests/processes.ts";
import { random } from "../tests/random.ts";
import { disturb, type Links, read, type Soak, Tally, write } from "./soak/clients.ts";
import { growth, part, type Sample, sample } from "./soak/watch.ts";
import { takeArgs } from "./args.ts";

const NAMES = ["master", "replica", "mirror"];
const WRITERS = 6;
const READERS = 2; // at each server
const ROWS = 10;
const SETTLED = 240; // seconds, of a process that shall be flat
const CALM = 0.3; // of the time; then only the mirror is killed

/** What was done in a part of the time, and what the servers took in its end. */
export interface Row {
  seconds: number;
  redirects: number;
  failed: number;
  p50: number;
  p99: number;
  writes: number;
  unknown: number;
  strangers: number;
  kills: number;
  /** Of each server that is there, in MB. */
  memory: (number | undefined)[];
  descriptors: (number | undefined)[];
}

/** What came of it. */
export interface Report {
  rows: Row[];
  links: number;
  /** What was lost, or has grown. */
  wrong: string[];
}

/** Runs for so many minutes, with choices that come from `seed`. */
export async function soak(
  minutes: number,
  seed: number,
  tell: (row: Row) => void = () => {},
): Promise<Report> {
  const { pick } = random(seed);
  const seconds = 60 * minutes;
  const report: Report = { rows: [], links: 0, wrong: [] };
  await using all = new AsyncDisposableStack();
  const master = all.use(await start("-rpc", "-threads=2"));
  const replica = all.use(await start(`-master=${master.url}`));
  const mirror = all.use(await start(`-master=${master.url}`, "-file=mirror.jsonl", "-rpc"));
  const servers = [master, replica, mirror];

  const over = new AbortController();
  const links: Links = new Map();
  const state: Soak = { servers, links, tally: new Tally(), pick, signal: over.signal };
  const began = performance.now();
  const second = () => (performance.now() - began) / 1000;
  const samples: Sample[][] = servers.map(() => []);
  let kills = 0;

  const work = [
    ...servers.flatMap((server) => Array.from({ length: READERS }, () => read(state, server))),
    ...Array.from({ length: WRITERS }, (_, i) => write(state, `w${i}`)),
    disturb(state),
    watch(),
    kill(),
  ];
  try {
    for (let row = 1; row <= ROWS; row++) {
      const left = 1000 * (row * seconds / ROWS - second());
      await Promise.race([pause(Math.max(0, left), over.signal), ...work]); // or something failed
      tell(makeRow());
    }
  } finally {
    over.abort();
    await Promise.allSettled(work);
  }
  await Promise.all(work);
  await check();
  for (const [i, name] of NAMES.entries()) {
    const grown = growth(samples[i], SETTLED);
    if (grown) report.wrong.push(`the ${name}: ${grown}`);
  }
  return report;

  function makeRow(): Row {
    const { times, failed, writes, unknown, strangers } = state.tally;
    Object.assign(state.tally, new Tally());
    const latest = samples.map((some) => some.at(-1));
    const row = {
      seconds: Math.round(second()),
      redirects: times.length,
      failed,
      p50: part(times, 0.5),
      p99: part(times, 0.99),
      writes,
      unknown,
      strangers,
      kills,
      memory: latest.map((one) => one?.memory),
      descriptors: latest.map((one) => one?.descriptors),
    };
    kills = 0;
    report.rows.push(row);
    return row;
  }

  async function watch(): Promise<void> {
    while (!over.signal.aborted) {
      for (const [i, server] of servers.entries()) {
        const one = await sample(server, second());
        if (one) samples[i].push(one);
      }
      await pause(Math.max(200, seconds), over.signal); // a thousand times at most
    }
  }

  /** Kills a server now and then: any, and after a while the mirror alone. */
  async function kill(): Promise<void> {
    for (;;) {
      await pause(1000 * seconds / 30 * (1 + pick(1000) / 1000) / 1.5, over.signal);
      if (over.signal.aborted) return;
      const server = second() < CALM * seconds ? servers[pick(servers.length)] : mirror;
      server.kill("SIGKILL");
      await server.status;
      kills++;
      await server.begin();
    }
  }

  /** Looks whether every key leads where it may, and to the same at every server. */
  async function check(): Promise<void> {
    report.links = links.size;
    for (const [key, allowed] of links) {
      const found = await lookUp(master, key);
      if (!allowed.includes(found)) {
        report.wrong.push(`${key} leads to ${found || "nothing"}, not to ${allowed.join(" or ")}`);
      }
      for (const [i, server] of [replica, mirror].entries()) {
        await eventually(async () => await lookUp(server, key) === found).catch((error) => {
          report.wrong.push(`${key} leads elsewhere at the ${NAMES[i + 1]}: ${error.message}`);
        });
      }
      if (report.wrong.length > 20) return;
    }
  }
}

/** Where a key leads; "" is nowhere. */
async function lookUp({ url }: Goto, key: string): Promise<string> {
  const { status, location } = await eventually(async () => {
    const answer = await follow(url, key);
    return answer.status === 302 || answer.status === 404 ? answer : false;
  }) as { status: number; location: string | null };
  return status === 302 ? location ?? "" : "";
}

if (import.meta.main) {
  const values = takeArgs("soak", {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: `${random().seed}` },
  });
  console.log(`${values.minutes} minutes with seed ${values.seed}\n`);
  console.log(
    "| seconds | redirects | failed | p50 ms | p99 ms | writes | unknown | strangers | kills " +
      "| MB: master | replica | mirror | descriptors: master | replica | mirror |",
  );
  console.log(`|${" ---: |".repeat(15)}`);
  const { links, wrong } = await soak(Number(values.minutes), Number(values.seed), (row) => {
    const { seconds, redirects, failed, p50, p99, writes, unknown, strangers, kills } = row;
    const cells = [seconds, redirects, failed, p50.toFixed(1), p99.toFixed(1), writes, unknown];
    const took = [...row.memory, ...row.descriptors].map((one) => one?.toFixed() ?? "-");
    console.log(`| ${[...cells, strangers, kills, ...took].join(" | ")} |`);
  });
  console.log(`\n${links} links were looked for at every server`);
  for (const line of wrong) console.error(`wrong: ${line}`);
  if (wrong.length === 0) console.log("none was missing, and nobody grew");
  Deno.exitCode = wrong.length > 0 ? 1 : 0;
}
