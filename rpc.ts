/**
 * A {@linkcode Store} served to others, and called from afar: JSON-RPC 2.0.
 *
 * @module
 */
import type { LogStream } from "./log.ts";
import { errNotFound, type Refusal, type Store, StoreError } from "./store.ts";

const MAX_BATCH = 10_000; // calls that a server takes at once
const MAX_SENT = 2_000; // calls that a client sends at once
const MAX_SENT_CHARS = 256 << 10; // of four bytes at most, so that the server's 1 MiB holds them
const MAX_QUEUE = 20_000; // calls that wait to be sent
const MAX_ID = 64; // characters
const MAX_REPORTS = 100; // of one outage
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
    const refusal = error instanceof StoreError ? error : undefined;
    if (!refusal) onError(error);
    if (id === undefined) return;
    return refusal
      ? failure(id, CODES[refusal.kind], refusal.message, refusal.kind)
      : failure(id, -32603, "Internal error");
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
    if (value === null || value === undefined) {
      if (i < required) return;
      args.push(undefined);
      continue;
    }
    if (typeof value !== "string") return;
    if (names[i] === "id" && (value === "" || value.length > MAX_ID)) return;
    args.push(value);
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
      // The pipe keeps the signal: that of a fetch may go with the garbage once the head is there.
      body: response.body.pipeThrough(new TransformStream(), { signal }),
    };
  }
}

const WRITES = new Set(["Store.Put", "Store.Update", "Store.Delete"]);

/** A call on its way. */
interface Call {
  text: string; // the request, but for its opening `{"jsonrpc":"2.0","id":N`
  writes: boolean;
  deadline: number;
  resolve: (result: unknown) => void;
  reject: (error: StoreError) => void;
}

/** No master answers. */
export const errDown = new StoreError("unavailable", "master out of reach");
const errBusy = new StoreError("unavailable", "too many calls are waiting for the master");
const errDeadline = new StoreError("unavailable", "master did not answer in time");
const errNoAnswer = new StoreError("unavailable", "master gave no answer");

