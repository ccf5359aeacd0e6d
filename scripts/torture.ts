/**
 * Holds a master, two caches, a mirror and two caches below it to their promises, while proxies between
 * them cut, delay and swallow reads, writes and feeds. Clients remember what they were told:
 *
 * 1. who was told of a change through a server sees it there, or a later one;
 * 2. who has seen a version of a link at a server never sees an older one there;
 * 3. once all is well, every server shows the latest.
 *
 * Where a server can't reach anybody above, it may answer with what it has: while reads fail, the first
 * two are not looked at.
 *
 *     deno task torture -- --rounds=200
 *
 * @module
 */
import { pause } from "../replica/wait.ts";
import { type Fault, LaneProxy } from "../tests/lanes.ts";
import { eventually, type Goto, start } from "../tests/processes.ts";
import { random } from "../tests/random.ts";
import { takeArgs } from "./args.ts";

const KEYS = 24;
const READERS = 2; // at each server
const WRITERS = 12; // each with keys of its own, so that the order of a key's versions is known
const ROUND_MS = 700;
const never = new AbortController().signal;

/** What was done, and what went wrong. */
export interface Report {
  rounds: number;
  reads: number;
  writes: number;
  /** Writes of which nobody can say whether they were done. */
  unknown: number;
  faults: number;
  broken: string[];
}

/** What a client was told: a version of a key at a server, between two moments. */
interface Told {
  server: number;
  key: number;
  /** "" is none. */
  url: string;
  /** Of a read, when it began; a write counts from its end. */
  from: number;
  to: number;
  kind: "read" | "write";
  /** Whether reads could fail meanwhile. */
  excused: boolean;
}

/** Waits until `server` follows the feed, and knows of nothing that is amiss. */
async function following({ url }: Goto): Promise<void> {
  await eventually(async () => {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) });
    const { reason } = await response.json();
    if (reason !== undefined) throw new Error(reason);
  });
}

