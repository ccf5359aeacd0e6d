/**
 * Measures masters on a database beside one on a file, in one run: how long they take to start, redirects, new links
 * of one and of two masters, how soon a change is seen at another one, and what a master gets that is far away.
 *
 *     deno run -A scripts/kv_bench.ts --links=1000000
 *
 * It needs wrk; and for the rows of the service, denokv, as the tests do.
 *
 * @module
 */
import { parseArgs } from "node:util";
import config from "../deno.json" with { type: "json" };
import { DENOKV, Denokv } from "../tests/denokv.ts";
import { add, eventually, type Goto, start, tempDir } from "../tests/processes.ts";
import { Proxy } from "../tests/proxy.ts";
import { change, memory, where } from "../tests/replicas.ts";

const { values } = parseArgs({
  options: {
    links: { type: "string", default: "1000000" },
    seconds: { type: "string", default: "3" },
  },
});
const links = Number(values.links);
const seconds = Number(values.seconds);
using dir = tempDir();
const journal = `${dir.path}/links.jsonl`;
await using service = DENOKV === undefined ? undefined : await Denokv.start();
const env = { GOTO_KV_TOKEN: "", ...service?.options.env };
if (!env.GOTO_KV_TOKEN) delete (env as Partial<typeof env>).GOTO_KV_TOKEN;

const count = (n: number) => Math.round(n).toLocaleString("en-US");
const say = (what: string, result: string) => console.log(`${what.padEnd(46)} ${result}`);

/** Runs the program to its end, and gives the seconds that it took. */
async function timed(flags: string[]): Promise<number> {
  const [, ...task] = config.tasks.start.command.replaceAll("'", "").split(" ");
  const main = `${import.meta.dirname}/../main.ts`;
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...task.slice(0, -1), main, ...flags],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const { success } = await child.status;
  if (!success) throw new Error(`goto ${flags.join(" ")}: ${await errors}`);
  await errors;
  return (performance.now() - began) / 1000;
}

/** What wrk measured. */
interface Rate {
  perSecond: number;
  /** The time in which 99 of 100 were answered, as wrk writes it. */
  p99: string;
}

/** Runs wrk with a Lua script; requests that fail end the run. */
async function wrk(url: string, connections: number, script: string): Promise<Rate> {
  const path = await Deno.makeTempFile({ dir: dir.path, suffix: ".lua" });
  await Deno.writeTextFile(path, script);
  const { stdout } = await new Deno.Command("wrk", {
    args: ["-t1", `-c${connections}`, `-d${seconds}`, "--latency", "-s", path, url],
  }).output();
  const text = new TextDecoder().decode(stdout);
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  if (failed !== "0") throw new Error(`${url}: ${failed} failed`);
  const number = (pattern: RegExp) => pattern.exec(text)?.[1] ?? "";
  return { perSecond: Number(number(/Requests\/sec:\s+([\d.]+)/)), p99: number(/99%\s+(\S+)/) };
}

const POST = `wrk.method = "POST"
wrk.body = "url=https://example.com/some/path"
wrk.headers["content-type"] = "application/x-www-form-urlencoded"`;
const RANDOM = `math.randomseed(7)
request = function() return wrk.format("GET", "/k" .. math.random(0, ${links - 1})) end`;

/** Measures the same of each master in turn, three times, and says how the others are beside the first. */
async function compare(
  what: string,
  masters: Record<string, string[]>,
  connections: number,
  script: string,
) {
  const all: Record<string, { sum: number; p99: string[] }[]> = {};
  for (let round = 0; round < 3; round++) {
    for (const [name, urls] of Object.entries(masters)) {
      const rates = await Promise.all(urls.map((url) => wrk(url, connections, script)));
      const sum = rates.reduce((sum, { perSecond }) => sum + perSecond, 0);
      (all[name] ??= []).push({ sum, p99: rates.map(({ p99 }) => p99) });
    }
  }
  const [first] = Object.keys(masters);
  for (const [name, rounds] of Object.entries(all)) {
    const ratios = rounds.map(({ sum }, i) => sum / all[first][i].sum).sort((a, b) => a - b);
    const sums = rounds.map(({ sum }) => sum).sort((a, b) => a - b);
    const p99 = rounds.map(({ p99 }) => p99.join(" and ")).join(", ");
    say(`${what}: ${name}`, `${count(sums[1])} (${ratios[1].toFixed(2)}), p99 ${p99}`);
  }
}

