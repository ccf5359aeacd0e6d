/**
 * Threads that answer HTTP beside the main one, as the main one sees them.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import type { TableMemory } from "../links/table.ts";
import { answerQuestions, type Service } from "./port.ts";
import type { Order, Report, Start } from "./thread.ts";

const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 5000;
const START_MS = 10_000;

/** One worker. */
interface Thread {
  state: "starting" | "serving" | "stopping";
  worker: Worker;
  port: MessagePort;
  /** Which of the threads it is: the one that takes a dead one's place has its number. */
  index: number;
  /** Resolves when it serves, or is gone. */
  serving: PromiseWithResolvers<void>;
  /** Resolves when it has handed on what it counted, or is gone. */
  settled: PromiseWithResolvers<void>;
  /** Resolves when it has answered all that came, or is gone. */
  stopped: PromiseWithResolvers<void>;
}

/** Workers that are replaced when they die. */
export class Workers {
  /** How many died. */
  deaths = 0;
  readonly #threads = new Set<Thread>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #restart = MIN_RESTART_MS;
  #memory?: TableMemory;

  /**
   * @param url the module of a worker, which calls {@linkcode runThread}
   * @param config what each is started with
   */
  constructor(
    private readonly url: string,
    private readonly config: unknown,
    private readonly service: Service,
    private readonly events: Events,
  ) {}

  /** How many there are. */
  get count(): number {
    return this.#threads.size;
  }

  /** Lets all read the links in `memory` from now on. */
  attach(memory: TableMemory): void {
    this.#memory = memory;
    for (const { port } of this.#threads) {
      port.postMessage({ kind: "memory", memory } satisfies Order);
    }
  }

  /** Starts `count` workers; resolves when all serve, or have died. */
  async start(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#start()));
  }

  async #start(): Promise<void> {
    if (!this.#memory) throw new Error("There is no memory to read");
    const worker = new Worker(this.url, { type: "module" });
    const { port1: port, port2 } = new MessageChannel();
    const thread: Thread = {
      state: "starting",
      worker,
      port,
      index: this.#freeIndex(),
      serving: Promise.withResolvers(),
      settled: Promise.withResolvers(),
      stopped: Promise.withResolvers(),
    };
    this.#threads.add(thread);
    port.addEventListener("message", ({ data }: MessageEvent<Report>) => {
      if (!("kind" in data)) return;
      if (data.kind === "died") this.#died(thread, data.reason);
      else thread[data.kind].resolve();
    });
    answerQuestions(port, this.service);
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // or it would end the main thread too
      this.#died(thread, event.message);
    });
    port.start();
    const { index } = thread;
    const start: Start<unknown> = { config: this.config, memory: this.#memory, port: port2, index };
    worker.postMessage(start, [port2]);
    const slow = setTimeout(() => this.events("warn", "a thread is slow to start"), START_MS);
    await thread.serving.promise;
    clearTimeout(slow);
    if (!this.#threads.has(thread) || thread.state !== "starting") return;
    thread.state = "serving";
    this.#restart = MIN_RESTART_MS;
  }

  #freeIndex(): number {
    const taken = new Set(Array.from(this.#threads, ({ index }) => index));
    let index = 1; // the main thread is 0
    while (taken.has(index)) index++;
    return index;
  }

  #died(thread: Thread, reason: string): void {
    const { state } = thread;
    if (!this.#remove(thread) || state === "stopping") return;
    const deaths = ++this.deaths;
    this.events("error", "a thread died; starting another", { reason, deaths });
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#start();
    }, this.#restart);
    this.#timers.add(timer);
    // More and more slowly, in case the next one dies as well.
    this.#restart = Math.min(2 * this.#restart, MAX_RESTART_MS);
  }

  /** Takes a worker out, which nobody need wait for any more; false if it was out already. */
  #remove(thread: Thread): boolean {
    if (!this.#threads.delete(thread)) return false;
    thread.serving.resolve();
    thread.settled.resolve();
    thread.stopped.resolve();
    thread.port.close();
    thread.worker.terminate();
    return true;
  }

  /** Resolves when all that are being stopped have handed on what they counted. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#threads, ({ settled }) => settled.promise));
  }

  /** Lets every worker answer what it is at; resolves when all have, or after `ms` milliseconds. */
  async stop(ms: number): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#threads].map(async (thread) => {
      const { state, port, stopped } = thread;
      thread.state = "stopping";
      if (state === "serving") {
        port.postMessage({ kind: "stop" } satisfies Order);
        const timer = setTimeout(stopped.resolve, ms);
        await stopped.promise;
        clearTimeout(timer);
      }
      this.#remove(thread);
    }));
  }
}
