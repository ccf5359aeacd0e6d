/**
 * goto: a URL shortener. Its flags make it a master, which owns the links, or a replica.
 *
 * @module
 */
import config from "./deno.json" with { type: "json" };
import { type Address, type Flags, help, parseFlags, UsageError } from "./flags.ts";
import { accessLog, type Handler, handler, starting } from "./handlers.ts";
import { exists, Journal, JournalError, type Logger } from "./journal.ts";
import { ProxyStore, refusePart } from "./replica.ts";
import { Client, HTTPTransport, serveRPC, type Transport } from "./rpc.ts";
import { type Store, URLStore } from "./store.ts";
import {
  onForget,
  PortTransport,
  type Service,
  SharedStore,
  workerPort,
  Workers,
} from "./threads.ts";

const GRACE_MS = 10_000; // for what is in flight at a shutdown
const SAME_SIGNAL_MS = 100; // a terminal and a parent may pass on one signal twice
const HEALTHCHECK_MS = 2000;

/** What a worker needs to know. */
interface WorkerConfig {
  flags: Flags;
  base: string;
  port: number;
}

/** An address that can't be listened on: one line that says why. */
class ListenError extends Error {}

/** Runs the program and gives its exit code. */
async function main(): Promise<number> {
  const flags = parseFlags(Deno.args, (name) => Deno.env.get(name));
  if (flags.help) return print(help());
  if (flags.version) {
    return print(`goto ${config.version} (deno ${Deno.version.deno}, ${Deno.build.target})\n`);
  }
  if (flags.healthcheck) return await healthcheck(flags.http);

  const log = logger(flags.log);
  // A limit on the size of files shall be an error of the write, not the end of the program.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  if (flags.compact) return await compact(flags); // which a signal may end at any moment
  const stop = untilSignal();

  const threads = flags.threads || navigator.hardwareConcurrency;
  const shares = threads > 1 && hasReusePort(log);
  // Threads share a port; to every other process it shall be taken, as without them.
  if (shares && flags.http.port !== 0) await listen(flags.http, false, starting).shutdown();
  let answer: Handler = starting;
  const server = serve(flags.http, shares, (req) => answer(req));
  const { port } = server;
  const base = flags.host || `http://localhost:${port}`;

  const opening = flags.master.length > 0
    ? openReplica(flags, base, log)
    : openMaster(flags, base, log);
  const store = await Promise.race([opening, stop.then(() => undefined)]);
  if (store === undefined) return 0; // a signal, before anybody could be promised anything
  const workers = new Workers(import.meta.url, log);
  const shared = shares ? new SharedStore(store, workers) : store;
  const service: Service = {
    call: serveRPC(shared, (error) => log("error", "a call failed", { reason: String(error) })),
    log: (offset, check) => store.openLog(offset, check),
  };
  answer = handle(shared, service, flags, base, log);
  if (shares) {
    await workers.start(threads - 1, { flags, base, port } satisfies WorkerConfig, service);
  }
  log("info", "serving", {
    role: flags.master.length > 0 ? "replica" : "master",
    url: `http://${hostOf(flags.http)}:${port}`,
    links: store.count,
    ...(flags.master.length > 0 ? { master: flags.master.join(",") } : {}),
    ...(store.file === undefined ? {} : { file: store.file }),
    threads: 1 + workers.count,
  });
  if (flags.rpc && !flags["rpc-token"] && !/^(localhost|127\..*|::1)$/.test(flags.http.hostname)) {
    log("warn", "without -rpc-token, whoever reaches this address may change every link");
  }

  log("info", "shutting down", { signal: await stop });
  const late = new Promise<"late">((resolve) => setTimeout(resolve, GRACE_MS, "late"));
  const finished = Promise.all([server.shutdown(), workers.stop(2 * GRACE_MS), store.endLogs()]);
  if (await Promise.race([finished, late]) === "late") log("warn", "gave up on slow requests");
  await store.close();
  log("info", "stopped", { links: store.count });
  return 0;
}

/** Runs a thread beside the main one: a replica of it, on the same port. */
async function work(): Promise<void> {
  const { port, config } = await workerPort<WorkerConfig>();
  const { flags, base } = config;
  const log = logger(flags.log);
  const client = new Client([new PortTransport(port)]);
  const store = new ProxyStore(client, { cache: flags.cache, thread: true });
  onForget(port, (key) => store.forget(key));
  const following = store.follow();
  const service: Service = {
    call: serveRPC(store, (error) => log("error", "a call failed", { reason: String(error) })),
    log: (offset, check) => store.openLog(offset, check),
  };
  const address = { ...flags.http, port: config.port };
  const server = serve(address, true, handle(store, service, flags, base, log));
  port.addEventListener("message", async ({ data }) => {
    if (data.kind !== "stop") return;
    store.endLogs();
    await server.shutdown();
    port.postMessage({ kind: "stopped" });
  });
  // A master has its log at hand, and so shall all its threads; a replica may still look for it.
  if (flags.master.length === 0) await following;
  port.postMessage({ kind: "started" });
}