// The links, and the three places for them.
{
  using file = await Deno.open(journal, { write: true, create: true });
  const encoder = new TextEncoder();
  for (let at = 0; at < links; at += 10_000) {
    let text = "";
    for (let i = at; i < Math.min(links, at + 10_000); i++) {
      text += `{"Key":"k${i}","URL":"https://example.com/some/path/${i}"}\n`;
    }
    await file.write(encoder.encode(text));
  }
}
const places: Record<string, string[]> = {
  file: [`-file=${dir.path}/store.jsonl`],
  embedded: [`-kv=${dir.path}/links.db`],
  ...(service ? { denokv: [`-kv=${service.url}`] } : {}),
};
console.log(`${count(links)} links, ${seconds} s a figure, load ${Deno.loadavg()[0].toFixed(1)}`);
for (const [name, flags] of Object.entries(places)) {
  say(`import, s: ${name}`, (await timed([`-import=${journal}`, ...flags])).toFixed(1));
  await timed(["-compact", ...flags]);
}

const masters: Record<string, Goto> = {};
await using stack = new AsyncDisposableStack();
for (const [name, flags] of Object.entries(places)) {
  masters[name] = stack.use(await start({ env, startsWithin: 120_000 }, ...flags, "-rpc"));
}
for (let round = 0; round < 3; round++) {
  for (const [name, master] of Object.entries(masters)) {
    await master.stop();
    const began = performance.now();
    await master.begin();
    say(`start, s: ${name}`, ((performance.now() - began) / 1000).toFixed(2));
  }
}
const urls = Object.fromEntries(Object.entries(masters).map(([name, { url }]) => [name, [url]]));
await compare("redirects at random, 64 connections", urls, 64, RANDOM);
for (const [name, master] of Object.entries(masters)) {
  say(`memory, MB: ${name}`, count(await memory(master)));
}
const adds = Object.fromEntries(
  Object.entries(urls).map(([name, [url]]) => [name, [`${url}/add`]]),
);
await compare("new links/s, 256 connections", adds, 256, POST);
if (service) {
  const other = stack.use(await start({ env, startsWithin: 120_000 }, ...places.denokv));
  const both = [...adds.denokv, `${other.url}/add`];
  await compare("new links/s, two masters", { file: adds.file, denokv: both }, 256, POST);

  await add(other.url, "https://example.com/0", "watched");
  const times: number[] = [];
  for (let i = 1; i <= 200; i++) {
    const target = `https://example.com/${i}`;
    await change(masters.denokv.url, "watched", target);
    const began = performance.now();
    await eventually(async () => await where(other.url, "watched") === target);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  say(
    "a change seen at the other, ms: denokv",
    `${times[100].toFixed(1)}, at worst ${times[199].toFixed(1)}`,
  );

  // One that is 30 ms away, beside one that is near, both as busy as can be.
  await using link = new Proxy(service.url);
  link.delay = 15; // each way
  const far = stack.use(await start({ env, startsWithin: 120_000 }, `-kv=${link.url}`));
  const commits = async ({ url }: Goto) =>
    Number(/goto_sync_seconds_count (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
  const before = await Promise.all([other, far].map(commits));
  await Promise.all([other, far].map(({ url }) => wrk(`${url}/add`, 256, POST)));
  const after = await Promise.all([other, far].map(commits));
  const [near, away] = after.map((count, i) => count - before[i]);
  say("commits of one 30 ms away: denokv", `${away} of ${near + away}`);
}
