/**
 * Threads: workers that answer HTTP beside the main thread. Each is a replica of it, and what
 * carries the calls and the log between them is a port for messages.
 *
 * @module
 */
import type { Logger } from "./journal.ts";
import type { LogStream } from "./log.ts";
import type { Transport } from "./rpc.ts";
import type { Health, Store } from "./store.ts";

const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 5000;
const START_MS = 10_000;
const FORGET_MS = 2000; // a thread that hangs for longer answers nobody; it is not waited for

/** What threads say to each other. Answers bear the id of what they answer. */
export type Message =
  | { kind: "started" }
  | { kind: "stop" }
  | { kind: "stopped" }
  | { kind: "call"; id: number; text: string }
  | { kind: "log"; id: number; offset?: number; check?: string }
  | { kind: "pull"; id: number }
  | { kind: "cancel"; id: number }
  | { kind: "answer"; id: number; text?: string }
  | { kind: "opened"; id: number; offset: number; size: number; check?: string }
  | { kind: "chunk"; id: number; bytes: Uint8Array }
  | { kind: "failed"; id: number; reason: string }
  | { kind: "forget"; change: number; keys: string[] }
  | { kind: "forgotten"; change: number };

/** What the main thread lets its workers use: calls, and the log. */
export interface Service {
  call(text: string): string | undefined | Promise<string | undefined>;
  log(offset?: number, check?: string): Promise<LogStream>;
}

/** Serves calls and the log to the other end of `port`; what is returned ends the logs. */
export function servePort(port: MessagePort, service: Service): () => void {
  const readers = new Map<number, Promise<ReadableStreamDefaultReader<Uint8Array>>>();
  const failed = (id: number) => (error: unknown) => {
    readers.delete(id);
    port.postMessage({ kind: "failed", id, reason: String(error) });
  };
  const cancel = (id: number) => {
    readers.get(id)?.then((reader) => reader.cancel()).catch(() => {});
    readers.delete(id);
  };
  port.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if (data.kind === "call") {
      const { id } = data;
      const answer = service.call(data.text);
      if (answer instanceof Promise) {
        answer.then((text) => port.postMessage({ kind: "answer", id, text }), failed(id));
      } else {
        port.postMessage({ kind: "answer", id, text: answer });
      }
    } else if (data.kind === "log") {
      const { id } = data;
      const reader = service.log(data.offset, data.check).then(({ body, ...head }) => {
        port.postMessage({ kind: "opened", id, ...head });
        return body.getReader();
      });
      reader.catch(failed(id));
      readers.set(id, reader);
    } else if (data.kind === "pull") {
      const { id } = data;
      readers.get(id)?.then((reader) => reader.read()).then(({ value }) => {
        if (!value) throw new Error("it ended");
        port.postMessage({ kind: "chunk", id, bytes: value });
      }).catch(failed(id));
    } else if (data.kind === "cancel") {
      cancel(data.id);
    }
  });
  port.start();
  return () => {
    for (const id of readers.keys()) cancel(id);
  };
}

/** The way to the main thread. */
export class PortTransport implements Transport {
  readonly address = "the main thread";
  #next = 0;
  #waiting = new Map<number, (message: Message) => void>();

  constructor(private readonly port: MessagePort) {
    port.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      if (!("id" in data)) return;
      const answered = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      answered?.(data);
    });
  }

  async call(text: string, signal: AbortSignal): Promise<string> {
    const answer = await this.#ask({ kind: "call", id: this.#next++, text }, signal);
    if (answer.kind !== "answer" || answer.text === undefined) throw new Error("no answer");
    return answer.text;
  }

  async log(offset: number | undefined, check: string | undefined, signal: AbortSignal) {
    const id = this.#next++;
    const head = await this.#ask({ kind: "log", id, offset, check }, signal);
    if (head.kind !== "opened") throw new Error("the log was not opened");
    const cancel = () => this.port.postMessage({ kind: "cancel", id });
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const chunk = await this.#ask({ kind: "pull", id }, signal);
        if (chunk.kind !== "chunk") throw new Error("no chunk");
        controller.enqueue(chunk.bytes);
      },
      cancel,
    }, { highWaterMark: 0 });
    signal.addEventListener("abort", cancel, { once: true });
    return { offset: head.offset, size: head.size, check: head.check, body };
  }

  #ask(message: Message & { id: number }, signal: AbortSignal): Promise<Message> {
    return new Promise((resolve, reject) => {
      const aborted = () => {
        this.#waiting.delete(message.id);
        reject(signal.reason);
      };
      if (signal.aborted) return aborted();
      signal.addEventListener("abort", aborted, { once: true });
      this.#waiting.set(message.id, (answer) => {
        signal.removeEventListener("abort", aborted);
        if (answer.kind === "failed") reject(new Error(answer.reason));
        else resolve(answer);
      });
      this.port.postMessage(message);
    });
  }
}

/** One worker, as the main thread sees it. */
interface Thread {
  worker: Worker;
  port: MessagePort;
  /** Those who wait for it to say something, by what that is. */
  waiting: Map<string, () => void>;
  /** Ends what is served to it. */
  end: () => void;
}

