/**
 * Calls on their way to a master, many in one request.
 *
 * @module
 */
import { fromBatch, type Outcome, toBatch, toCall } from "../jsonrpc/batch.ts";
import { NO_ROOM, type RPCError } from "../jsonrpc/server.ts";
import type { Position } from "../journal/position.ts";
import { errExpired, errNotFound, type Refusal, StoreError } from "../links/errors.ts";
import { type Answer, CODES, errDown } from "../jsonrpc/client.ts";
import { DEADLINE_MS, type Masters, MAX_BACKOFF_MS, MIN_BACKOFF_MS } from "./masters.ts";
import { errDeadline } from "./prober.ts";
import type { Transport } from "./transport.ts";
import { limit, pause } from "../links/wait.ts";

const MAX_SENT = 2_000; // calls that are sent at once
const MAX_SENT_CHARS = 256 << 10; // of four bytes at most, so that the server's 1 MiB holds them
const MAX_QUEUE = 20_000; // calls that wait to be sent
const MAX_MESSAGE = 500; // characters of what a master says to a call that it refuses
const MAX_FAILURES = 5; // in a row, until reads are refused for a while

const errBusy = new StoreError("unavailable", "too many calls are waiting for the master");
const errNoAnswer = new StoreError("unavailable", "master gave no answer");
const errMaybeSaved = new StoreError("unavailable", "may have been saved");
/** Refusals of which another master, or the same one later, may think otherwise. */
const PASSING = new Set<Refusal>(["not found", "exists", "expired", "forbidden", "full"]);

/** A call on its way. */
interface Call {
  text: string;
  since: number;
  deadline: number;
  resolve: (answer: Answer) => void;
  reject: (error: StoreError) => void;
  /** The master that it was sent to first, which gave no answer. */
  tried?: Transport;
}

/**
 * One request at a time; calls made meanwhile travel together in the next. A request whose connection
 * was lost is repeated: whether the master did the work, nobody knows. So every write has an id, by
 * which it is done once. One that another master refuses then may still be under way at the first: nobody knows.
 */
export class Lane {
  #queue: Call[] = []; // in the order of the deadlines
  #sending = false;
  #failures = 0; // in a row, of a master that is alive
  #retry = 0; // when to try again after them
  #expiry?: ReturnType<typeof setTimeout>;

