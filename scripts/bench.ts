/**
 * The benchmark: redirects, new links, loading and starting, beside a bare server of the same
 * runtime and nginx. Contestants take turns over several rounds, so that whatever else the machine
 * does meets all of them, and a ratio is taken within a round. See docs/benchmark.md.
 *
 * @module
 */
import { parseArgs } from "node:util";
import config from "../deno.json" with { type: "json" };
import { formatLine } from "../journal/lines.ts";
import { type Goto, start, tempDir, within } from "../tests/processes.ts";
import { drawBars, type Group } from "./bench/svg.ts";

const HELP =
  `deno task bench [--quick] [--rounds=N] [--seconds=N] [--large] [--json=FILE] [--svg=FILE]

  --quick      a good minute, for a first look: 2 rounds
  --rounds=N   how often every contestant has its turn (9)
  --seconds=N  how long a turn takes (1)
  --large      also load 10 million links (needs 4 GB of memory)
  --json=FILE  write the figures
  --svg=FILE   draw them
`;

const SMALL = 1000;
const LARGE = 1_000_000;
const WALK = 100_000; // different requests, or as many as there are links; the same in every turn
const CONNECTIONS = 64;
const TICK_US = 10_000; // what /proc counts CPU time in: 1/100 s on every Linux

/** A figure taken several times. */
interface Figure {
  median: number;
  /** The middle half of what was measured lies between these. */
  low: number;
  high: number;
}

/** A server, and what it is asked. */
interface Contestant {
  name: string;
  links?: number;
  /** Whether it is this program. */
  ours: boolean;
  url: string;
  /** Processes whose CPU time counts. */
  pids: number[];
  /** A file of requests. */
  requests: string;
  post: boolean;
  /** The name of the one that it is compared with. */
  ceiling: string;
}

/** What one turn gave. */
interface Turn {
  rate: number;
  cpu?: number; // microseconds a request
  p99: number; // milliseconds
}

interface Row {
  name: string;
  links?: number;
  post: boolean;
  ours: boolean;
  ceiling: string;
  rate: Figure;
  rateRatio: Figure;
  cpu?: Figure;
  cpuRatio?: Figure;
  p99: Figure;
}

interface Load {
  links: number;
  seconds: Figure;
  megabytes: Figure;
  bytesPerLink: Figure;
}

interface Start {
  name: string;
  milliseconds: Figure;
}

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string", default: "1" },
    large: { type: "boolean", default: false },
    json: { type: "string" },
    svg: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const rounds = count("rounds", options.rounds ?? (options.quick ? "2" : "9"));
const seconds = count("seconds", options.seconds);
const warmup = options.quick ? 2 : 5; // seconds
const repeats = options.quick ? 2 : 5; // of loads and starts

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // What was started is stopped on the way out.
  Deno.addSignalListener(signal, () => interrupted.abort(new Error("interrupted")));
}

async function bench(): Promise<void> {
  using temp = tempDir();
  const machine = await describe(temp.path);
  progress(`${machine.cpu}; ${rounds} rounds of ${seconds} s`);
  for (
    const links of options.large
      ? [SMALL, 10_000, 100_000, LARGE, 10 * LARGE]
      : [SMALL, 10_000, 100_000, LARGE]
  ) {
    writeLinks(file(temp.path, links), links);
  }
  const nginx = await findNginx();
  if (nginx === undefined) progress("nginx is not installed: going on without it");

  const starts = await measureStarts(temp.path, nginx);
  const loads = await measureLoads(temp.path);
  const rows = await measureRates(temp.path, nginx);

  const result = { date: new Date().toISOString().slice(0, 10), machine, rounds, seconds };
  console.log(report(result, rows, loads, starts));
  const figures = { ...result, rows, loads, starts };
  if (options.json !== undefined) {
    await Deno.writeTextFile(options.json, JSON.stringify(figures, null, 2) + "\n");
  }
  if (options.svg !== undefined) {
    const note =
      `${result.date}, ${machine.cpu}, ${machine.cores} cores, Deno ${machine.deno}; wrk on one of them`;
    await Deno.writeTextFile(options.svg, drawBars("Requests a second", bars(rows), note));
  }
}