/** Workers that are replaced when they die. */
export class Workers {
  /** How many died. */
  deaths = 0;
  #threads = new Set<Thread>();
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #restart = MIN_RESTART_MS;
  #keys: string[] = [];
  #telling?: Promise<void>;
  #next = 0;

  /** @param url the module of a worker, which calls {@linkcode workerPort} */
  constructor(private readonly url: string, private readonly log: Logger) {}

  /** How many there are. */
  get count(): number {
    return this.#threads.size;
  }

  /** Starts `count` workers, which may use `service`; resolves when all have started. */
  async start(count: number, config: unknown, service: Service): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#start(config, service)));
  }

  async #start(config: unknown, service: Service): Promise<void> {
    const worker = new Worker(this.url, { type: "module" });
    const { port1, port2 } = new MessageChannel();
    const thread: Thread = {
      worker,
      port: port1,
      waiting: new Map(),
      end: servePort(port1, service),
    };
    this.#threads.add(thread);
    port1.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      thread.waiting.get(data.kind === "forgotten" ? `forgotten ${data.change}` : data.kind)?.();
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // or it would end the main thread too
      if (!this.#remove(thread)) return;
      this.deaths++;
      const { deaths } = this;
      this.log("error", "a thread died; starting another", { reason: event.message, deaths });
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#start(config, service);
      }, this.#restart);
      this.#timers.add(timer);
      // More and more slowly, in case the next one dies as well.
      this.#restart = Math.min(2 * this.#restart, MAX_RESTART_MS);
    });
    worker.postMessage({ config, port: port2 }, [port2]);
    if (!await hear(thread, "started", START_MS)) this.log("warn", "a thread is slow to start");
    if (this.#threads.has(thread)) this.#restart = MIN_RESTART_MS;
  }

  /** Takes a worker out, which nobody need wait for any more; false if it was out already. */
  #remove(thread: Thread): boolean {
    if (!this.#threads.delete(thread)) return false;
    for (const done of thread.waiting.values()) done();
    thread.end();
    thread.port.close();
    thread.worker.terminate();
    return true;
  }

  /** Resolves once every worker has forgotten what it knew of `key`. */
  forget(key: string): Promise<void> {
    if (this.#threads.size === 0) return Promise.resolve();
    this.#keys.push(key);
    return this.#telling ??= this.#tell();
  }

  async #tell(): Promise<void> {
    await undefined; // all that a group commit has just answered is told of at once
    const keys = this.#keys;
    this.#keys = [];
    this.#telling = undefined;
    const change = this.#next++;
    await Promise.all([...this.#threads].map((thread) => {
      thread.port.postMessage({ kind: "forget", change, keys });
      return hear(thread, `forgotten ${change}`, FORGET_MS);
    }));
  }

  /** Lets every worker answer what it is at; resolves when all have, or after `ms` milliseconds. */
  async stop(ms: number): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#threads].map(async (thread) => {
      thread.port.postMessage({ kind: "stop" });
      await hear(thread, "stopped", ms);
      this.#remove(thread);
    }));
  }
}

/**
 * The store of a process with threads. Whoever is told that a change was made can see it through
 * every thread: before that, each has forgotten what it knew of the key, also that there was none.
 */
export class SharedStore implements Store {
  constructor(private readonly store: Store, private readonly workers: Workers) {}

  get(key: string): string | Promise<string> {
    return this.store.get(key);
  }

  async put(url: string, key?: string, id?: string): Promise<string> {
    const made = await this.store.put(url, key, id);
    await this.workers.forget(made);
    return made;
  }

  async update(key: string, url: string, id?: string): Promise<void> {
    await this.store.update(key, url, id);
    await this.workers.forget(key);
  }

  async delete(key: string, id?: string): Promise<void> {
    await this.store.delete(key, id);
    await this.workers.forget(key);
  }

  health(): Health | Promise<Health> {
    return this.store.health();
  }
}

/** In a worker: what it was started with, and the port to the main thread. */
export function workerPort<Config>(): Promise<{ config: Config; port: MessagePort }> {
  return new Promise((resolve) => {
    globalThis.addEventListener("message", (event) => {
      if (!(event instanceof MessageEvent)) return;
      event.data.port.start();
      resolve(event.data);
    }, { once: true });
  });
}

/** In a worker: forgets, by `forget`, what the main thread says has changed. */
export function onForget(port: MessagePort, forget: (key: string) => void): void {
  port.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if (data.kind !== "forget") return;
    for (const key of data.keys) forget(key);
    port.postMessage({ kind: "forgotten", change: data.change });
  });
}

/** Resolves when `thread` says `what`, or is gone; after `ms` milliseconds with false. */
function hear({ waiting }: Thread, what: string, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (heard: boolean) => {
      clearTimeout(timer);
      waiting.delete(what);
      resolve(heard);
    };
    const timer = setTimeout(() => settle(false), ms);
    waiting.set(what, () => settle(true));
  });
}
