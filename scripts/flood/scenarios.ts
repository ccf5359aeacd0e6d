/**
 * The floods: what clients do, and what is said of it.
 *
 * @module
 */
import { add, type Goto, within } from "../../tests/processes.ts";
import { Client, clients, JSON_TYPE, post } from "../../tests/sockets.ts";

const LONG_URL = `https://example.com/${"x".repeat(8000)}`;

/** Begins a flood, and gives what there is to say of it, and what ends it. */
export type Flood = (
  server: Goto,
  scale: (count: number) => number,
) => Promise<{ note: () => string | Promise<string> } & Disposable>;

/** One of them, and the server that it needs. */
export interface Scenario {
  name: string;
  flags?: string[];
  /** How the server is started. */
  through?: string[];
  /** What is in the server's file. */
  journal?: (scale: (count: number) => number) => string;
  flood: Flood;
}

/** The clients of a flood, and what is said of them. */
function flooding(all: Disposable, note: () => string | Promise<string> = () => "") {
  return { note, [Symbol.dispose]: () => all[Symbol.dispose]() };
}

/** Opens connections; those that are refused don't count. */
async function open(base: string, count: number): Promise<Client[] & Disposable> {
  const opened = await Promise.allSettled(Array.from({ length: count }, () => Client.open(base)));
  const all = opened.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  return Object.assign(all, {
    [Symbol.dispose]: () => all.forEach((one) => one[Symbol.dispose]()),
  });
}

/** A request with a batch of calls. */
function batch(count: number, method: string, ...params: string[]): string {
  const call = JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 });
  const body = `[${Array(count).fill(call)}]`;
  return post("/rpc", JSON_TYPE, body.length, body);
}

/** Reads nothing but the status of each answer, and counts them. */
async function statuses(all: Client[], ms: number): Promise<string> {
  const counts = new Map<number | string, number>();
  await Promise.all(all.map(async (client) => {
    const status = await client.status(ms).catch(() => "none");
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }));
  return Array.from(counts, ([status, count]) => `${count} x ${status || "none"}`).join(", ");
}

// Who bears no token may follow so many feeds, and no more.
const TOKEN = "the-token-of-replicas";
const HEAD = `HTTP/1.1\r\nhost: h\r\nauthorization: bearer ${TOKEN}\r\n\r\n`;
const FEED = `GET /rpc/log ${HEAD}`;
const TAIL = `GET /rpc/log?offset=end ${HEAD}`;

/** All of them, the first of which is none. */
export const SCENARIOS: Scenario[] = [
  {
    name: "nothing",
    flood: () => Promise.resolve(flooding({ [Symbol.dispose]: () => {} })),
  },
  {
    name: "5,000 idle connections",
    flood: async ({ url }, scale) => flooding(await clients(url, scale(5000))),
  },
  {
    name: "500 slow headers, 500 slow bodies",
    flags: ["-rpc"],
    flood: async ({ url }, scale) => {
      const all = await clients(url, scale(1000));
      const head = "GET / HTTP/1.1\r\nhost: h\r\nx: ";
      const body = post("/rpc", JSON_TYPE, 1_000_000, "[");
      await Promise.all(all.map((one, i) => one.send(i % 2 ? head : body)));
      const timer = setInterval(() => all.forEach((one) => one.send(" ")), 1000);
      return flooding({
        [Symbol.dispose]: () => {
          clearInterval(timer);
          all[Symbol.dispose]();
        },
      });
    },
  },
  {
    name: "descriptors used up (ulimit -n 128, 200 idle)",
    through: ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh"],
    flood: async (server) => {
      const all = await open(server.url, 200);
      return flooding(all, () => server.exited ? "it ended" : "");
    },
  },
  {
    name: "batch: 120 x 10,000 Store.Get of 8 KB, unread",
    flags: ["-rpc"],
    flood: async (server, scale) => {
      const key = await add(server.url, LONG_URL);
      const all = await clients(server.url, scale(120));
      const request = batch(10_000, "Store.Get", key);
      await Promise.all(all.map((one) => one.send(request)));
      return flooding(all, () => server.exited ? "it ended" : "");
    },
  },
  {
    name: "body: 500 x 900 KB, unfinished",
    flags: ["-rpc"],
    flood: async ({ url }, scale) => {
      const all = await clients(url, scale(500));
      const request = post("/rpc", JSON_TYPE, 1_000_000, " ".repeat(900_000));
      await Promise.all(
        all.map((one) => within(20_000, "a body", one.send(request)).catch(() => {})),
      );
      return flooding(all);
    },
  },
  {
    name: "followers: 1,000 that never read 200 MB",
    flags: ["-rpc", `-rpc-token=${TOKEN}`],
    journal: (scale) =>
      Array.from(
        { length: scale(1_000_000) },
        (_, i) => `{"Key":"k${i}","URL":"${LONG_URL.slice(0, 180)}"}\n`,
      ).join(""),
    flood: async ({ url }, scale) => {
      const all = await clients(url, scale(1000));
      await Promise.all(all.map((one) => one.send(FEED)));
      return flooding(all);
    },
  },
  {
    name: "followers: 2,000 idle",
    flags: ["-rpc", `-rpc-token=${TOKEN}`],
    flood: async ({ url }, scale) => {
      await add(url, "https://example.com/");
      const all = await clients(url, scale(2000));
      await Promise.all(all.map(async (one) => {
        await one.send(TAIL);
        await one.status();
      }));
      return flooding(all, async () => `a write takes ${await timeWrites(url)}`);
    },
  },
  {
    name: "changes: 30 x 10,000 Store.Update of one key",
    flags: ["-rpc"],
    flood: async ({ url }, scale) => {
      const key = await add(url, "https://example.com/");
      const all = await clients(url, scale(30));
      const began = performance.now();
      const request = batch(10_000, "Store.Update", key, "https://example.com/changed");
      const sent = all.map((one) => one.send(request));
      const answered = Promise.all(sent).then(() => statuses(all, 60_000)).then((text) =>
        `${text} after ${((performance.now() - began) / 1000).toFixed(1)} s`
      );
      return flooding(all, () => answered);
    },
  },
];

/** How long new links take, one after the other. */
async function timeWrites(base: string): Promise<string> {
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const began = performance.now();
    await add(base, `https://example.com/${i}`);
    times.push(performance.now() - began);
  }
  return `${at(times, 0.5)} ms (p99 ${at(times, 0.99)})`;
}

/** What so many of `times` are below, of those that there are. */
export function at(times: number[], part: number): number | undefined {
  const sorted = times.toSorted((a, b) => a - b);
  const time = sorted[Math.min(Math.floor(part * sorted.length), sorted.length - 1)];
  return time === undefined ? undefined : Math.round(100 * time) / 100;
}
