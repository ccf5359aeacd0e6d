/**
 * Threads: workers that answer HTTP beside the main thread. Each is a replica of it, and what
 * carries the calls and the log between them is a port for messages.
 *
 * @module
 */
import type { Logger } from "./journal.ts";
import type { LogStream } from "./log.ts";
import type { Transport } from "./rpc.ts";

const RESTART_MS = 100;
const START_MS = 10_000;

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
  | { kind: "failed"; id: number; reason: string };

/** What the main thread lets its workers use: calls, and the log. */
export interface Service {
  call(text: string): string | undefined | Promise<string | undefined>;
  log(offset?: number, check?: string): Promise<LogStream>;
}

/** Serves calls and the log to the other end of `port`. */
export function servePort(port: MessagePort, service: Service): void {
  const readers = new Map<number, ReadableStreamDefaultReader<Uint8Array>>();
  const failed = (id: number) => (error: unknown) => {
    readers.delete(id);
    port.postMessage({ kind: "failed", id, reason: String(error) });
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
      service.log(data.offset, data.check).then(({ body, ...head }) => {
        readers.set(id, body.getReader());
        port.postMessage({ kind: "opened", id, ...head });
      }).catch(failed(id));
    } else if (data.kind === "pull") {
      const { id } = data;
      readers.get(id)?.read().then(({ value }) => {
        if (!value) throw new Error("it ended");
        port.postMessage({ kind: "chunk", id, bytes: value });
      }).catch(failed(id));
    } else if (data.kind === "cancel") {
      readers.get(data.id)?.cancel().catch(() => {});
      readers.delete(data.id);
    }
  });
  port.start();
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
        if (chunk.kind === "chunk") controller.enqueue(chunk.bytes);
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

/** Workers that are replaced when they die. */
export class Workers {
  /** How many died. */
  deaths = 0;
  #workers = new Map<Worker, MessagePort>();
  #stopping = false;

  /** @param url the module of a worker, which calls {@linkcode workerPort} */
  constructor(
    private readonly url: string,
    private readonly service: Service,
    private readonly log: Logger,
  ) {}

  /** How many there are. */
  get count(): number {
    return this.#workers.size;
  }

  /** Starts `count` workers; resolves when all have started. */
  async start(count: number, config: unknown): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#start(config)));
  }

  async #start(config: unknown): Promise<void> {
    const worker = new Worker(this.url, { type: "module" });
    const { port1, port2 } = new MessageChannel();
    this.#workers.set(worker, port1);
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // which would end the main thread too
      port1.close();
      if (!this.#workers.delete(worker) || this.#stopping) return;
      this.deaths++;
      this.log("error", "a thread died; starting another", { reason: event.message });
      setTimeout(() => {
        if (!this.#stopping) this.#start(config).catch(() => {}); // its own death is logged
      }, RESTART_MS);
    });
    servePort(port1, this.service);
    worker.postMessage({ config, port: port2 }, [port2]);
    await heard(port1, "started", START_MS);
  }

  /** Lets every worker answer what it is at; resolves when all have, or after `ms` milliseconds. */
  async stop(ms: number): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      [...this.#workers].map(async ([worker, port]) => {
        port.postMessage({ kind: "stop" });
        await heard(port, "stopped", ms).catch(() => {});
        port.close();
        worker.terminate();
      }),
    );
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

/** Resolves when `port` says `kind`. */
function heard(port: MessagePort, kind: Message["kind"], ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`a thread did not say "${kind}"`)), ms);
    port.addEventListener("message", ({ data }: MessageEvent<Message>) => {
      if (data.kind !== kind) return;
      clearTimeout(timer);
      resolve();
    });
  });
}
