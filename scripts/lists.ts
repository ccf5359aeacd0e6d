/**
 * Lists and searches many links while they are followed, and tells how long each took, and how long the
 * longest redirect, with and without: in turns, so that what else the machine does meets both.
 *
 * @module
 */
import { writeJournal } from "./bench/links.ts";
import { Server } from "./bench/server.ts";
import { progress } from "./bench/tools.ts";
import { type Outcome, wrk } from "./bench/wrk.ts";
import { takeArgs } from "./args.ts";

const TURN_S = 2;
const CONNECTIONS = 16;

/** What is asked for, by what it means. */
const QUESTIONS: Record<string, string> = {
  "first page": "",
  "1,000 links": "limit=1000",
  "what every link holds": "q=example",
  "one link": "q=k7ps",
  "the oldest link": "q=id%3Dk0&limit=1000",
  "what no link holds": "q=nothing-of-the-kind",
};

const values = takeArgs("lists", {
  links: { type: "string", default: "1000000" },
  rounds: { type: "string", default: "10" },
  order: { type: "string", default: "newest" },
});
const [links, rounds] = [values.links, values.rounds].map(Number);
const { order } = values;
if (!(links > 0 && rounds > 0 && ["newest", "hits"].includes(order))) {
  console.error("lists: use --links=NUMBER, --rounds=NUMBER and --order=newest or hits");
  Deno.exit(2);
}

const main = `${import.meta.dirname}/../main.ts`;
const folder = await Deno.makeTempDir();
try {
  const file = writeJournal(folder, links);
  const goto = (port: number) => {
    const flags = [`-http=127.0.0.1:${port}`, `-file=${file}`];
    const binary = Deno.env.get("GOTO_BINARY");
    return binary ? [binary, ...flags] : [Deno.execPath(), "run", "-A", main, ...flags];
  };
  await using server = await Server.start(goto, "/k0");
  const cold = await ask(server, "");
  const times = new Map(Object.keys(QUESTIONS).map((name) => [name, [] as number[]]));
  const alone: Outcome[] = [];
  const beside: Outcome[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    const work = { kind: "random", links, connections: CONNECTIONS } as const;
    alone.push(await wrk(server, work, TURN_S, round));
    const turn = wrk(server, work, TURN_S, round);
    let over = false;
    turn.finally(() => over = true).catch(() => {});
    while (!over) {
      for (const [name, query] of Object.entries(QUESTIONS)) {
        const ms = await ask(server, query);
        if (!over) times.get(name)?.push(ms);
      }
    }
    beside.push(await turn);
  }
  console.log(
    `\n${links.toLocaleString("en-US")} links, by ${order}; the very first page: ${
      cold.toFixed(1)
    } ms`,
  );
  for (const [name, ms] of times) {
    console.log(
      `${name.padEnd(24)} median ${at(ms, 0.5)} ms, worst ${at(ms, 1)} ms of ${ms.length}`,
    );
  }
  for (const [name, turns] of [["alone", alone], ["beside lists", beside]] as const) {
    const of = (read: (outcome: Outcome) => number) => at(turns.map(read), 0.5);
    console.log(
      `redirects ${name.padEnd(14)} ${of((o) => o.requests / o.seconds)}/s, p50 ${
        of(({ p50 }) => p50)
      } ms, p99 ${of(({ p99 }) => p99)} ms, longest ${of(({ longest }) => longest)} ms (of all: ${
        at(turns.map(({ longest }) => longest), 1)
      })`,
    );
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Asks for a list, and gives the milliseconds that it took. */
async function ask({ url }: Server, query: string): Promise<number> {
  const begin = performance.now();
  const response = await fetch(`${url}/api/links?order=${order}&${query}`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`?${query}: ${response.status} ${text}`);
  return performance.now() - begin;
}

/** The value below which this part of all is. */
function at(all: number[], part: number): string {
  const sorted = [...all].sort((a, b) => a - b);
  return (sorted[Math.ceil(part * sorted.length) - 1] ?? NaN).toFixed(1);
}