/**
 * Calls a master. One request is in flight; calls made meanwhile travel together in the next.
 * When the master fails, the next address is tried; when none answers, calls are refused at once.
 *
 * A request whose connection was lost is repeated: whether the master did the work, nobody knows.
 * Every write has an id, by which it is done once.
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
  #lost = false; // and looked for
  #down = false; // looked for in vain
  #up = Promise.withResolvers<void>();
  #closed = new AbortController();
  #session = new AbortController(); // ends when the master is left, for another or for none
  #request = new AbortController(); // the one in flight
  #backoff = 0; // grows while all fails, also where signs of life alternate with failures
  #since = 0; // when the master last began to answer
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
    if (this.#down || this.#closed.signal.aborted) return Promise.reject(errDown);
    if (this.#queue.length >= MAX_QUEUE) return Promise.reject(errBusy);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const text = `,"method":"${method}","params":${JSON.stringify(params)}}`;
    const writes = WRITES.has(method);
    const deadline = performance.now() + DEADLINE_MS;
    this.#queue.push({ text, writes, deadline, resolve, reject });
    if (this.#lost) this.#dropLate();
    else if (!this.#sending) this.#send();
    return promise;
  }

  /** Opens the master's log; it ends when the master is left. */
  async log(offset: number | undefined, check: string | undefined, signal: AbortSignal) {
    const signals = AbortSignal.any([signal, this.#session.signal]);
    return await this.transports[this.#at].log(offset, check, signals);
  }

  /** Resolves while a master answers, as far as is known, and when the client is closed. */
  up(): Promise<void> {
    return this.#up.promise;
  }

  /** Asks the master for a sign of life, and says whether it gave one; if not, it is left. */
  async probe(): Promise<boolean> {
    if (this.#lost || this.#closed.signal.aborted) return false;
    const session = this.#session;
    try {
      await this.#ask(this.transports[this.#at]);
      return true;
    } catch (error) {
      if (session === this.#session && !this.#lost) this.#leave(error, error === errDeadline);
      return false;
    }
  }

  /** Leaves the master for good. */
  close(): void {
    this.#closed.abort();
    this.#session.abort();
    this.#request.abort();
    this.#up.resolve();
    clearTimeout(this.#expiry);
    refuse(this.#queue.splice(0), errDown);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    await undefined; // calls made in the same turn travel together
    while (this.#queue.length > 0 && !this.#lost) {
      const calls = this.#take();
      if (calls.length === 0) break;
      const session = this.#session;
      const request = this.#request = new AbortController();
      const timer = setTimeout(
        () => request.abort(errDeadline),
        calls[0].deadline - performance.now(),
      );
      try {
        settle(calls, await this.transports[this.#at].call(toBatch(calls), request.signal));
        this.#backoff = 0;
      } catch (error) {
        const late = request.signal.reason === errDeadline;
        if (late) refuse(calls, errDeadline);
        else this.#queue.unshift(...calls);
        if (this.#lost) this.#dropLate();
        else if (session === this.#session) this.#leave(error, late);
      } finally {
        clearTimeout(timer);
      }
    }
    this.#sending = false;
  }

  /** Takes from the queue what the next request can hold. */
  #take(): Call[] {
    this.#dropLate();
    let chars = 0;
    let count = 0;
    while (count < this.#queue.length && count < MAX_SENT && chars < MAX_SENT_CHARS) {
      chars += this.#queue[count++].text.length;
    }
    return this.#queue.splice(0, count);
  }

  /** Refuses those who waited too long, now and as long as the master is lost. */
  #dropLate(): void {
    clearTimeout(this.#expiry);
    const now = performance.now();
    let count = 0; // the queue is in the order of the deadlines
    while (count < this.#queue.length && this.#queue[count].deadline <= now) count++;
    if (count > 0) refuse(this.#queue.splice(0, count), errDeadline);
    if (!this.#lost || this.#queue.length === 0) return;
    this.#expiry = setTimeout(() => this.#dropLate(), Math.ceil(this.#queue[0].deadline - now));
  }

  /** The master failed: it lost the connection, or it hangs. */
  #leave(error: unknown, hangs: boolean): void {
    if (this.#closed.signal.aborted) return refuse(this.#queue.splice(0), errDown);
    this.#lost = true;
    this.#up = Promise.withResolvers<void>();
    this.#session.abort();
    this.#request.abort();
    this.#dropLate();
    if (performance.now() - this.#since > MAX_BACKOFF_MS) this.#backoff = 0;
    this.#recover(error, hangs);
  }

  /** Asks one address after the other for a sign of life, round by round, more and more slowly. */
  async #recover(reason: unknown, hangs: boolean): Promise<void> {
    const count = this.transports.length;
    let failed = this.#at;
    const reported = new Set<string>();
    const report = () => {
      const { address } = this.transports[failed];
      const text = `${address} ${reason}`;
      if (reported.has(text) || reported.size >= MAX_REPORTS) return;
      reported.add(text); // each says once why it is of no use
      this.onChange(false, address, reason);
    };
    // A lost connection need not be a lost master: it is asked first, unless it was that that hung.
    for (let tries = hangs ? 1 : 0;; tries++) {
      // One more cut needn't mean much; a sign of life from where all else fails doesn't either.
      const inVain = tries >= (hangs ? count : 2 * count) || this.#backoff > 4 * MIN_BACKOFF_MS;
      if (inVain && !this.#down) {
        this.#down = true;
        // A write may have been done: if the master is back in time, it will tell.
        const waiting = this.#queue.splice(0);
        if (!hangs) this.#queue = waiting.filter(({ writes }) => writes);
        refuse(hangs ? waiting : waiting.filter(({ writes }) => !writes), errDown);
        report();
      }
      if (tries % count === 0) {
        await pause(this.#backoff * (1 + Math.random()) / 2, this.#closed.signal);
        if (this.#closed.signal.aborted) return;
        this.#backoff = Math.min(Math.max(2 * this.#backoff, MIN_BACKOFF_MS), MAX_BACKOFF_MS);
      }
      const at = (this.#at + tries) % count;
      try {
        await this.#ask(this.transports[at]);
        if (at !== this.#at || this.#down) this.onChange(true, this.transports[at].address);
        this.#at = at;
        break;
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        reason = error;
        failed = at;
        if (this.#down) report();
        hangs ||= error === errDeadline;
      }
    }
    clearTimeout(this.#expiry);
    this.#since = performance.now();
    this.#session = new AbortController();
    this.#lost = this.#down = false;
    this.#up.resolve();
    if (!this.#sending) this.#send();
  }

  async #ask(transport: Transport): Promise<void> {
    const request = new AbortController();
    const abort = () => request.abort();
    const timer = setTimeout(() => request.abort(errDeadline), DEADLINE_MS);
    this.#closed.signal.addEventListener("abort", abort);
    try {
      const text = '{"jsonrpc":"2.0","id":0,"method":"Store.Health"}';
      const answer = await transport.call(text, request.signal);
      if (!JSON.parse(answer).result) throw new Error(`no health: ${answer.slice(0, 200)}`);
    } finally {
      clearTimeout(timer);
      this.#closed.signal.removeEventListener("abort", abort);
    }
  }
}

function toBatch(calls: Call[]): string {
  let text = "";
  for (let id = 0; id < calls.length; id++) {
    text += `${id ? "," : "["}{"jsonrpc":"2.0","id":${id}${calls[id].text}`;
  }
  return `${text}]`;
}

function refuse(calls: Call[], error: StoreError): void {
  for (const call of calls) call.reject(error);
}

/** Gives every call its answer out of a batch's. */
function settle(calls: Call[], text: string): void {
  const answers: { id: number; result?: unknown; error?: RPCError }[] = JSON.parse(text);
  if (!Array.isArray(answers)) throw new Error(`not a batch: ${text.slice(0, 200)}`);
  const found: typeof answers = [];
  for (const answer of answers) found[answer.id] = answer; // they may come in any order
  for (let id = 0; id < calls.length; id++) {
    const answer = found[id];
    if (answer === undefined) calls[id].reject(errNoAnswer);
    else if (answer.error) calls[id].reject(toStoreError(answer.error));
    else calls[id].resolve(answer.result);
  }
}

/** The error member of an answer. */
interface RPCError {
  code: number;
  message: string;
  data?: unknown;
}

function toStoreError({ code, message, data }: RPCError): StoreError {
  // A flood of unknown keys must not pay for a stack trace apiece.
  if (code === CODES["not found"]) return errNotFound;
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
