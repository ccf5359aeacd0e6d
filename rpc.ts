/**
 * A {@linkcode Store} served to others, and called from afar: JSON-RPC 2.0.
 *
 * @module
 */
import { type Refusal, type Store, StoreError } from "./store.ts";
import type { LogStream } from "./log.ts";

const MAX_BATCH = 10_000; // calls that a server takes at once
const MAX_SENT = 2_000; // calls that a client sends at once
const MAX_SENT_CHARS = 256 << 10; // of four bytes at most, so that the server's 1 MiB holds them
const MAX_QUEUE = 100_000; // calls that wait to be sent
const MAX_ID = 64; // characters
const DEADLINE_MS = 2000;
const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2000;

const CODES: Record<Refusal, number> = {
  "not found": -32001,
  "exists": -32002,
  "invalid url": -32003,
  "invalid key": -32004,
  "unavailable": -32005,
  "full": -32005, // the kind, which goes along as data, tells it from the one above
};

/** What a method takes, by name and position, and does. */
interface Method {
  params: string[];
  required: number;
  call(store: Store, args: Params): unknown;
}
type Params = (string | undefined)[];

const METHODS = new Map<string, Method>([
  ["Store.Get", {
    params: ["key"],
    required: 1,
    call: (store, [key = ""]) => store.get(key),
  }],
  ["Store.Put", {
    params: ["url", "key", "id"],
    required: 1,
    call: (store, [url = "", key, id]) => store.put(url, key, id),
  }],
  ["Store.Update", {
    params: ["key", "url", "id"],
    required: 2,
    call: (store, [key = "", url = "", id]) => store.update(key, url, id).then(() => true),
  }],
  ["Store.Delete", {
    params: ["key", "id"],
    required: 1,
    call: (store, [key = "", id]) => store.delete(key, id).then(() => true),
  }],
  ["Store.Health", { params: [], required: 0, call: (store) => store.health() }],
]);

/** An answer to one request; a notification has none. */
type Answer = string | undefined;

/**
 * Serves `store` by JSON-RPC: a text in, a text out, or nothing where the text holds only
 * notifications. The answer is there at once where the store's are.
 *
 * @example
 * ```ts
 * serveRPC(store)('{"jsonrpc":"2.0","method":"Store.Get","params":["0"],"id":1}');
 * // {"jsonrpc":"2.0","id":1,"result":"https://example.com/"}
 * ```
 */
export function serveRPC(
  store: Store,
  onError: (error: unknown) => void = () => {},
): (text: string) => Answer | Promise<Answer> {
  return (text) => {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return failure(null, -32700, "Parse error");
    }
    if (!Array.isArray(body)) return answer(store, body, onError);
    if (body.length === 0) return failure(null, -32600, "Invalid Request");
    if (body.length > MAX_BATCH) {
      return failure(null, -32600, `Invalid Request: a batch holds at most ${MAX_BATCH} calls`);
    }
    let waits = false;
    const answers = body.map((request) => {
      const one = answer(store, request, onError);
      waits ||= one instanceof Promise;
      return one;
    });
    return waits ? Promise.all(answers).then(batch) : batch(answers as Answer[]);
  };
}

function batch(answers: Answer[]): Answer {
  const texts = answers.filter((answer) => answer !== undefined);
  return texts.length > 0 ? `[${texts.join(",")}]` : undefined;
}

function answer(
  store: Store,
  request: unknown,
  onError: (error: unknown) => void,
): Answer | Promise<Answer> {
  if (typeof request !== "object" || request === null || Array.isArray(request)) {
    return failure(null, -32600, "Invalid Request");
  }
  const { jsonrpc, method, params, id } = request as { [name: string]: unknown };
  if (!(typeof id === "string" || typeof id === "number" || id === null || id === undefined)) {
    return failure(null, -32600, "Invalid Request");
  }
  if (jsonrpc !== "2.0" || typeof method !== "string") {
    return failure(id ?? null, -32600, "Invalid Request");
  }
  const refuse = (error: unknown) => {
    if (id === undefined) return;
    if (error instanceof StoreError) {
      return failure(id, CODES[error.kind], error.message, error.kind);
    }
    onError(error);
    return failure(id, -32603, "Internal error");
  };
  const success = (result: unknown) =>
    id === undefined
      ? undefined
      : `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result)}}`;
  const known = METHODS.get(method);
  if (!known) return id === undefined ? undefined : failure(id, -32601, "Method not found");
  const args = bind(known, params);
  if (!args) return id === undefined ? undefined : failure(id, -32602, "Invalid params");
  try {
    const result = known.call(store, args);
    return result instanceof Promise ? result.then(success, refuse) : success(result);
  } catch (error) {
    return refuse(error);
  }
}

