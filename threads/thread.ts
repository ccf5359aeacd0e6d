/**
 * A thread beside the main one.
 *
 * @module
 */
import type { TakeCounts } from "../hits/tally.ts";
import type { Traffic } from "../hits/traffic.ts";
import type { Link } from "../links/link.ts";
import type { Listing, Query } from "../links/query.ts";
import { type TableMemory, TableReader } from "../links/table.ts";
import type { Health } from "../links/health.ts";
import type { ChangeOptions } from "../links/wanted.ts";
import type { Store } from "../store.ts";
import type { Limit } from "../http/rate.ts";
import type { RPC } from "../http/rpc.ts";
import { Asker } from "./port.ts";

/** What a thread is started with. */
export interface Start<Config> {
  config: Config;
  memory: TableMemory;
  port: MessagePort;
  /** Which of the threads it is; the main one is 0. */
  index: number;
}

/** What the main thread says of itself. */
export type Order = { kind: "memory"; memory: TableMemory } | { kind: "stop" };

/**
 * What a thread says of itself. It has settled once it accepts nothing more, and has handed on what it counted;
 * what it still serves may be feeds.
 */
export type Report = { kind: "serving" | "settled" | "stopped" } | { kind: "died"; reason: string };

/** What there is to answer requests with, in any thread. */
export interface Parts {
  store: Store;
  rpc: RPC;
  limit: Limit;
  /** Adds what the thread counted. */
  addHits: TakeCounts;
  /** What the process counted, as text. */
  metrics(): Promise<string>;
  /** Writes lines to stderr, so many. */
  write(text: string, count: number): void | Promise<void>;
  /** Which of the threads it is; the main one is 0. */
  index: number;
}

/** The store of a thread: it looks into the memory that all threads share, else it asks the main one. */
export class ThreadStore implements Store {
  #links: TableReader;

  constructor(memory: TableMemory, private readonly main: Asker) {
    this.#links = new TableReader(memory);
  }

  /** Takes over the memory that took the place of the one before. */
  attach(memory: TableMemory): void {
    this.#links = new TableReader(memory);
  }

  get(key: string): string | Promise<string> {
    return this.#links.get(key) || this.main.ask("get", key);
  }

  follow(key: string): string | Promise<Link> {
    return this.#links.get(key) || this.main.ask("link", key);
  }

  get counter(): number {
    return this.#links.counter;
  }

  get created(): number {
    return this.#links.created;
  }

  link(key: string): Promise<Link> {
    return this.main.ask("link", key);
  }

  put(url: string, key?: string, options?: ChangeOptions): Promise<Link> {
    return this.main.ask("put", url, key, options);
  }

  update(key: string, url: string, options?: ChangeOptions): Promise<Link> {
    return this.main.ask("update", key, url, options);
  }

  delete(key: string, options?: ChangeOptions): Promise<void> {
    return this.main.ask("delete", key, options);
  }

  list(query?: Query, signal?: AbortSignal): Promise<Listing> {
    return this.main.ask("list", query, signal);
  }

  traffic(key: string): Promise<Traffic | undefined> {
    return this.main.ask("traffic", key);
  }

  health(): Promise<Health> {
    return this.main.ask("health");
  }
}

/**
 * In a thread: waits for what it is started with, runs it, and says so. `run` gives what ends it, and calls
 * `settled` on its way.
 */
export async function runThread<Config>(
  run: (config: Config, parts: Parts) => (settled: () => void) => Promise<void>,
): Promise<void> {
  const { config, memory, port, index } = await new Promise<Start<Config>>((resolve) => {
    globalThis.addEventListener(
      "message",
      (event) => event instanceof MessageEvent && resolve(event.data),
      { once: true },
    );
  });
  const say = (report: Report) => port.postMessage(report);
  // What nobody has caught ends the thread, and the main one tells of it: the runtime would write its own
  // message.
  const die = (event: Event, error: unknown) => {
    event.preventDefault();
    say({ kind: "died", reason: String(error) });
    globalThis.close();
  };
  globalThis.addEventListener("error", (event) => die(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => die(event, event.reason));
  const main = new Asker(port);
  const store = new ThreadStore(memory, main);
  const rpc: RPC = {
    call: (text, since, trusted) => main.ask("call", text, since, trusted),
    feed: (...args) => main.ask("feed", ...args),
  };
  const limit: Limit = {
    take: (client) => main.ask("take", client),
    giveBack: (client) => main.ask("giveBack", client),
  };
  const addHits: TakeCounts = (counts) => void main.ask("addHits", counts).catch(() => {});
  const metrics = () => main.ask("metrics");
  const write = (text: string, count: number) => main.ask("write", text, count);
  const stop = run(config, { store, rpc, limit, addHits, metrics, write, index });
  port.addEventListener("message", async ({ data }: MessageEvent<Order>) => {
    if (!("kind" in data)) return;
    if (data.kind === "memory") return store.attach(data.memory);
    await stop(() => say({ kind: "settled" }));
    say({ kind: "stopped" });
  });
  port.start(); // no sooner than everybody listens
  say({ kind: "serving" });
}
