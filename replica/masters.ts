/**
 * Which of several masters answers.
 *
 * @module
 */
import { errDown } from "../jsonrpc/client.ts";
import { OwnAddress, pathOf, termOf } from "./judge.ts";
import {
  errDeadline,
  kindOf,
  PROBE_MS,
  Prober,
  type Report,
  type Self,
  type Sign,
} from "./prober.ts";
import type { Transport } from "./transport.ts";
import { Backoff, pause } from "../links/wait.ts";

/** How long a master may take for an answer. */
export const DEADLINE_MS = 2000;
/** The pause before the first try that repeats a failed one. */
export const MIN_BACKOFF_MS = 50;
/** The longest pause before a try is repeated. */
export const MAX_BACKOFF_MS = 2000;
/** At first, those who answer a little later than the first one are heard, too. */
const GRACE_MS = 100;
const STEADY_MS = 1000; // a master that answered for so long is asked at once when it is lost
const BROKEN_MS = 400; // and one that is lost again and again, after so long at most
const MAX_REPORTS = 100; // of one outage

/**
 * Where calls go. One address after the other is tried when a master fails; the one that answers, and
 * is not refused, stays the master until it fails, too.
 */
export class Masters {
  /**
   * `up`: the master answers, as far as is known. `looking`: it was lost, and is looked for. `down`:
   * it was looked for in vain, and still is.
   */
  state: "up" | "looking" | "down" = "up";
  /** Whether any master has answered so far that can tell where links lead. */
  answered = false;
  /** Whether the master that is lost did not answer at all; else its connection was lost. */
  hangs = false;
  #at = 0; // which transport
  #session = new AbortController(); // ends when the master is left
  #closed = new AbortController();
  #up = Promise.withResolvers<void>();
  #path: string[] = []; // the names of the master, and of those above it
  #again?: ReturnType<typeof setTimeout>;
  #since = 0; // when the master was found
  readonly #backoff = new Backoff(MIN_BACKOFF_MS, MAX_BACKOFF_MS, 0); // before it is asked again
  readonly #prober: Prober;
  readonly #listeners: (() => void)[] = [];

  constructor(
    private readonly transports: Transport[],
    private readonly report: Report = () => {},
    self?: Self,
  ) {
    this.#prober = new Prober(this.#closed.signal, report, self);
    this.#up.resolve();
  }

