/**
 * Questions between threads.
 *
 * @module
 */
import type { Counting } from "../hits/counting.ts";
import { checkLeft, errExpired, errNotFound, type Refusal, StoreError } from "../links/errors.ts";
import type { Limit } from "../http/rate.ts";
import type { RPC } from "../http/rpc.ts";
import type { Backend } from "../replica/backend.ts";

/** What the main thread does for the others: its store's work, and RPC. */
export interface Service {
  store: Backend;
  rpc: RPC;
  limit: Limit;
  /** Adds what a thread counted. */
  addHits: Counting["add"];
  /** What the process counted, as text. */
  metrics(): Promise<string>;
  /** Writes lines to stderr, so many. */
  write(text: string, count: number): void;
}

type Methods =
  & Pick<Backend, "get" | "link" | "put" | "update" | "delete" | "list" | "traffic" | "health">
  & Pick<RPC, "call" | "feed">
  & Pick<Service, "addHits" | "metrics" | "write">
  & Limit;

/** A question: which method, and with what. */
type Question = {
  [Name in keyof Methods]: { id: number; method: Name; args: Parameters<Methods[Name]> };
}[keyof Methods];

/** Who asked a question doesn't wait for its answer any more. */
interface Abandoned {
  id: number;
  abandoned: true;
}

/** What is said to a question: a value, or why there is none. */
type Answer =
  & { id: number }
  & (
    | { value: unknown }
    | { refusal: Refusal; message: string }
    | { failure: string }
  );

/** Answers the questions that come over `port`. */
export function answerQuestions(port: MessagePort, service: Service): void {
  const left = new Map<number, AbortController>(); // of those who may leave, by their questions
  port.addEventListener("message", async ({ data }: MessageEvent<Question | Abandoned>) => {
    if ("abandoned" in data) return left.get(data.id)?.abort();
    if (!("method" in data)) return;
    const { id } = data;
    if (data.method === "list") {
      const controller = new AbortController();
      left.set(id, controller);
      data.args[1] = controller.signal;
    }
    const say = (answer: Answer, transfer: Transferable[] = []) =>
      port.postMessage(answer, transfer);
    try {
      const value = await ask(service, data);
      // The platform carries a stream across.
      say({ id, value }, isStreaming(value) ? [value.body] : []);
    } catch (error) {
      if (error instanceof StoreError) say({ id, refusal: error.kind, message: error.message });
      else say({ id, failure: String(error) });
    } finally {
      left.delete(id);
    }
  });
}

function ask({ store, rpc, limit, addHits, metrics, write }: Service, question: Question): unknown {
  switch (question.method) {
    case "get":
      return store.get(...question.args);
    case "link":
      return store.link(...question.args);
    case "put":
      return store.put(...question.args);
    case "update":
      return store.update(...question.args);
    case "delete":
      return store.delete(...question.args);
    case "list":
      return store.list(...question.args);
    case "traffic":
      return store.traffic(...question.args);
    case "health":
      return store.health();
    case "feed":
      return rpc.feed(...question.args);
    case "call":
      return rpc.call(...question.args);
    case "addHits":
      return addHits(...question.args);
    case "metrics":
      return metrics();
    case "write":
      return write(...question.args);
    case "take":
      return limit.take(...question.args);
    case "giveBack":
      return limit.giveBack(...question.args);
  }
}

function isStreaming(value: unknown): value is { body: ReadableStream } {
  return typeof value === "object" && value !== null && "body" in value;
}

/** Asks the thread at the other end of `port`. */
export class Asker {
  #next = 0;
  readonly #waiting = new Map<number, (event: MessageEvent) => void>();

  constructor(private readonly port: MessagePort) {
    port.addEventListener("message", (event) => {
      const { id } = event.data;
      this.#waiting.get(id)?.(event);
      this.#waiting.delete(id);
    });
  }

  /**
   * Calls a method of the service over there.
   *
   * @throws {StoreError} what it refused
   */
  ask<Name extends keyof Methods>(
    method: Name,
    ...args: Parameters<Methods[Name]>
  ): Promise<Awaited<ReturnType<Methods[Name]>>> {
    const signal = args.find((arg): arg is AbortSignal => arg instanceof AbortSignal);
    checkLeft(signal);
    const { promise, resolve, reject } = Promise.withResolvers<
      Awaited<ReturnType<Methods[Name]>>
    >();
    const id = this.#next++;
    this.#waiting.set(id, ({ data }) => {
      if ("value" in data) resolve(data.value);
      else if ("failure" in data) reject(new Error(data.failure));
      // A flood of unknown keys must not pay for a stack trace apiece.
      else if (data.refusal === errNotFound.kind) reject(errNotFound);
      else if (data.refusal === errExpired.kind) reject(errExpired);
      else reject(new StoreError(data.refusal, data.message));
    });
    if (signal === undefined) {
      this.port.postMessage({ id, method, args });
      return promise;
    }
    const leave = () => this.port.postMessage({ id, abandoned: true });
    signal.addEventListener("abort", leave, { once: true });
    this.port.postMessage({ id, method, args: args.filter((arg) => arg !== signal) });
    return promise.finally(() => signal.removeEventListener("abort", leave));
  }
}