  /**
   * @param patient whether calls wait for a lost master until their deadline: it may have done the work
   * @param repeats whether calls whose request failed are sent again; else they are refused
   */
  constructor(
    private readonly masters: Masters,
    private readonly patient: boolean,
    private readonly repeats = true,
  ) {
    masters.watch(() => this.#changed());
  }

  /** Whether calls are refused at once. */
  get down(): boolean {
    if (this.masters.state === "down") return true;
    return !this.patient && this.#failures >= MAX_FAILURES && performance.now() < this.#retry;
  }

  /**
   * Calls a method.
   *
   * @throws {StoreError} unavailable: after 2 s, or at once when no master is known to answer
   */
  call(method: string, params: (string | undefined)[], since: number): Promise<Answer> {
    if (this.down) return Promise.reject(errDown);
    if (this.#queue.length >= MAX_QUEUE) return Promise.reject(errBusy);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const deadline = performance.now() + DEADLINE_MS;
    this.#queue.push({ text: toCall(method, params), since, deadline, resolve, reject });
    this.#expiry ??= setTimeout(() => this.#expire(), DEADLINE_MS);
    if (!this.#sending) this.#send();
    return promise;
  }

  async #send(): Promise<void> {
    this.#sending = true;
    await undefined; // calls made in the same turn travel together
    while (this.#queue.length > 0 && this.masters.state === "up") {
      const { session } = this.masters;
      const calls = this.#take();
      if (calls.length === 0 || await this.#request(calls)) continue;
      // The master may be alive: then this was a bad moment, or something that can't succeed.
      if (!await this.masters.probe(session)) continue;
      const wait = ++this.#failures === 1 ? 0 : MIN_BACKOFF_MS * 2 ** (this.#failures - 2);
      this.#retry = performance.now() + Math.min(wait, MAX_BACKOFF_MS);
      if (this.down) refuse(this.#queue.splice(0), errDown);
      else await pause(this.#retry - performance.now(), session);
    }
    this.#sending = false;
  }

  /** Sends calls; false if they are to be sent again. */
  async #request(calls: Call[]): Promise<boolean> {
    const { session, transport } = this.masters;
    const text = toBatch(calls.map(({ text }) => text));
    const since = Math.max(...calls.map(({ since }) => since));
    const left = calls[0].deadline - performance.now();
    // A master that is slow is no master that is lost.
    const doubt = setTimeout(() => this.masters.probe(session), DEADLINE_MS / 2);
    try {
      const send = (signal: AbortSignal) => transport.call(text, since, signal);
      const reply = await limit(left, errDeadline, session, send);
      const outcomes = fromBatch(reply.text, calls.length);
      const rest = settle(calls, outcomes, reply.position, this.patient ? transport : undefined);
      if (rest.length < calls.length) this.#queue.unshift(...rest); // those go with the next request
      else refuse(rest, errNoAnswer);
      this.#failures = 0;
      return true;
    } catch (error) {
      if (error === errDeadline) {
        refuse(calls, errDeadline);
        return true;
      }
      if (!this.repeats) {
        refuse(calls, errNoAnswer);
        return true;
      }
      for (const call of calls) call.tried ??= transport;
      this.#queue.unshift(...calls);
      this.#changed(); // the state may be another since these were sent
      return false;
    } finally {
      clearTimeout(doubt);
    }
  }

  /** Takes from the queue what the next request can hold. */
  #take(): Call[] {
    this.#expire();
    let chars = 0;
    let count = 0;
    while (count < this.#queue.length && count < MAX_SENT && chars < MAX_SENT_CHARS) {
      chars += this.#queue[count++].text.length;
    }
    return this.#queue.splice(0, count);
  }

  /** Refuses those who waited too long. */
  #expire(): void {
    clearTimeout(this.#expiry);
    this.#expiry = undefined;
    const now = performance.now();
    const first = this.#queue.findIndex(({ deadline }) => deadline > now);
    refuse(this.#queue.splice(0, first === -1 ? this.#queue.length : first), errDeadline);
    if (this.#queue.length === 0) return;
    this.#expiry = setTimeout(() => this.#expire(), Math.ceil(this.#queue[0].deadline - now));
  }

  /** Does what the state of the masters asks for. */
  #changed(): void {
    const { state, hangs } = this.masters;
    if (state === "down" && (hangs || !this.patient)) {
      refuse(this.#queue.splice(0), errDown);
      this.#expire();
    }
    if (state === "up" && !this.#sending) this.#send();
  }
}

/**
 * Gives every call what it came to, but for those that the answer had no room for, which it gives.
 *
 * @param asked who answered, if these are writes
 */
function settle(
  calls: Call[],
  outcomes: (Outcome | undefined)[],
  position: Position,
  asked?: Transport,
): Call[] {
  return calls.filter(({ resolve, reject, tried = asked }, i) => {
    const outcome = outcomes[i];
    if (outcome?.error?.code === NO_ROOM) return true;
    if (outcome === undefined) reject(errNoAnswer);
    else if (outcome.error === undefined) resolve({ result: outcome.result, position });
    else {
      const error = toStoreError(outcome.error);
      if (asked !== tried && asked && PASSING.has(error.kind)) reject(errMaybeSaved);
      else resolve({ error, position });
    }
    return false;
  });
}

function refuse(calls: Call[], error: StoreError): void {
  for (const { reject } of calls) reject(error);
}

/** The refusal that an error stands for. */
function toStoreError({ code, message, data }: RPCError): StoreError {
  // A flood of unknown keys must not pay for a stack trace apiece.
  if (code === CODES.get("not found")) return errNotFound;
  if (code === CODES.get("expired")) return errExpired;
  const text = message.slice(0, MAX_MESSAGE).replace(/\p{C}/gu, " ");
  for (const [kind, known] of CODES) {
    if (known === code && (data === undefined || data === kind)) {
      return new StoreError(kind, text);
    }
  }
  return new StoreError("unavailable", `master answered ${code} ${text}`);
}
