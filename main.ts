/**
 * goto: a URL shortener. Its flags make it a master, which owns the links, or a replica.
 *
 * @module
 */
import { baseOf, openBackend, schemeOf } from "./cli/backend.ts";
import { runCommand } from "./cli/commands.ts";
import { writeEvents } from "./cli/events.ts";
import { runToExit } from "./cli/exit.ts";
import { parseFlags } from "./cli/flags.ts";
import { handlerFor, listening, tallyFor, type ThreadConfig } from "./cli/thread.ts";
import { whoMayWrite } from "./cli/open.ts";
import { ignoreProxies } from "./cli/proxies.ts";
import { untilSignal } from "./cli/signals.ts";
import { FLUSH_MS, stderr } from "./cli/stderr.ts";
import { starting } from "./http/health.ts";
import { canShare, hostOf } from "./http/address.ts";
import type { Handler } from "./http/client.ts";
import { listen } from "./http/listen.ts";
import { settle } from "./hits/tally.ts";
import { COUNTERS_BYTES } from "./http/counters.ts";
import { metrics } from "./http/metrics.ts";
import { adminHandler } from "./http/probes.ts";
import { Rate } from "./http/rate.ts";
import { Stats } from "./http/stats.ts";
import { serveRPC } from "./rpc.ts";
import type { Service } from "./threads/port.ts";
import { type Parts, runThread } from "./threads/thread.ts";
import { Workers } from "./threads/workers.ts";

const GRACE_MS = 10_000; // for what is in flight at a shutdown

/** Runs the program and gives its exit code. */
async function main(): Promise<number> {
  ignoreProxies();
  const flags = parseFlags(Deno.args, (name) => Deno.env.get(name));
  const events = writeEvents(flags.log);
  // A limit on the size of files shall be an error of the write, not the end of the program.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  const code = await runCommand(flags, events);
  if (code !== undefined) return code;
  const signal = untilSignal();

  const threads = flags.threads || navigator.hardwareConcurrency;
  const shared = threads > 1 && canShare;
  if (threads > 1 && !shared) {
    events("warn", "this platform can't share a port between threads: going on with one");
  }
  // Threads share a port; to every other process it shall be taken, as without them.
  if (shared && flags.http.port !== 0) await listen(flags.http, starting).shutdown();
  let answer: Handler = starting;
  const counters = new SharedArrayBuffer(threads * COUNTERS_BYTES);
  const how = listening({ flags, counters }, 0, shared, events);
  const server = listen(flags.http, (req, peer) => answer(req, peer), how);
  let probe: Handler = starting;
  const admin = flags.admin &&
    listen(flags.admin, (req, peer) => probe(req, peer), { usage: how.usage, events });
  const { port } = server;
  const base = baseOf(flags, port);
  const stats = new Stats();
  const opening = openBackend(flags, base, events, stats);
  const backend = await Promise.race([opening, signal.then(() => undefined)]);
  if (backend === undefined) return 0; // a signal, before anybody could be promised anything
  const call = serveRPC(backend, (error) => {
    events("error", "a call failed", { reason: String(error) });
  }, stats.rpc);
  const limit = new Rate(flags.rate);
  const tell = () => metrics({ backend, stats, counters, flags, threads: () => workers });
  const thread: ThreadConfig = { flags, base, port, counters };
  const service: Service = {
    store: backend,
    addHits: (counts) => backend.hits?.add(counts),
    rpc: { call, feed: backend.feed.bind(backend) },
    limit,
    metrics: tell,
    write: stderr.write.bind(stderr),
  };
  const workers = new Workers(import.meta.url, thread, service, events);
  const tally = tallyFor(thread, { ...service, index: 0 });
  answer = handlerFor(thread, { ...service, index: 0 }, events, tally);
  probe = adminHandler(backend, tell);
  if (shared) {
    backend.share((memory) => workers.attach(memory));
    await Promise.race([workers.start(threads - 1), signal]);
  }
  events("info", "serving", {
    ...backend.about,
    url: `${schemeOf(flags)}://${hostOf(flags.http)}:${port}`,
    ...(flags.admin && { admin: `http://${hostOf(flags.admin)}:${admin?.port}` }),
    links: backend.count,
    threads: 1 + workers.count,
  });
  const { level, who } = whoMayWrite(flags);
  events(level, who);

  events("info", "shutting down", { signal: await signal });
  const late = new Promise<"late">((resolve) => setTimeout(resolve, GRACE_MS, "late"));
  const closing = server.shutdown();
  const answered = Promise.all([
    closing,
    admin?.shutdown(),
    workers.stop(2 * GRACE_MS),
    // Whoever follows is given all that was counted.
    Promise.race([Promise.all([settle(closing, tally), workers.settled()]), late])
      .then(() => backend.endFeeds()),
  ]);
  if (await Promise.race([answered, late]) === "late") events("warn", "gave up on slow requests");
  tally?.close();
  await backend.close();
  events("info", "stopped", { links: backend.count });
  return 0;
}

/** Serves in a thread beside the main one, on the same port. */
function serveThread(config: ThreadConfig, parts: Parts) {
  const { flags, port } = config;
  stderr.through = async (text, count) => await parts.write(text, count);
  const events = writeEvents(flags.log);
  const tally = tallyFor(config, parts);
  const answer = handlerFor(config, parts, events, tally);
  const how = listening(config, parts.index, true, events);
  const server = listen({ ...flags.http, port }, answer, how);
  return async (settled: () => void) => {
    const closing = server.shutdown();
    await settle(closing, tally);
    settled();
    await closing;
    tally?.close();
    await stderr.flush(FLUSH_MS);
  };
}

if ("WorkerGlobalScope" in globalThis) {
  await runThread(serveThread);
} else if (import.meta.main) {
  await runToExit(main);
}