/** Params by position or by name, all strings; an optional one may be null. */
function bind({ params: names, required }: Method, params: unknown = []): Params | undefined {
  if (typeof params !== "object" || params === null) return;
  let values: unknown[];
  if (Array.isArray(params)) {
    values = params;
  } else {
    const named = params as { [name: string]: unknown };
    if (Object.keys(named).some((name) => !names.includes(name))) return;
    values = names.map((name) => named[name]);
  }
  if (values.length > names.length || values.length < required) return;
  const args: Params = [];
  for (const [i, value] of values.entries()) {
    if (names[i] === "id" && typeof value === "string" && value.length > MAX_ID) return;
    if (typeof value === "string") args.push(value);
    else if (args.length >= required && (value === null || value === undefined)) {
      args.push(undefined);
    } else return;
  }
  return args;
}

function failure(id: string | number | null, code: number, message: string, data?: string) {
  return JSON.stringify({ jsonrpc: "2.0", id, error: { code, message, data } });
}

/** What carries calls and the log to a master: HTTP, or the port to another thread. */
export interface Transport {
  readonly address: string;
  /** Sends a JSON-RPC text and gives the answer's. */
  call(text: string, signal: AbortSignal): Promise<string>;
  /** Opens the log at `offset` (none: its end). */
  log(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<LogStream>;
}

/** The way to a master by `fetch`. */
export class HTTPTransport implements Transport {
  readonly #headers: Record<string, string>;

  /** @param address such as `http://localhost:8080` */
  constructor(readonly address: string, token?: string) {
    // Loopback and backbones are faster than any compressor.
    this.#headers = { "content-type": "application/json", "accept-encoding": "identity" };
    if (token !== undefined) this.#headers.authorization = `Bearer ${token}`;
  }

