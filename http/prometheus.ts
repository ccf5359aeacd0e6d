/**
 * What Prometheus is told.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { countFollowers } from "../journal/followers.ts";
import type { Health } from "../links/health.ts";
import type { Backend } from "../replica/backend.ts";
import { total } from "./counters.ts";
import { lowestFree } from "./descriptors.ts";
import { Exposition, type Samples } from "./exposition.ts";
import type { Stats } from "./stats.ts";

/** Where metrics come from. */
export interface Sources {
  backend: Backend;
  stats: Stats;
  /** The counters of all threads. */
  counters: SharedArrayBuffer;
  /** Whether it is counted how often links are followed. */
  flags: { hits: boolean };
  /** How many threads there are beside the main one, and how many died. */
  threads: () => { count: number; deaths: number };
}

/** All metrics of the process. */
export async function describeAll(sources: Sources): Promise<string> {
  const health = await sources.backend.health();
  const text = new Exposition();
  tellBuild(text, sources.backend);
  tellRequests(text, sources);
  tellLinks(text, sources, health);
  tellRPC(text, sources.stats);
  if (sources.backend.about.role === "replica") tellMaster(text, sources.stats);
  tellProcess(text, sources);
  return text.text;
}

function tellBuild(text: Exposition, { about: { role } }: Backend): void {
  const { version: { deno }, build: { target } } = Deno;
  const labels = { version: config.version, deno, target, role };
  text.gauge("goto_build_info", "What runs here; the value is 1.", [[labels, 1]]);
}

function tellRequests(text: Exposition, { counters, flags }: Sources): void {
  const { requests, cacheHits, cacheMisses, eventsDropped, hits, previews } = total(counters);
  const ifCounted = (count: number) => flags.hits ? count : undefined;
  const samples: Samples = requests.map(({ handler, code, count }) => {
    return [{ handler, code: String(code) }, count];
  });
  text
    .counter("goto_http_requests_total", "Requests that were answered.", samples)
    .counter("goto_cache_hits_total", "Redirects answered from memory, at once.", cacheHits)
    .counter("goto_cache_misses_total", "Redirects that had to be asked for.", cacheMisses)
    .counter("goto_hits_total", "Links that were followed here.", ifCounted(hits))
    .counter("goto_previews_total", "HEAD, and previews of links.", ifCounted(previews))
    .counter("goto_events_dropped_total", "Events that nobody read in time.", eventsDropped);
}

function tellLinks(text: Exposition, { backend, stats }: Sources, health: Health): void {
  text
    .gauge("goto_ready", "Whether links can be followed: 1 or 0.", health.ready ? 1 : 0)
    .gauge("goto_writable", "Whether links can be made and changed: 1 or 0.", isWritable(health))
    .gauge("goto_links", "Links at hand.", backend.count)
    .gauge("goto_journal_bytes", "Size of the journal's file.", numberOf(health.bytes))
    .gauge(
      "goto_feed_position_bytes",
      "How far the journal has been taken in.",
      numberOf(health.position),
    )
    .gauge("goto_feed_lag_bytes", "How far a replica is behind.", numberOf(health.lagBytes))
    .gauge("goto_feed_lag_seconds", "How old a mirror is at most.", numberOf(health.lagSeconds))
    .gauge("goto_followers", "Feeds that are followed.", countFollowers())
    .histogram("goto_commit_links", "Changes in a commit to the journal.", stats.commits)
    .histogram("goto_sync_seconds", "How long the disk took for a commit.", stats.syncs);
}

function tellRPC(text: Exposition, stats: Stats): void {
  const calls: Samples = Array.from(stats.calls, ([method, count]) => [{ method }, count]);
  const errors: Samples = Array.from(stats.callErrors, ([code, count]) => [{ code }, count]);
  text
    .counter("goto_rpc_calls_total", "Calls that were served.", calls)
    .counter("goto_rpc_errors_total", "Calls that were refused.", errors)
    .histogram("goto_rpc_batch_calls", "Calls in a request that was served.", stats.batches);
}

function tellMaster(text: Exposition, stats: Stats): void {
  text
    .histogram("goto_master_request_seconds", "How long the master took.", stats.masterRequests)
    .counter("goto_master_errors_total", "Requests that the master failed.", stats.masterErrors);
}

function tellProcess(text: Exposition, { stats, threads }: Sources): void {
  const { count, deaths } = threads();
  const { rss, heapUsed } = Deno.memoryUsage();
  const { user, system } = process.cpuUsage();
  text
    .gauge("goto_threads", "Threads that answer.", 1 + count)
    .counter("goto_thread_deaths_total", "Threads that died and were replaced.", deaths)
    .gauge("goto_descriptors", "File descriptors in use: all below this one.", lowestFree())
    .gauge("goto_heap_bytes", "JavaScript heap of the main thread.", heapUsed)
    .gauge("process_resident_memory_bytes", "Resident memory.", rss)
    .counter("process_cpu_seconds_total", "CPU time.", (user + system) / 1e6)
    .gauge("process_start_time_seconds", "When it began, since 1970.", stats.started);
}

function isWritable({ ready, writable = ready }: Health): number {
  return writable ? 1 : 0;
}

function numberOf(value: Health[string]): number | undefined {
  return typeof value === "number" ? value : undefined;
}
