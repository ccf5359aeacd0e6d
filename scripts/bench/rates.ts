/**
 * How fast redirects and new links are.
 *
 * @module
 */
import { type Figure, figure, ratio } from "./figure.ts";
import { keyOf, linkOf } from "./links.ts";
import { bare, nginx, type Program, type Programs } from "./programs.ts";
import { type Command, Server } from "./server.ts";
import { progress } from "./tools.ts";
import { type Outcome, type Work, wrk } from "./wrk.ts";

/** A server, and what it is asked. */
interface Contestant {
  name: string;
  program: "ours" | "beside" | "go" | "bare" | "nginx";
  work: Work;
  server: Server;
  /** Others that work for it, whose CPU time counts. */
  helpers: Server[];
  turns: (Outcome & { cpu?: number })[];
}

/** What all turns of a contestant gave. The others that it is compared with did the same work. */
export interface Row {
  name: string;
  program: Contestant["program"];
  work: Work;
  rate?: Figure;
  rateOfBare?: Figure;
  rateOfGo?: Figure;
  /** In microseconds a request. */
  cpu?: Figure;
  cpuOfBare?: Figure;
  cpuOfGo?: Figure;
  /** In milliseconds. */
  p99?: Figure;
}

/** How long it goes on. */
export interface Turns {
  rounds: number;
  seconds: number;
  warmup: number;
}

const CONNECTIONS = 64;
const MANY_CONNECTIONS = 256;

/** Lets all take turns, several rounds long, and sums up. */
export async function measureRates(
  programs: Programs,
  temp: string,
  journal: string,
  links: number,
  { rounds, seconds, warmup }: Turns,
): Promise<Row[]> {
  await using servers = new AsyncDisposableStack();
  const contestants = await startContestants(programs, temp, journal, links, servers);
  for (const contestant of contestants) await check(contestant);
  for (let round = 0; round <= rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      // Each round begins with another one: nobody is always behind the same other.
      const contestant = contestants[(i + round) % contestants.length];
      const { name, work } = contestant;
      const what = round === 0 ? "warming up" : `round ${round} of ${rounds}`;
      progress(`${what}: ${name}, ${work.kind}, ${work.connections} connections`);
      // V8 goes on compiling for some seconds, and what it takes for that counts as the server's.
      const turn = await drive(contestant, round === 0 ? warmup : seconds, round);
      if (round > 0) contestant.turns.push(turn);
    }
  }
  return contestants.map((contestant) => sumUp(contestant, contestants));
}

function sumUp({ name, program, work, turns }: Contestant, all: Contestant[]): Row {
  const rates = (turns?: Contestant["turns"]) =>
    turns?.map(({ requests, seconds }) => requests / seconds);
  const cpus = (turns?: Contestant["turns"]) => turns?.map(({ cpu }) => cpu);
  const of = (program: Contestant["program"]) =>
    all.find((other) => other.program === program && other.work === work)?.turns;
  return {
    name,
    program,
    work,
    rate: figure(rates(turns)!),
    rateOfBare: ratio(rates(turns)!, rates(of("bare"))),
    rateOfGo: ratio(rates(turns)!, rates(of("go"))),
    cpu: figure(cpus(turns)!),
    cpuOfBare: ratio(cpus(turns)!, cpus(of("bare"))),
    cpuOfGo: ratio(cpus(turns)!, cpus(of("go"))),
    p99: figure(turns.map(({ p99 }) => p99)),
  };
}

