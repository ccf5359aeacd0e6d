/**
 * Servers in this process, for tests whose subject is what they do, not that they are processes: as `main.ts`
 * makes them of flags, with one thread and a file. To start one takes a twentieth of the time of a process.
 *
 * @example
 * ```ts
 * await using mirror = await startHere({ cwd }, `-master=${master.url}`, "-file=mirror.jsonl");
 * await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
 * ```
 *
 * @module
 */
import { resolve } from "node:path";
import { baseOf, FILE, openBackend, schemeOf } from "../cli/backend.ts";
import { parseFlags } from "../cli/flags.ts";
import { handlerFor, listening, tallyFor, type ThreadConfig } from "../cli/thread.ts";
import { starting } from "../http/health.ts";
import type { Handler } from "../http/client.ts";
import { COUNTERS_BYTES } from "../http/counters.ts";
import { listen, type Server } from "../http/listen.ts";
import { metrics } from "../http/metrics.ts";
import { Rate } from "../http/rate.ts";
import { Stats } from "../http/stats.ts";
import type { Events } from "../journal/events.ts";
import { serveRPC } from "../rpc.ts";
import type { Backend } from "../replica/backend.ts";
import type { Parts } from "../threads/thread.ts";
import { type LogEvent, Logs, type Options, split, tempDir } from "./processes.ts";

const alone = { count: 0, deaths: 0 }; // threads beside this one

/** A server at work, from {@linkcode startHere}. Disposing of it stops it. */
export class Here extends Logs implements AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  url!: string;
  /** How many links it had when it began to serve. */
  links!: number;
  #stop: (() => Promise<void>) | undefined;

  /** Use {@linkcode startHere}. */
  constructor(
    private readonly args: string[],
    private readonly cwd: string,
    private readonly temp?: Disposable,
  ) {
    super();
  }

  /** All that it logged so far. */
  get stderr(): string {
    return this.logs.map((event) => `${JSON.stringify(event)}\n`).join("");
  }

  /** Starts the server, and waits until it serves. */
  async begin(): Promise<this> {
    this.reset();
    const address = this.url ? new URL(this.url).host : "127.0.0.1:0";
    const flags = parseFlags([`-http=${address}`, "-threads=1", ...this.args], () => undefined);
    if (flags.master.length === 0) flags.file ||= FILE;
    if (flags.file !== "") flags.file = resolve(this.cwd, flags.file);
    const events: Events = (level, msg, fields) => {
      const time = new Date().toISOString();
      this.add(JSON.parse(JSON.stringify({ time, level, msg, ...fields })) as LogEvent);
    };

    let answer: Handler = starting;
    const counters = new SharedArrayBuffer(COUNTERS_BYTES);
    const { certificate } = listening({ flags, counters }, 0, false, events);
    const how = { certificate, events };
    const server: Server = listen(flags.http, (req, peer) => answer(req, peer), how);
    this.#stop = () => server.shutdown();
    const base = baseOf(flags, server.port);
    const stats = new Stats();
    const store: Backend = await openBackend(flags, base, events, stats);
    const call = serveRPC(store, (error) => {
      events("error", "a call failed", { reason: String(error) });
    }, stats.rpc);
    const thread: ThreadConfig = { flags, base, port: server.port, counters };
    const parts: Parts = {
      index: 0,
      store,
      addHits: (counts) => store.hits?.add(counts),
      rpc: { call, feed: store.feed.bind(store) },
      limit: new Rate(flags.rate),
      metrics: () => metrics({ backend: store, stats, counters, flags, threads: () => alone }),
      write: () => {}, // which only other threads do
    };
    const tally = tallyFor(thread, parts);
    this.#stop = async () => {
      await Promise.all([server.shutdown(), store.endFeeds()]);
      tally?.close();
      await store.close();
    };
    answer = handlerFor(thread, parts, events, tally);
    this.url = `${schemeOf(flags)}://127.0.0.1:${server.port}`;
    this.links = store.count;
    return this;
  }

  /** Ends as at a signal to: what was asked is answered. */
  async stop(): Promise<void> {
    const stop = this.#stop;
    this.#stop = undefined;
    await stop?.();
    this.end();
  }

  /** Stops the server, and starts it anew: same flags, port and directory. */
  async restart(): Promise<this> {
    await this.stop();
    return await this.begin();
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
    this.temp?.[Symbol.dispose]();
  }
}

/** Starts a server on a free port of 127.0.0.1. Of the options it takes `cwd` alone. */
export async function startHere(...flags: string[]): Promise<Here>;
export async function startHere(options: Pick<Options, "cwd">, ...flags: string[]): Promise<Here>;
export async function startHere(...args: (Pick<Options, "cwd"> | string)[]): Promise<Here> {
  const [{ cwd }, flags] = split(args);
  const temp = cwd === undefined ? tempDir() : undefined;
  const here = new Here(flags, cwd ?? temp!.path, temp);
  try {
    return await here.begin();
  } catch (error) {
    await here[Symbol.asyncDispose]();
    throw error;
  }
}
