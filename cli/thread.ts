/**
 * What a thread answers requests with, the main one or another.
 *
 * @module
 */
import { handler } from "../handlers.ts";
import { accessLog } from "../http/access.ts";
import { Certificate } from "../http/certificate.ts";
import { Counters, COUNTERS_BYTES } from "../http/counters.ts";
import type { Handler } from "../http/client.ts";
import type { ListenOptions } from "../http/listen.ts";
import { measure } from "../http/memory.ts";
import { probes } from "../http/probes.ts";
import { Tally } from "../hits/tally.ts";
import type { Events } from "../journal/events.ts";
import { MAX_FOLLOWERS } from "../journal/followers.ts";
import type { Parts } from "../threads/thread.ts";
import { writeRequests } from "./events.ts";
import type { Flags } from "./flags.ts";
import { stderr } from "./stderr.ts";

/** What a thread needs to know. */
export interface ThreadConfig {
  flags: Flags;
  base: string;
  port: number;
  /** Where all threads count. */
  counters: SharedArrayBuffer;
}

/**
 * Makes a thread's handler as the flags say, on what the main thread does for all.
 *
 * @param tally counts redirects
 */
export function handlerFor(
  config: ThreadConfig,
  parts: Omit<Parts, "addHits">,
  events: Events,
  tally?: Tally,
): Handler {
  const { flags, base } = config;
  const writers = flags.token || undefined;
  const counters = new Counters(config.counters, parts.index);
  const threads = config.counters.byteLength / COUNTERS_BYTES;
  stderr.onlose = (count) => counters.dropped(count);
  const answer = handler({
    store: parts.store,
    base,
    isNamed: flags.host !== "",
    counters,
    tally,
    probes: flags.admin ? [] : probes(parts.store, parts.metrics),
    rpc: flags.rpc ? { ...parts.rpc, token: flags["rpc-token"] || undefined, writers } : undefined,
    suffix: flags.suffix,
    userHeader: flags["user-header"] || undefined,
    token: writers,
    limit: flags.rate > 0 ? parts.limit : undefined,
    proxies: flags.proxy,
    feeds: Math.ceil(MAX_FOLLOWERS / 2 / threads),
    origins: flags.cors,
    onError: (error) => events("error", "a request failed", { reason: String(error) }),
  });
  if (!flags.access) return answer;
  return accessLog(
    answer,
    writeRequests(flags.log),
    flags.proxy,
    flags["user-header"] || undefined,
  );
}

/** Makes what counts redirects in a thread, unless the flags say that nobody does. */
export function tallyFor(
  { flags: { hits, master }, counters: memory }: ThreadConfig,
  { addHits, index }: Pick<Parts, "addHits" | "index">,
): Tally | undefined {
  if (!hits) return;
  const counters = new Counters(memory, index);
  // The rows of links are known where the links are this process's own.
  return new Tally((counts) => {
    counters.followed(counts);
    addHits(counts);
  }, master.length === 0);
}

/**
 * How a thread listens, as the flags say.
 *
 * @param index which of the threads it is; the main one is 0
 * @param shared whether other threads listen at the same address
 * @throws {ListenError} the certificate can't be read
 */
export function listening(
  { flags, counters: memory }: Pick<ThreadConfig, "flags" | "counters">,
  index: number,
  shared: boolean,
  events: Events,
): ListenOptions {
  const { "tls-cert": cert, "tls-key": key } = flags;
  const counters = new Counters(memory, index);
  const certificate = cert === "" ? undefined : new Certificate({ cert, key });
  return { shared, certificate, usage: () => measure(counters), events };
}