async function startContestants(
  { ours, beside, go, nginx: nginxCommand }: Programs,
  temp: string,
  journal: string,
  links: number,
  servers: AsyncDisposableStack,
): Promise<Contestant[]> {
  progress("starting all");
  const contestants: Contestant[] = [];
  const add = (
    name: string,
    program: Contestant["program"],
    work: Work,
    server: Server,
    ...helpers: Server[]
  ) => contestants.push({ name, program, work, server, helpers, turns: [] });
  const begin = async (command: Command, path = `/${keyOf(0)}`, status = 302) =>
    servers.use(await Server.start(command, path, status));
  let copies = 0;
  /** Each has a file of its own, since it locks it. */
  const copy = async () => {
    const path = `${temp}/copy-${copies++}.jsonl`;
    await Deno.copyFile(journal, path);
    return `-file=${path}`;
  };

  const random: Work = { kind: "random", links, connections: CONNECTIONS };
  const one: Work = { kind: "one", links, connections: CONNECTIONS };
  const bareRedirect = await begin(bare("redirect"));
  add("bare Deno.serve", "bare", random, bareRedirect);
  add("bare Deno.serve", "bare", one, bareRedirect);
  const master = await begin(ours.with("-rpc", await copy()));
  add("master", "ours", random, master);
  add("master", "ours", one, master);
  const uncounted = await begin(ours.with("-hits=false", await copy()));
  add("master, -hits=false", "ours", random, uncounted);
  add("master, -hits=false", "ours", one, uncounted);
  const replica = (...flags: string[]) =>
    begin(ours.with(`-master=127.0.0.1:${master.port}`, ...flags));
  const hot = await replica(`-cache=${3 * links}`);
  await wrk(hot, { ...random, kind: "all" }, 600);
  add("replica, hot", "ours", random, hot);
  add("replica, hot", "ours", one, hot);
  add("replica, cold (with its master)", "ours", random, await replica("-cache=0"), master);
  if (navigator.hardwareConcurrency > 1) {
    const threads = await begin(ours.with("-threads=2", await copy()));
    add("master, -threads=2", "ours", random, threads);
  }
  const others: [Program | undefined, "beside" | "go"][] = [[beside, "beside"], [go, "go"]];
  for (const [program, role] of others) {
    if (program === undefined) continue;
    const server = await begin(program.with(await copy()));
    add(program.name, role, random, server);
    add(program.name, role, one, server);
  }
  if (nginxCommand !== undefined) {
    const server = await begin(nginx(nginxCommand, temp, links));
    add("nginx, map", "nginx", random, server);
    add("nginx, map", "nginx", one, server);
  }

  for (const connections of [CONNECTIONS, MANY_CONNECTIONS]) {
    const work: Work = { kind: "new", links: 0, connections };
    const empty = (program: Program, ...flags: string[]) =>
      begin(program.with(`-file=${temp}/new-${copies++}.jsonl`, ...flags), "/add", 200);
    add("bare Deno.serve", "bare", work, await begin(bare("post"), "/", 200));
    add("master, durable", "ours", work, await empty(ours));
    add("master, -sync=none", "ours", work, await empty(ours, "-sync=none"));
    if (beside) add(`${beside.name}, durable`, "beside", work, await empty(beside));
    if (go) add("Go, which syncs nothing", "go", work, await empty(go));
  }
  return contestants;
}

/** Whether a contestant gives the answers that it is going to be measured by. */
async function check({ name, program, work, server: { url } }: Contestant): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  if (work.kind === "new") {
    const body = new URLSearchParams({ url: "https://example.com/" });
    const response = await fetch(`${url}/add`, { method: "POST", body, signal });
    if (!/^http.*\/\w+$/.test((await response.text()).trimEnd())) {
      throw new Error(`${name} makes no links`);
    }
    return;
  }
  for (let i = 0; i < 100; i++) {
    const key = keyOf(Math.floor(i * (work.links - 1) / 99));
    const response = await fetch(`${url}/${key}`, { redirect: "manual", signal });
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status !== 302 || program !== "bare" && location !== linkOf(key)) {
      throw new Error(`${name} answers /${key} with ${response.status} ${location}`);
    }
  }
}

/** One turn. */
async function drive(
  { server, helpers, work }: Contestant,
  seconds: number,
  seed: number,
): Promise<Contestant["turns"][number]> {
  const cpu = async () => {
    let sum: number | undefined = 0;
    for (const one of [server, ...helpers]) {
      const own = await one.cpu();
      sum = sum === undefined || own === undefined ? undefined : sum + own;
    }
    return sum;
  };
  const before = await cpu();
  const outcome = await wrk(server, work, seconds, seed);
  const after = await cpu();
  const spent = before === undefined || after === undefined ? undefined : after - before;
  return { ...outcome, cpu: spent === undefined ? undefined : spent / outcome.requests };
}