/** Runs so many rounds, with faults and choices that come from `seed`. */
export async function torture(
  rounds: number,
  seed: number,
  tell: (text: string) => void = () => {},
): Promise<Report> {
  const { pick } = random(seed);
  const report: Report = { rounds, reads: 0, writes: 0, unknown: 0, faults: 0, broken: [] };
  await using all = new AsyncDisposableStack();
  const server = async (...flags: string[]) => all.use(await start(...flags));
  const proxy = (target: Goto) => all.use(new LaneProxy(target.url, pick));

  const master = await server("-rpc", "-threads=2");
  const proxies = [proxy(master), proxy(master), proxy(master)];
  const cache = await server(`-master=${proxies[0].url}`);
  const threads = await server(`-master=${proxies[1].url}`, "-threads=2", "-cache=10");
  const mirror = await server(`-master=${proxies[2].url}`, "-file=mirror.jsonl", "-rpc");
  proxies.push(proxy(mirror), proxy(master));
  const leaf = await server(`-master=${proxies[3].url},${proxies[4].url}`, "-rpc");
  proxies.push(proxy(leaf));
  const last = await server(`-master=${proxies[5].url}`, "-cache=10");
  const servers = [master, cache, threads, mirror, leaf, last];
  const names = [
    "master",
    "cache",
    "cache with threads",
    "mirror",
    "cache below the mirror, or else the master",
    "cache below that",
  ];

  const told: Told[] = [];
  let version = 0;
  let excused = false;
  for (const key of Array(KEYS).keys()) await write(0, key, "POST");
  for (let round = 1; round <= rounds; round++) {
    await Promise.all(
      servers.slice(1).map((server) =>
        following(server).catch((error) => {
          throw new Error(`${error.message}\n${server.stderr}`, { cause: error });
        })
      ),
    );
    excused = pick(4) === 0;
    const first = spoil();
    const end = performance.now() + ROUND_MS;
    const busy = servers.flatMap((_, server) => [
      ...Array.from({ length: READERS }, () => readers(server, end)),
    ]);
    for (let writer = 0; writer < WRITERS; writer++) busy.push(writers(writer, end));
    let second = "";
    // What was cut comes back late, and what was late is cut.
    busy.push(pause(pick(ROUND_MS), never).then(() => void (second = spoil())));
    await Promise.all(busy);
    for (const proxy of proxies) proxy.heal();
    const { reads, writes } = report;
    tell(`round ${round}: ${first}; then ${second}; ${reads} reads, ${writes} writes`);
  }
  await agree();
  await check();
  return report;

  /** Lets some lanes go wrong for a round; reads only in those rounds that are excused. */
  function spoil(): string {
    const faults: string[] = [];
    for (const [at, proxy] of proxies.entries()) {
      for (const lane of ["reads", "writes", "feed"] as const) {
        proxy.set(lane);
        if (pick(2) === 0) continue;
        const kinds: Fault[] = [1 + pick(300), 30];
        if (lane !== "reads" || excused) kinds.push("cut", "black hole");
        const fault = kinds[pick(kinds.length)];
        proxy.set(lane, fault);
        faults.push(`${lane} ${at + 1} ${fault}`);
      }
    }
    report.faults += faults.length;
    return faults.join(", ") || "no fault";
  }

  async function readers(server: number, end: number): Promise<void> {
    while (performance.now() < end) {
      await read(server, pick(KEYS));
      await pause(pick(3), never); // so that writers get their turn
    }
  }

  async function writers(writer: number, end: number): Promise<void> {
    while (performance.now() < end) {
      const key = WRITERS * pick(KEYS / WRITERS) + writer;
      const server = pick(servers.length);
      await write(server, key, "PUT");
      await read(server, key);
    }
  }

  async function read(server: number, key: number): Promise<string | undefined> {
    const from = performance.now();
    const before = excused;
    const response = await fetch(`${servers[server].url}/k${key}`, {
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    await response.body?.cancel();
    const to = performance.now();
    report.reads++;
    if (response.status === 503) return;
    const url = response.headers.get("location") ?? "";
    told.push({ server, key, url, from, to, kind: "read", excused: before || excused });
    return url;
  }

  async function write(server: number, key: number, method: "POST" | "PUT"): Promise<void> {
    const url = `https://example.com/${++version}`;
    const path = method === "POST" ? "" : `/k${key}`;
    const response = await fetch(`${servers[server].url}/api/links${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(method === "POST" ? { url, key: `k${key}` } : { url }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    const to = performance.now();
    report.writes++;
    if (response.ok) told.push({ server, key, url, from: to, to, kind: "write", excused });
    else if (response.status === 503) report.unknown++;
    else throw new Error(`${method} ${key}: ${response.status} ${text}`);
  }

  /** Waits until all servers show the same for every key. */
  async function agree(): Promise<void> {
    excused = true;
    for (const key of Array(KEYS).keys()) {
      const latest = await read(0, key);
      for (const server of servers.keys()) {
        const agrees = async () => {
          const url = await read(server, key);
          if (url !== latest) throw new Error(`it shows ${url}, the master ${latest}`);
        };
        await eventually(agrees).catch((error) => {
          report.broken.push(`${names[server]} does not come to show k${key}: ${error.message}`);
          tell(servers[server].stderr);
        });
      }
    }
  }

  /** Looks through all that was told, in the order of the journal. */
  async function check(): Promise<void> {
    const order = new Map<string, number>([["", -1]]);
    const feed = await (await fetch(`${master.url}/rpc/log`)).body!
      .pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!/\n\n$/.test(text)) text += (await feed.read()).value ?? "";
    await feed.cancel();
    for (const [at, line] of text.trim().split("\n").entries()) {
      order.set(JSON.parse(line).URL, at);
    }
    const ends = told.toSorted((a, b) => a.to - b.to);
    const starts = told.toSorted((a, b) => a.from - b.from);
    const best = new Map<string, Told>(); // what was told last, of what was told before `starts[i]`
    let next = 0;
    for (const one of starts) {
      for (; ends[next].to < one.from; next++) {
        const { server, key, url } = ends[next];
        const before = best.get(`${server} ${key}`);
        if (!before || order.get(before.url)! < order.get(url)!) {
          best.set(`${server} ${key}`, ends[next]);
        }
      }
      const before = best.get(`${one.server} ${one.key}`);
      if (one.kind === "write" || one.excused || !before) continue;
      if (order.get(one.url)! >= order.get(before.url)!) continue;
      report.broken.push(
        `${names[one.server]}, k${one.key}: ${one.url || "none"} was read ${
          Math.round(one.from - before.to)
        } ms after a ${before.kind} of ${before.url}`,
      );
    }
  }
}

if (import.meta.main) {
  const values = takeArgs("torture", {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: `${random().seed}` },
  });
  console.log(`${values.rounds} rounds with seed ${values.seed}`);
  const { broken, ...report } = await torture(
    Number(values.rounds),
    Number(values.seed),
    (text) => console.log(text),
  );
  console.log(report);
  for (const line of broken) console.error(`broken: ${line}`);
  Deno.exitCode = broken.length > 0 ? 1 : 0;
}