/** Lets all take turns and sums up. */
async function measureRates(temp: string, nginx: string | undefined): Promise<Row[]> {
  await using servers = new AsyncDisposableStack();
  const contestants = await startContestants(temp, nginx, servers);
  for (const contestant of contestants) await check(contestant);
  const turns = new Map<Contestant, Turn[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round <= rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      // Each round begins with another one: nobody is always behind the same other.
      const contestant = contestants[(i + round) % contestants.length];
      const name = [contestant.name, contestant.links?.toLocaleString("en-US")].filter(Boolean);
      progress(`${round === 0 ? "warming up" : `round ${round} of ${rounds}`}: ${name.join(", ")}`);
      // V8 goes on compiling for some seconds, and what it takes for that counts as the server's.
      const turn = await drive(contestant, round === 0 ? warmup : seconds);
      if (round > 0) turns.get(contestant)?.push(turn);
    }
  }
  return contestants.map((contestant) => {
    const { name, links, post, ours, ceiling } = contestant;
    const own = turns.get(contestant)!;
    const best = turns.get(contestants.find(({ name }) => name === ceiling)!)!;
    const cpu = own.map(({ cpu }) => cpu).filter((cpu) => cpu !== undefined);
    return {
      name,
      links,
      post,
      ours,
      ceiling,
      rate: figure(own.map(({ rate }) => rate)),
      rateRatio: figure(own.map(({ rate }, i) => rate / best[i].rate)),
      cpu: cpu.length > 0 ? figure(cpu) : undefined,
      cpuRatio: cpu.length > 0 ? figure(cpu.map((cpu, i) => cpu / best[i].cpu!)) : undefined,
      p99: figure(own.map(({ p99 }) => p99)),
    };
  });
}

async function startContestants(
  temp: string,
  nginx: string | undefined,
  servers: AsyncDisposableStack,
): Promise<Contestant[]> {
  const goto = async (...flags: string[]) => servers.use(await start(...flags));
  const other = async (command: string[], port: number) =>
    servers.use(await Other.start(command, port));
  const contestants: Contestant[] = [];
  const posts = `${temp}/posts`;
  await Deno.writeTextFile(
    posts,
    Array.from({ length: 1000 }, (_, i) => `url=https%3A%2F%2Fexample.com%2Fnew%2F${i}`).join("\n"),
  );
  const BARE = "bare Deno.serve";
  const BARE_POST = "bare Deno.serve, reads the body";
  const add = (
    name: string,
    { url, pid }: { url: string; pid: number },
    requests: number | string,
    rest: Partial<Contestant> = {},
  ) =>
    contestants.push({
      name,
      links: typeof requests === "number" ? requests : undefined,
      ours: true,
      url,
      pids: [pid],
      requests: typeof requests === "number" ? `${file(temp, requests)}.paths` : requests,
      post: typeof requests !== "number",
      ceiling: typeof requests === "number" ? BARE : BARE_POST,
      ...rest,
    });
  const bare = async (name: string, kind: string, requests: number | string) => {
    const port = freePort();
    const server = await other(ceilingCommand(port, kind), port);
    add(name, server, requests, { ours: false, links: undefined });
  };

  progress("starting all");
  await bare(BARE, "redirect", LARGE);
  await bare(`${BARE}, blind`, "blind", LARGE);
  for (const links of [SMALL, LARGE]) {
    const master = await goto("-rpc", `-file=${file(temp, links)}`);
    add("master", master, links);
    const hot = await goto(`-master=${master.url}`);
    add("replica, hot", hot, links);
    const cold = await goto(`-master=${master.url}`, "-cache=0");
    add("replica, cold (with its master)", cold, links, { pids: [cold.pid, master.pid] });
    if (links === SMALL && navigator.hardwareConcurrency > 1) {
      await Deno.copyFile(file(temp, links), file(temp, `${links}-threads`));
      const threads = await goto("-threads=2", `-file=${file(temp, `${links}-threads`)}`);
      add("master, -threads=2", threads, links);
      add("replica, hot, -threads=2", await goto("-threads=2", `-master=${master.url}`), links);
    }
    if (nginx !== undefined) {
      const port = freePort();
      const server = await other(await nginxCommand(nginx, temp, links, port), port);
      add("nginx, map", server, links, { ours: false });
    }
  }
  await bare(BARE_POST, "post", posts);
  add("new links, durable", await goto(`-file=${temp}/durable.jsonl`), posts);
  add("new links, -sync=none", await goto("-sync=none", `-file=${temp}/unsynced.jsonl`), posts);
  for (const contestant of contestants) {
    if (contestant.name.startsWith("replica, hot")) await warm(contestant);
  }
  return contestants;
}