  async call(text: string, signal: AbortSignal): Promise<string> {
    const init = { method: "POST", body: text, headers: this.#headers, signal };
    const response = await fetch(`${this.address}/rpc`, init);
    const answer = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${answer.slice(0, 200)}`);
    return answer;
  }

  async log(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<LogStream> {
    const query = `offset=${offset ?? "end"}${check === undefined ? "" : `&check=${check}`}`;
    const response = await fetch(`${this.address}/rpc/log?${query}`, {
      headers: this.#headers,
      signal,
    });
    if (response.status !== 200 || response.body === null) {
      throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
    }
    return {
      offset: Number(response.headers.get("goto-log-offset")),
      size: Number(response.headers.get("goto-log-size")),
      check: response.headers.get("goto-log-check") ?? undefined,
      body: response.body,
    };
  }
}

/** A call on its way. */
interface Call {
  text: string; // the request, but for its opening `{"jsonrpc":"2.0","id":N`
  deadline: number;
  resolve: (result: unknown) => void;
  reject: (error: StoreError) => void;
}

/** No master answers. */
export const errDown = new StoreError("unavailable", "master out of reach");
const errBusy = new StoreError("unavailable", "too many calls are waiting for the master");
const errDeadline = new StoreError("unavailable", "master did not answer in time");

/**
 * Calls a master. One request is in flight; calls made meanwhile travel together in the next.
 * When the master fails, the next address is tried; when all fail, calls are refused at once until
 * a probe finds one that answers.
 *
 * @example
 * ```ts
 * const client = new Client([new HTTPTransport("http://localhost:8080")]);
 * await client.call("Store.Get", ["0"]);
 * ```
 */
export class Client {
  #at = 0; // which transport
  #queue: Call[] = [];
  #sending = false;
  #down = false;
  #closed = new AbortController();
  #session = new AbortController(); // ends when the master is left, for another or for none
  #up = Promise.withResolvers<void>();
  #expiry?: ReturnType<typeof setTimeout>;

  /** @param onChange told when the master is lost, and when one answers again */
  constructor(
    private readonly transports: Transport[],
    private readonly onChange: (up: boolean, address: string, error?: unknown) => void = () => {},
  ) {
    this.#up.resolve();
  }

  /** Whether no master answers. */
  get down(): boolean {
    return this.#down;
  }

  /** Where calls go. */
  get address(): string {
    return this.transports[this.#at].address;
  }

  /**
   * Calls a method.
   *
   * @throws {StoreError} what the master refused, or unavailable: after 2 s, or at once when the
   * master is known to be out of reach
   */
  call(method: string, params: (string | undefined)[]): Promise<unknown> {
    if (this.#down) return Promise.reject(errDown);
    if (this.#queue.length >= MAX_QUEUE) return Promise.reject(errBusy);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const text = `,"method":"${method}","params":${JSON.stringify(params)}}`;
    this.#queue.push({ text, deadline: performance.now() + DEADLINE_MS, resolve, reject });
    if (!this.#sending) this.#send();
    return promise;
  }

  /** Opens the master's log; it ends when the master is left. */
  async log(offset: number | undefined, check: string | undefined, signal: AbortSignal) {
    const signals = AbortSignal.any([signal, this.#session.signal]);
    return await this.transports[this.#at].log(offset, check, signals);
  }

  /** Resolves while a master answers, as far as is known. */
  up(): Promise<void> {
    return this.#up.promise;
  }

  /** Asks the master for a sign of life; without one, it is left. */
  async probe(): Promise<void> {
    if (this.#down || this.#closed.signal.aborted) return;
    const at = this.#at;
    try {
      await this.#ask(this.transports[at]);
    } catch (error) {
      if (at === this.#at && !this.#down) this.#leave(error);
    }
  }

  close(): void {
    this.#closed.abort();
    this.#session.abort();
    clearTimeout(this.#expiry);
    this.#refuse(this.#queue.splice(0), errDown);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    await undefined; // calls made in the same turn travel together
    while (this.#queue.length > 0 && !this.#down) {
      const calls = this.#take();
      let text = "";
      for (const [id, call] of calls.entries()) {
        text += `${id ? "," : "["}{"jsonrpc":"2.0","id":${id}${call.text}`;
      }
      const left = Math.max(1, Math.ceil(calls[0].deadline - performance.now()));
      const signal = AbortSignal.timeout(left);
      try {
        settle(calls, await this.transports[this.#at].call(`${text}]`, signal));
      } catch (error) {
        if (signal.aborted) {
          this.#refuse(calls, errDeadline);
        } else {
          // Whether it did its work before it was lost, nobody knows: it is repeated elsewhere, or
          // here in a moment. Every write has an id, so that it is done once.
          this.#queue.unshift(...calls);
        }
        this.#leave(error, signal.aborted ? 0 : calls.length);
      }
    }
    this.#sending = false;
  }

  #take(): Call[] {
    let chars = 0;
    let count = 0;
    while (count < this.#queue.length && count < MAX_SENT && chars < MAX_SENT_CHARS) {
      chars += this.#queue[count++].text.length;
    }
    return this.#queue.splice(0, count);
  }

  #refuse(calls: Call[], error: StoreError): void {
    for (const call of calls) call.reject(error);
  }

  /** The master failed: nothing waits for it, but for the first `keep` calls. */
  #leave(error: unknown, keep = 0): void {
    if (this.#closed.signal.aborted) return this.#refuse(this.#queue.splice(0), errDown);
    this.#down = true;
    this.#up = Promise.withResolvers<void>();
    this.#session.abort();
    this.#refuse(this.#queue.splice(keep), errDown);
    const left = keep > 0 ? this.#queue[0].deadline - performance.now() : 0;
    this.#expiry = setTimeout(() => this.#refuse(this.#queue.splice(0), errDown), left);
    this.onChange(false, this.address, error);
    this.#recover();
  }

  /** Probes one address after the other, all at once at first, then more and more slowly. */
  async #recover(): Promise<void> {
    let backoff = MIN_BACKOFF_MS;
    // The one that just failed comes last, unless there is no other.
    for (let tries = 1; !this.#closed.signal.aborted; tries++) {
      const round = Math.floor((tries - 1) / this.transports.length);
      if (round > 0 || this.transports.length === 1) {
        await pause(backoff * (0.5 + Math.random()), this.#closed.signal);
        backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
      }
      const at = (this.#at + 1) % this.transports.length;
      this.#at = at;
      try {
        await this.#ask(this.transports[at]);
        break;
      } catch {
        // The next one, or later.
      }
    }
    if (this.#closed.signal.aborted) return;
    clearTimeout(this.#expiry);
    this.#session = new AbortController();
    this.#down = false;
    this.#up.resolve();
    this.onChange(true, this.address);
    if (!this.#sending) this.#send();
  }

  async #ask(transport: Transport): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), this.#closed.signal]);
    JSON.parse(await transport.call('{"jsonrpc":"2.0","id":0,"method":"Store.Health"}', signal));
  }
}

/** Gives every call its answer out of a batch's. */
function settle(calls: Call[], text: string): void {
  const answers: { id: number; result?: unknown; error?: RPCError }[] = JSON.parse(text);
  if (!Array.isArray(answers)) throw new Error(`Not a batch: ${text.slice(0, 200)}`);
  const found = new Map(answers.map((answer) => [answer.id, answer]));
  for (const [id, { resolve, reject }] of calls.entries()) {
    const answer = found.get(id);
    if (answer === undefined) reject(new StoreError("unavailable", "master gave no answer"));
    else if (answer.error) reject(toStoreError(answer.error));
    else resolve(answer.result);
  }
}

/** The error member of an answer. */
interface RPCError {
  code: number;
  message: string;
  data?: unknown;
}

function toStoreError({ code, message, data }: RPCError): StoreError {
  for (const [kind, known] of Object.entries(CODES)) {
    if (known === code && (code !== -32005 || data === undefined || data === kind)) {
      return new StoreError(kind as Refusal, message);
    }
  }
  return new StoreError("unavailable", `master answered ${code} ${message}`);
}

/** Waits `ms` milliseconds, or until `signal` says otherwise. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