  get transport(): Transport {
    return this.transports[this.#at];
  }

  get addresses(): string[] {
    return this.transports.map(({ address }) => address);
  }

  /** Aborted when the master is left, for another or for none. */
  get session(): AbortSignal {
    return this.#session.signal;
  }

  /** The names of the master and of those above it; none while there is no master. */
  get path(): readonly string[] {
    return this.state === "up" ? this.#path : [];
  }

  get closed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Calls `listener` after each change of the state. */
  watch(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves while a master answers, as far as is known, and once all are left for good. */
  up(): Promise<void> {
    return this.#up.promise;
  }

  /**
   * Asks the master of `session` for a sign of life, and says whether it gave one. If not, it is left,
   * and one that answers is looked for.
   */
  async probe(session: AbortSignal): Promise<boolean> {
    if (session.aborted) return false;
    try {
      await this.ask();
      return !session.aborted;
    } catch (error) {
      if (!session.aborted) this.#leave(error);
      return false;
    }
  }

  /**
   * Looks for a master before anything is sent to any. All are asked, and the one with the latest term
   * is taken, so that one which came back after another took over is not.
   */
  find(): void {
    this.#up = Promise.withResolvers();
    this.#change("looking");
    this.#findFirst();
  }

  async #findFirst(): Promise<void> {
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const signs: (Sign | undefined)[] = [];
    const asked = this.transports.map(async (transport, at) => {
      signs[at] = await this.ask(transport);
      answer();
    });
    const grace = answered.then(() => pause(GRACE_MS, this.#closed.signal));
    const outcomes = await Promise.race([Promise.allSettled(asked), grace]);
    if (this.closed) return;
    let best: number | undefined;
    for (const [at, sign] of signs.entries()) {
      if (sign && (best === undefined || termOf(sign.health) > termOf(signs[best]!.health))) {
        best = at;
      }
    }
    if (best !== undefined) return this.#found(best, signs[best]!);
    const [first] = outcomes ?? [];
    const reason = first?.status === "rejected" ? first.reason : undefined;
    this.hangs = reason === errDeadline;
    this.#look(reason, this.transports.length);
  }

  /** Leaves the master for good. */
  close(): void {
    clearTimeout(this.#again);
    this.#closed.abort(errDown);
    this.#session.abort(errDown);
    this.#up.resolve();
    this.hangs = true; // nobody need wait for it
    this.#change("down");
  }

  #leave(error: unknown): void {
    clearTimeout(this.#again);
    this.#up = Promise.withResolvers();
    this.#session.abort(errDown);
    this.hangs = error === errDeadline;
    const isSteady = performance.now() - this.#since > STEADY_MS;
    this.#backoff.ease(isSteady ? 0 : BROKEN_MS);
    this.#change("looking");
    this.#look(error);
  }

  /**
   * Asks one address after the other for a sign of life, round by round, more and more slowly.
   *
   * @param tries how many were asked already
   */
  async #look(reason: unknown, tries?: number): Promise<void> {
    const count = this.transports.length;
    let failed = this.#at;
    const reported = new Set<string>();
    const report = () => {
      if (reason instanceof OwnAddress) return; // of that is told once
      const { address } = this.transports[failed];
      const text = `${address} ${kindOf(reason)}`;
      if (reported.has(text) || reported.size >= MAX_REPORTS) return;
      reported.add(text); // each says once why it is of no use
      this.report(false, address, reason);
    };
    // One that was cut off may answer the next time, or the one after; one that hangs won't.
    for (tries ??= this.hangs ? 1 : 0;; tries++) {
      if (tries >= (this.hangs ? count : 2 * count) && this.state === "looking") {
        this.#change("down");
        report();
      }
      if (tries % count === 0) await this.#backoff.pause(this.#closed.signal);
      if (this.closed) return;
      const at = (this.#at + tries) % count;
      // Where there are others it is of no use to ask oneself.
      if (this.#prober.own.has(this.transports[at]) && this.#prober.own.size < count) continue;
      try {
        const sign = await this.ask(this.transports[at]);
        if (!this.closed) this.#found(at, sign);
        return;
      } catch (error) {
        reason = error;
        failed = at;
        if (this.state === "down") report();
        this.hangs ||= error === errDeadline;
      }
    }
  }

  #found(at: number, { health }: Sign): void {
    if (at !== this.#at || this.state === "down") this.report(true, this.transports[at].address);
    this.#at = at;
    this.#since = performance.now();
    this.#path = pathOf(health);
    this.answered ||= health.ready;
    const { signal } = this.#session = new AbortController();
    this.hangs = false;
    this.#up.resolve();
    this.#change("up");
    // One that lost its own master may have taken this server for it at the same time.
    const wait = PROBE_MS * (0.5 + Math.random());
    if ("master" in health) this.#again = setTimeout(() => this.probe(signal), wait);
  }

  #change(state: "up" | "looking" | "down"): void {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }

  /**
   * Asks a master for a sign of life.
   *
   * @throws why there is none, or, as a {@linkcode Refusal}, why it is of no use
   */
  async ask(transport = this.transport): Promise<Sign> {
    const sign = await this.#prober.ask(transport);
    if (transport === this.transport) this.#path = pathOf(sign.health);
    return sign;
  }

  /**
   * Refuses a feed of an earlier term than was followed already.
   *
   * @throws {Refusal}
   */
  checkTerm(term?: number): void {
    this.#prober.checkTerm(term);
  }
}