/** Lets a replica's cache take in all that it will be asked for. */
async function warm(replica: Contestant): Promise<void> {
  // Several times, since every thread has a cache of its own.
  const enough = (replica.name.includes("threads") ? 4 : 1) * WALK;
  for (let sent = 0, tries = 0; sent < enough && tries < 30; tries++) {
    sent += (await wrk(replica, 1)).requests;
  }
}

/** Whether a contestant gives the answers that it is going to be measured by. */
async function check({ name, url, requests, post, ours, links }: Contestant): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  if (post) {
    const body = new URLSearchParams({ url: "https://example.com/" });
    const response = await fetch(`${url}/add`, { method: "POST", body, signal });
    if (!/^http.*\/\w+$/.test((await response.text()).trimEnd())) {
      throw new Error(`${name} makes no links`);
    }
    return;
  }
  const paths = (await Deno.readTextFile(requests)).split("\n");
  for (let i = 0; i < 100; i++) {
    const path = paths[Math.floor(i * (paths.length - 1) / 100)];
    const response = await fetch(url + path, { redirect: "manual", signal });
    await response.body?.cancel();
    const location = response.headers.get("location");
    const expected = ours || links !== undefined ? linkOf(path.slice(1)) : location;
    if (response.status !== 302 || location !== expected) {
      throw new Error(`${name} answers ${path} with ${response.status} ${location}`);
    }
  }
}

/** One turn. */
async function drive(contestant: Contestant, duration: number): Promise<Turn> {
  const before = await cpuTicks(contestant.pids);
  const { requests, seconds, p99, refused, lost } = await wrk(contestant, duration);
  const after = await cpuTicks(contestant.pids);
  if (refused + lost > 0) {
    throw new Error(`${contestant.name}: ${refused} requests were refused, ${lost} lost`);
  }
  const cpu = before === undefined || after === undefined
    ? undefined
    : (after - before) * TICK_US / requests;
  return { rate: requests / seconds, cpu, p99 };
}

