/**
 * Shows a master and three replicas at work, as the demo of the Go program does: four processes on
 * free ports, which end with it.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { takeArgs } from "./args.ts";

takeArgs("demo", {});

const LIMIT_MS = 10_000; // for whatever is waited for

/** One of the processes. */
interface Goto {
  name: string;
  url: string;
  stop(): Promise<unknown>;
}

const dir = await Deno.makeTempDir({ prefix: "goto_demo_" });
const running = new Set<Goto>();
let cleaning: Promise<void> | undefined;
Deno.addSignalListener("SIGINT", async () => {
  await cleanUp();
  Deno.exit(130);
});
try {
  await demo();
} catch (error) {
  if (!cleaning) throw error; // or else a Ctrl-C, which ends the processes too
} finally {
  await cleanUp();
}

async function demo() {
  say("A master and three replicas start:");
  const master = await start("master", "-rpc", "-http=127.0.0.1:0");
  const replicas = await Promise.all(
    [1, 2, 3].map((n) => start(`replica ${n}`, `-master=${master.url}`, "-http=127.0.0.1:0")),
  );
  const [one, two, three] = replicas;
  for (const { name, url } of [master, ...replicas]) show(name, url);

  say("Links are added through the replicas; the master makes the keys, or takes a chosen one:");
  const go = await add(one, "https://go.dev/");
  const deno = await add(two, "https://deno.com/");
  await add(three, "https://example.com/", "docs");

  say("Whoever is asked redirects:");
  await follow(two, go);
  await follow(three, deno);
  await follow(one, "docs");
  await follow(master, "docs");

  say("A link is changed through one replica; all see it:");
  for (const replica of replicas) await until(() => caches(replica, "docs"));
  const url = "https://example.org/";
  const { status } = await request(two, "api/links/docs", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url }),
  });
  show(two.name, `PUT /api/links/docs url=${url}`, `${status}`);
  for (const replica of replicas) {
    await until(async () => await ask(replica, "docs") === `302 ${url}`);
    await follow(replica, "docs");
  }

  say("The master stops. What a replica knows, it answers; the rest must wait:");
  await master.stop();
  for (const replica of replicas) await follow(replica, "docs");
  await add(one, "https://go.dev/blog/");

  say("The master is back, and so are its replicas, by themselves:");
  await start("master", "-rpc", `-http=${new URL(master.url).host}`);
  for (const replica of replicas) {
    await until(async () => (await health(replica)).writable);
  }
  await follow(three, await add(one, "https://go.dev/blog/"));
}

/** Starts a process and waits until it serves. */
async function start(name: string, ...flags: string[]): Promise<Goto> {
  // As `deno task start` does: "deno run --allow-... main.ts".
  const [, ...run] = config.tasks.start.command.replaceAll("'", "").split(" ").slice(0, -1);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...run, `${import.meta.dirname}/../main.ts`, "-log=json", ...flags],
    cwd: dir,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const goto = {
    name,
    url: "",
    stop() {
      if (running.delete(goto)) child.kill("SIGTERM");
      return child.status;
    },
  };
  running.add(goto);
  child.status.then(() => running.delete(goto));
  const serving = Promise.withResolvers<string>();
  const timer = setTimeout(() => serving.reject(new Error(`${name} does not start`)), LIMIT_MS);
  (async () => {
    let log = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      log += text;
      const url = /"msg":"serving".*"url":"(.*?)"/.exec(log)?.[1];
      if (url) serving.resolve(url);
    }
    serving.reject(new Error(`${name} ended:\n${log}`));
  })();
  goto.url = await serving.promise;
  clearTimeout(timer);
  return goto;
}

async function request({ url }: Goto, path: string, init: RequestInit = {}) {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const response = await fetch(`${url}/${path}`, { redirect: "manual", signal, ...init });
  const { status, headers } = response;
  return { status, location: headers.get("location"), text: (await response.text()).trimEnd() };
}

/** Adds a link, shows what comes of it, and gives its key. */
async function add(goto: Goto, url: string, key = ""): Promise<string> {
  const body = new URLSearchParams(key ? { url, key } : { url });
  const { status, text } = await request(goto, "add", { method: "POST", body });
  show(goto.name, `POST /add url=${url}${key && ` key=${key}`}`, `${status} ${text}`);
  return text.slice(text.lastIndexOf("/") + 1);
}

/** What a short link answers. */
async function ask(goto: Goto, key: string): Promise<string> {
  const { status, location, text } = await request(goto, key);
  return `${status} ${location ?? text}`;
}

async function follow(goto: Goto, key: string) {
  show(goto.name, `GET /${key}`, await ask(goto, key));
}

/** Asks a replica; whether it will know the answer by itself next time. */
async function caches(replica: Goto, key: string): Promise<boolean> {
  await ask(replica, key);
  return (await health(replica)).links > 0;
}

/** What `/readyz` says of it. */
async function health(goto: Goto): Promise<{ links: number; writable: boolean }> {
  return JSON.parse((await request(goto, "readyz")).text);
}

async function until(condition: () => Promise<boolean>) {
  const end = performance.now() + LIMIT_MS;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Still not so after ${LIMIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function cleanUp(): Promise<void> {
  return cleaning ??= (async () => {
    await Promise.all([...running].map((goto) => goto.stop()));
    await Deno.remove(dir, { recursive: true });
  })();
}

function say(text: string) {
  console.log(`\n${text}`);
}

function show(name: string, what: string, result?: string) {
  console.log(
    `  ${name.padEnd(9)}  ${result === undefined ? what : `${what.padEnd(44)} -> ${result}`}`,
  );
}