async function openMaster(flags: Flags, base: string, log: Logger): Promise<URLStore> {
  const { keys, repair } = flags;
  const sync = flags.sync === "always";
  const file = flags.file || "store.jsonl";
  await refusePart(file);
  const journal = await Journal.open(file, { sync, repair, log });
  const store = new URLStore(journal, { keys, host: placeOf(base) });
  try {
    await store.load();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

async function openReplica(flags: Flags, base: string, log: Logger): Promise<ProxyStore> {
  const token = flags["rpc-token"] || undefined;
  const transports: Transport[] = flags.master.map((url) => new HTTPTransport(url, token));
  const client = new Client(transports, (up, master, error) => {
    if (up) log("info", "the master answers", { master });
    else log("warn", "lost the master", { master, reason: causeOf(error) });
  });
  const file = flags.file || undefined;
  const store = new ProxyStore(client, {
    cache: flags.cache,
    file,
    sync: flags.sync === "always",
    repair: flags.repair,
    host: placeOf(base),
    log,
  });
  await store.load();
  store.follow();
  return store;
}

/** Where short links live: their host, and a path if they have one. */
function placeOf(base: string): string {
  return base.replace(/^https?:\/\//, "");
}

function handle(store: Store, service: Service, flags: Flags, base: string, log: Logger): Handler {
  const answer = handler({
    store,
    base,
    rpc: flags.rpc ? { ...service, token: flags["rpc-token"] || undefined } : undefined,
    onError: (error) => log("error", "a request failed", { reason: String(error) }),
  });
  return flags.access ? accessLog(answer, log) : answer;
}

/** Listens, and shuts down when what is in flight has been answered. */
function serve(address: Address, reusePort: boolean, handler: Handler) {
  const inFlight = new Set<Promise<Response>>();
  let stopping = false;
  const server = listen(address, reusePort, (req) => {
    if (stopping) {
      const headers = { "connection": "close", "retry-after": "1" };
      return new Response("shutting down", { status: 503, headers });
    }
    const response = handler(req);
    if (response instanceof Promise && req.method !== "GET") {
      const done = () => inFlight.delete(response);
      inFlight.add(response);
      response.then(done, done);
    }
    return response;
  });
  return {
    port: server.addr.port,
    async shutdown() {
      stopping = true;
      // Deno 2.9 breaks off the bodies that are still coming in when a server shuts down.
      await Promise.allSettled(inFlight);
      await server.shutdown();
    },
  };
}

/** Listens; "" for a host means all addresses, IPv6 and IPv4, as in Go. */
function listen({ hostname, port }: Address, reusePort: boolean, handler: Handler) {
  const onListen = () => {};
  const onError = () => new Response("internal error", { status: 500 });
  const on = (hostname: string) =>
    Deno.serve({ hostname, port, reusePort, onListen, onError }, handler);
  try {
    if (hostname !== "") return on(hostname);
    if (Deno.build.os === "windows") return on("0.0.0.0"); // "::" would be IPv6 alone
    try {
      return on("::");
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) throw error;
      return on("0.0.0.0"); // a machine without IPv6
    }
  } catch (error) {
    throw new ListenError(`can't listen on ${hostname}:${port}: ${causeOf(error)}`);
  }
}

function hostOf({ hostname }: Address): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname || "localhost";
}

function hasReusePort(log: Logger): boolean {
  if (Deno.build.os === "linux" || Deno.build.os === "darwin") return true;
  log("warn", "this platform can't share a port between threads: going on with one");
  return false;
}

/** Resolves with the first signal to end; another one ends the program at once. */
function untilSignal(): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let first = 0;
  const windows = Deno.build.os === "windows";
  for (const signal of ["SIGINT", windows ? "SIGBREAK" : "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (first && performance.now() - first > SAME_SIGNAL_MS) Deno.exit(130);
      first ||= performance.now();
      resolve(signal);
    });
  }
  return promise;
}

async function compact(flags: Flags): Promise<number> {
  const path = flags.file || "store.jsonl";
  if (!await exists(path)) throw new JournalError(`${path}: No such file`);
  const journal = await Journal.open(path, { repair: flags.repair, log: logger(flags.log) });
  try {
    const { lines, bytes } = await journal.compact();
    const count = (n: number) => n.toLocaleString("en-US");
    return print(
      `${path}: ${count(lines[0])} lines, ${count(bytes[0])} bytes before; ` +
        `${count(lines[1])} lines, ${count(bytes[1])} bytes after\n`,
    );
  } finally {
    await journal.close();
  }
}

/** Asks the server at `address` whether it is alive: 0 if so, 1 if not. */
async function healthcheck({ hostname, port }: Address): Promise<number> {
  // Not localhost, a name that an empty container can't resolve.
  const any: Record<string, string> = { "": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1" };
  const host = hostOf({ hostname: any[hostname] ?? hostname, port });
  const signal = AbortSignal.timeout(HEALTHCHECK_MS);
  try {
    const response = await fetch(`http://${host}:${port}/healthz`, { signal });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return print("ok\n");
  } catch (error) {
    console.error(`goto: ${host}:${port} is not alive: ${causeOf(error)}`);
    return 1;
  }
}

function print(text: string): number {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  return 0;
}

/** Writes events to stderr, one a line. */
function logger(form: Flags["log"]): Logger {
  const encoder = new TextEncoder();
  return (level, msg, fields = {}) => {
    const time = new Date().toISOString();
    const text = form === "json"
      ? JSON.stringify({ time, level, msg, ...fields })
      : [time, level.padEnd(5), msg, ...Object.entries(fields).map(pair)].join(" ");
    try {
      Deno.stderr.writeSync(encoder.encode(`${text}\n`));
    } catch {
      // Nobody reads it: no reason to stop serving.
    }
  };
}

/** A field as logfmt has it. */
function pair([name, value]: [string, unknown]): string {
  const text = String(value);
  return `${name}=${/^[!#-<>-~]+$/.test(text) ? text : JSON.stringify(text)}`;
}

/** What went wrong; of a failed fetch, why. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

if ("WorkerGlobalScope" in globalThis) {
  await work();
} else if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    const expected = [UsageError, ListenError, JournalError].some((type) => error instanceof type);
    console.error(`goto: ${expected ? causeOf(error) : error}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}