async function wrk({ url, requests, post }: Contestant, duration: number) {
  const script = `${import.meta.dirname}/bench/wrk.lua`;
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${duration}s`, "-s", script, url, "--", requests];
  const text = await run("wrk", post ? [...args, "POST"] : args, duration + 30);
  return JSON.parse(text.trim().slice(text.trim().lastIndexOf("\n") + 1)) as {
    requests: number;
    seconds: number;
    p99: number;
    refused: number;
    lost: number;
  };
}

/** From exec to the first redirect. */
async function measureStarts(temp: string, nginx: string | undefined): Promise<Start[]> {
  const path = `/${keyOf(0)}`;
  const ports = { bare: freePort(), nginx: freePort() };
  const starts: [string, () => Promise<AsyncDisposable & { url: string }>][] = [
    ["master, 1,000 links", () => start(`-file=${file(temp, SMALL)}`)],
    ["bare Deno.serve", () => Other.start(ceilingCommand(ports.bare, "redirect"), ports.bare)],
  ];
  if (nginx !== undefined) {
    const command = await nginxCommand(nginx, temp, SMALL, ports.nginx);
    starts.push(["nginx, 1,000 links", () => Other.start(command, ports.nginx)]);
  }
  const times = starts.map((): number[] => []);
  for (let i = 0; i < repeats; i++) {
    for (const [at, [name, start]] of starts.entries()) {
      progress(`start ${i + 1} of ${repeats}: ${name}`);
      const before = performance.now();
      await using server = await start();
      const response = await fetch(server.url + path, {
        redirect: "manual",
        signal: AbortSignal.timeout(10_000),
      });
      await response.body?.cancel();
      if (response.status !== 302) throw new Error(`${name} answers ${response.status}`);
      times[at].push(performance.now() - before);
    }
  }
  return starts.map(([name], i) => ({ name, milliseconds: figure(times[i]) }));
}

/** Loads files of several sizes; what an empty one takes is not counted. */
async function measureLoads(temp: string): Promise<Load[]> {
  const sizes = [10_000, 100_000, LARGE, ...(options.large ? [10 * LARGE] : [])];
  const times = sizes.map((): number[] => []);
  const memory = sizes.map((): number[] => []);
  for (let i = 0; i < repeats; i++) {
    const load = async (links: number) => {
      progress(`load ${i + 1} of ${repeats}: ${links.toLocaleString("en-US")} links`);
      const before = performance.now();
      await using master = await start(
        { cwd: temp, startsWithin: 300_000 },
        `-file=${links ? file(temp, links) : "empty.jsonl"}`,
      );
      const seconds = (performance.now() - before) / 1000;
      if (master.links !== links) throw new Error(`loaded ${master.links} links of ${links}`);
      return { seconds, megabytes: await residentMegabytes(master) };
    };
    const empty = await load(0);
    for (const [at, links] of sizes.entries()) {
      const { seconds, megabytes } = await load(links);
      times[at].push(seconds - empty.seconds);
      memory[at].push(megabytes - empty.megabytes);
    }
  }
  return sizes.map((links, i) => ({
    links,
    seconds: figure(times[i]),
    megabytes: figure(memory[i]),
    bytesPerLink: figure(memory[i].map((megabytes) => megabytes * 2 ** 20 / links)),
  }));
}

/** A server that is not this program. Disposing of it ends it. */
class Other implements AsyncDisposable {
  private constructor(
    readonly url: string,
    readonly pid: number,
    private readonly child: Deno.ChildProcess,
  ) {}

  /** Starts it and waits until it redirects, or takes a new link. */
  static async start([command, ...args]: string[], port: number): Promise<Other> {
    const stdio = { stdin: "null", stdout: "null", stderr: "null" } as const;
    const child = new Deno.Command(command, { args, ...stdio }).spawn();
    const other = new Other(`http://127.0.0.1:${port}`, child.pid, child);
    let ended = false;
    child.status.then(() => ended = true);
    const end = performance.now() + 60_000; // nginx needs a while for a million links
    for (;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return other;
      } catch {
        if (ended) throw new Error(`${command} ended before it served`);
        if (performance.now() > end) {
          await other[Symbol.asyncDispose]();
          throw new Error(`${command} does not listen`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGTERM");
    } catch {
      // It is gone.
    }
    await within(10_000, "the end of a server", this.child.status);
  }
}

function ceilingCommand(port: number, kind: string): string[] {
  const script = `${import.meta.dirname}/bench/ceiling.ts`;
  return [Deno.execPath(), "run", "--no-prompt", "--allow-net", script, String(port), kind];
}

/** One process without logs, which is all of nginx that a redirect needs. */
async function nginxCommand(nginx: string, temp: string, links: number, port: number) {
  const conf = `${file(temp, links)}.${port}.conf`;
  await Deno.writeTextFile(
    conf,
    `daemon off; master_process off; pid ${conf}.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${temp}/body; proxy_temp_path ${temp}/proxy;
  fastcgi_temp_path ${temp}/fastcgi; uwsgi_temp_path ${temp}/uwsgi; scgi_temp_path ${temp}/scgi;
  map_hash_max_size ${Math.max(4 * links, 10_000)};
  map_hash_bucket_size 256;
  map $uri $target { include ${file(temp, links)}.map; }
  server {
    listen 127.0.0.1:${port};
    location / {
      if ($target = "") { return 404; }
      return 302 $target;
    }
  }
}
`,
  );
  return [nginx, "-c", conf, "-e", "stderr"];
}

/** Debian keeps it where only root's PATH leads. */
async function findNginx(): Promise<string | undefined> {
  for (const name of ["nginx", "/usr/sbin/nginx"]) if (await has(name, "-v")) return name;
}

async function has(command: string, flag: string): Promise<boolean> {
  try {
    await new Deno.Command(command, { args: [flag], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

/** Runs a command, for so many seconds at most, and gives what it printed. */
async function run(command: string, args: string[], seconds: number): Promise<string> {
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(1000 * seconds)]);
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    signal,
    stdin: "null",
  }).output();
  interrupted.signal.throwIfAborted();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command} failed: ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

/**
 * The CPU time of processes; nothing where there is no /proc. Deno keeps /proc from programs
 * without all permissions, so `cat` reads it.
 */
async function cpuTicks(pids: number[]): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return;
  let ticks = 0;
  for (
    const stat of (await run("cat", pids.map((pid) => `/proc/${pid}/stat`), 10)).trim().split("\n")
  ) {
    // The name, in parentheses, may hold spaces. After it, utime and stime are the 12th and 13th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks;
}

async function residentMegabytes({ pid }: Goto): Promise<number> {
  if (Deno.build.os !== "linux") return NaN;
  const status = await run("cat", [`/proc/${pid}/status`], 10);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function describe(temp: string) {
  const linux = Deno.build.os === "linux";
  const info = linux ? await run("cat", ["/proc/cpuinfo"], 10) : "";
  const memory = linux ? await run("cat", ["/proc/meminfo"], 10) : "";
  return {
    cpu: /model name\s*:\s*(.*)/.exec(info)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    gigabytes: Math.round(Number(/MemTotal:\s*(\d+)/.exec(memory)?.[1]) / 2 ** 20),
    os: Deno.build.os,
    deno: Deno.version.deno,
    goto: config.version,
    folder: temp.replace(/[^/]*$/, ""), // whose disk the durable links are on
  };
}

/** Writes the journal, the paths to ask for, and nginx's map. */
function writeLinks(path: string, links: number): void {
  progress(`writing ${links.toLocaleString("en-US")} links`);
  write(path, links, (i) => formatLine({ key: keyOf(i), url: linkOf(keyOf(i)) }));
  if (links !== SMALL && links !== LARGE) return;
  // 7,919,777 is prime: the walk jumps about, and comes to every link before one comes again.
  const walk = (i: number) => `/${keyOf((i * 7_919_777) % links)}\n`;
  write(`${path}.paths`, WALK, walk);
  write(`${path}.map`, links, (i) => `"/${keyOf(i)}" "${linkOf(keyOf(i))}";\n`);
}

function write(path: string, count: number, line: (i: number) => string): void {
  using output = Deno.openSync(path, { write: true, createNew: true });
  const encoder = new TextEncoder();
  let text = "";
  for (let i = 0; i < count; i++) {
    text += line(i);
    if (text.length < 1 << 20 && i < count - 1) continue;
    for (let bytes = encoder.encode(text); bytes.length > 0;) {
      bytes = bytes.subarray(output.writeSync(bytes));
    }
    text = "";
  }
}

function file(temp: string, links: number | string): string {
  return `${temp}/${links}.jsonl`;
}

/** Of lower case only, since nginx's map ignores case; the "k" keeps it from being a route's name. */
function keyOf(n: number): string {
  return `k${n.toString(36)}`;
}

function linkOf(key: string): string {
  return `https://example.com/some/path/page?id=${key}`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function figure(values: number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => {
    const place = part * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return below + (above - below) * (place - Math.floor(place));
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75) };
}

/** All figures as tables in Markdown. */
function report(
  { date, machine, rounds, seconds }: {
    date: string;
    machine: Awaited<ReturnType<typeof describe>>;
    rounds: number;
    seconds: number;
  },
  rows: Row[],
  loads: Load[],
  starts: Start[],
): string {
  const rate = table(
    ["", "links", "requests/s", "of bare", "CPU µs/request", "of bare", "p99 ms"],
    rows.map(({ name, links, rate, rateRatio, cpu, cpuRatio, p99 }) => [
      name,
      links?.toLocaleString("en-US") ?? "",
      spread(rate, 0),
      spread(rateRatio, 2),
      spread(cpu, 1),
      spread(cpuRatio, 2),
      spread(p99, 1),
    ]),
  );
  const load = table(
    ["loading", "seconds", "memory MB", "bytes/link"],
    loads.map(({ links, seconds, megabytes, bytesPerLink }) => [
      `${links.toLocaleString("en-US")} links`,
      spread(seconds, 3),
      spread(megabytes, 0),
      spread(bytesPerLink, 0),
    ]),
  );
  const start = table(
    ["starting, to the first redirect", "ms"],
    starts.map(({ name, milliseconds }) => [name, spread(milliseconds, 0)]),
  );
  return `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.gigabytes} GB, ${machine.os}, Deno ${machine.deno}; ${rounds} rounds of ${seconds} s, ${CONNECTIONS} connections: median (middle half)

${rate}
${load}
${start}`;
}

function spread(figure: Figure | undefined, digits: number): string {
  if (figure === undefined || Number.isNaN(figure.median)) return "";
  const text = (value: number) =>
    value.toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  return `${text(figure.median)} (${text(figure.low)}–${text(figure.high)})`;
}

/** The first column to the left, all others to the right. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, 4, ...rows.map((row) => row[i].length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) => i ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join(" | ")
    } |`;
  const rule = widths.map((width, i) => i ? `${"-".repeat(width - 1)}:` : "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n") + "\n";
}

function bars(rows: Row[]): Group[] {
  const group = (title: string, chosen: Row[]): Group => ({
    title,
    ceiling: rows.find(({ name }) => name === chosen[0].ceiling)?.rate.median,
    bars: chosen.map(({ name, ours, rate, rateRatio }) => ({
      label: name,
      value: rate.median,
      text: `${Math.round(rate.median / 1000)}k  (${rateRatio.median.toFixed(2)})`,
      ours,
    })),
  });
  return [
    ...[SMALL, LARGE].map((links) =>
      group(
        `Redirects, ${links.toLocaleString("en-US")} links`,
        rows.filter(({ post, links: own, name }) =>
          !post && (own === links || own === undefined) && !name.endsWith("blind")
        ),
      )
    ),
    group("New links", rows.filter(({ post }) => post)),
  ];
}

function count(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  console.error(`bench: --${name}: ${JSON.stringify(text)} is not allowed: use 1 to 9999`);
  Deno.exit(2);
}

/** Shows what goes on: over itself on a terminal, line by line elsewhere. */
function progress(text: string): void {
  interrupted.signal.throwIfAborted();
  const terminal = Deno.stderr.isTerminal();
  Deno.stderr.writeSync(new TextEncoder().encode(terminal ? `\r\x1b[K${text}` : `${text}\n`));
}

if (options.help) {
  console.log(HELP);
} else if (!await has("wrk", "-v")) {
  console.error("bench: wrk is missing: apt install wrk, brew install wrk, or from its source");
  Deno.exitCode = 1;
} else {
  try {
    await bench();
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
}
