/**
 * Measures masters on a database beside one on a file, in one run: new links, redirects from the cache and
 * from the database, memory, how soon a change is seen at another master, import and export.
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
async function timed(flags: string[], output?: string): Promise<number> {
  const [, ...task] = config.tasks.start.command.replaceAll("'", "").split(" ");
  const main = `${import.meta.dirname}/../main.ts`;
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...task.slice(0, -1), main, ...flags],
    env,
    stdin: "null",
    stdout: output === undefined ? "null" : "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  if (output !== undefined) {
    using file = await Deno.open(output, { write: true, create: true, truncate: true });
    await child.stdout.pipeTo(file.writable, { preventClose: true });
  }
  const { success } = await child.status;
  if (!success) throw new Error(`goto ${flags.join(" ")}: ${await errors}`);
  await errors;
  return (performance.now() - began) / 1000;
}

/** Runs wrk with a Lua script, and gives the requests a second; those that fail end the run. */
async function wrk(url: string, connections: number, script: string): Promise<number> {
  const path = `${dir.path}/script.lua`;
  await Deno.writeTextFile(path, script);
  const { stdout } = await new Deno.Command("wrk", {
    args: ["-t1", `-c${connections}`, `-d${seconds}`, "-s", path, url],
  }).output();
  const text = new TextDecoder().decode(stdout);
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  if (failed !== "0") throw new Error(`${url}: ${failed} failed`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

const POST = `wrk.method = "POST"
wrk.body = "url=https://example.com/some/path"
wrk.headers["content-type"] = "application/x-www-form-urlencoded"`;
const some = (from: number, keys: number) =>
  `math.randomseed(${from})
request = function() return wrk.format("GET", "/k" .. (${from} + math.random(0, ${keys - 1}))) end`;

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
  say(`${name}: import, s`, (await timed([`-import=${journal}`, ...flags])).toFixed(1));
  say(`${name}: export, s`, (await timed(["-export", ...flags], `${dir.path}/out`)).toFixed(1));
}

await using stack = new AsyncDisposableStack();
const masters: Record<string, Goto> = {};
for (const [name, flags] of Object.entries(places)) {
  masters[name] = stack.use(await start({ env }, ...flags, "-cache=2000000", "-rpc"));
}
const hot = Math.min(links, 10_000);
for (let round = 0; round < 3; round++) {
  for (const [name, { url }] of Object.entries(masters)) {
    if (round === 0) await wrk(url, 64, some(0, hot));
    say(`${name}: hot redirects/s, 64 connections`, count(await wrk(url, 64, some(0, hot))));
  }
}
for (const [name, flags] of Object.entries(places)) {
  if (name === "embedded") await masters.embedded.stop(); // it belongs to one process
  if (name === "file") continue;
  const cold = await start({ env }, ...flags, "-cache=0");
  say(`${name}: cold redirects/s, 64 connections`, count(await wrk(cold.url, 64, some(0, links))));
  await cold[Symbol.asyncDispose]();
  if (name === "embedded") await masters.embedded.begin();
}
for (const connections of [64, 256]) {
  for (let round = 0; round < 3; round++) {
    for (const [name, { url }] of Object.entries(masters)) {
      const rate = await wrk(`${url}/add`, connections, POST);
      say(`${name}: new links/s, ${connections} connections`, count(rate));
    }
  }
}
for (const [name, master] of Object.entries(masters)) {
  say(`${name}: memory, MB`, count(await memory(master)));
}
if (service) {
  const other = stack.use(await start({ env }, ...places.denokv));
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
    "denokv: a change at the other, ms",
    `${times[100].toFixed(1)}, at worst ${times[199].toFixed(1)}`,
  );
}
const tenThousand = `${dir.path}/ten.jsonl`;
await Deno.writeTextFile(
  tenThousand,
  Array.from({ length: 10_000 }, (_, i) => `{"Key":"t${i}","URL":"https://example.com/${i}"}\n`)
    .join(""),
);
for (const [name, { url }] of Object.entries(masters)) {
  const took = await timed([`-import=${tenThousand}`, `-master=${url}`]);
  say(`${name}: 10,000 links to a running master, s`, took.toFixed(2));
}
