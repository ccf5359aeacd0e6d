/**
 * Which of several masters answers.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { errDown, type Reply } from "../rpc.ts";
import type { Transport } from "./transport.ts";
import { limit, pause } from "./wait.ts";

/** How long a master may take for an answer. */
export const DEADLINE_MS = 2000;
/** How long it may take to show that it is alive: any server answers for its health in half of that. */
const PROBE_MS = 1000;
/** Tries that fail are repeated after so long at first, */
export const MIN_BACKOFF_MS = 50;
/** and so long at last. */
export const MAX_BACKOFF_MS = 2000;
const MAX_REPORTS = 100; // of one outage

/** A master did not answer in time. */
export const errDeadline = new StoreError("unavailable", "master did not answer in time");

/** Told when the master is lost, and why, and when one answers again. */
export type Report = (up: boolean, address: string, error?: unknown) => void;

/**
 * Where calls go. One address after the other is tried when a master fails; the one that answers
 * stays the master until it fails, too.
 */
export class Masters {
  /**
   * `up`: the master answers, as far as is known. `looking`: it was lost, and is looked for. `down`:
   * it was looked for in vain, and still is.
   */
  state: "up" | "looking" | "down" = "up";
  /** Whether the master that is lost did not answer at all; else its connection was lost. */
  hangs = false;
  #at = 0; // which transport
  #session = new AbortController(); // ends when the master is left
  #closed = new AbortController();
  #up = Promise.withResolvers<void>();
  #backoff = 0; // grows while all fails, also where signs of life alternate with failures
  #since = 0; // when the master last began to answer
  readonly #listeners: (() => void)[] = [];

  constructor(
    private readonly transports: Transport[],
    private readonly report: Report = () => {},
  ) {
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

  /** Asks the master of `session` for a sign of life, and says whether it gave one; if not, it is left. */
  async probe(session = this.session): Promise<boolean> {
    if (session.aborted) return false;
    try {
      await this.ask(this.transport);
      return true;
    } catch (error) {
      this.leave(session, error, error === errDeadline);
      return false;
    }
  }

  /**
   * Leaves the master of `session`, unless it was left already.
   *
   * @param hangs whether it didn't answer at all; else the connection was lost
   */
  leave(session: AbortSignal, error: unknown, hangs: boolean): void {
    if (session !== this.session || session.aborted) return;
    this.#up = Promise.withResolvers();
    this.#session.abort(errDown);
    if (performance.now() - this.#since > MAX_BACKOFF_MS) this.#backoff = 0;
    this.hangs = hangs;
    this.#change("looking");
    this.#look(error);
  }

  /** Notes that the master did what it was asked for. */
  worked(): void {
    this.#backoff = 0;
  }

  /** Leaves the master for good. */
  close(): void {
    this.#closed.abort(errDown);
    this.#session.abort(errDown);
    this.#up.resolve();
    this.hangs = true; // nobody need wait for it
    this.#change("down");
  }

  /** Asks one address after the other for a sign of life, round by round, more and more slowly. */
  async #look(reason: unknown): Promise<void> {
    const count = this.transports.length;
    let failed = this.#at;
    const reported = new Set<string>();
    const report = () => {
      const { address } = this.transports[failed];
      const text = `${address} ${reason}`;
      if (reported.has(text) || reported.size >= MAX_REPORTS) return;
      reported.add(text); // each says once why it is of no use
      this.report(false, address, reason);
    };
    // A lost connection need not be a lost master: it is asked first, unless it was that that hung.
    for (let tries = this.hangs ? 1 : 0;; tries++) {
      // One more cut needn't mean much; a sign of life from where all else fails doesn't either.
      const inVain = tries >= (this.hangs ? count : 2 * count) ||
        this.#backoff > 4 * MIN_BACKOFF_MS;
      if (inVain && this.state === "looking") {
        this.#change("down");
        report();
      }
      if (tries % count === 0) {
        await pause(this.#backoff * (1 + Math.random()) / 2, this.#closed.signal);
        this.#backoff = Math.min(Math.max(2 * this.#backoff, MIN_BACKOFF_MS), MAX_BACKOFF_MS);
      }
      if (this.closed) return;
      const at = (this.#at + tries) % count;
      try {
        await this.ask(this.transports[at]);
        if (this.closed) return;
        if (at !== this.#at || this.state === "down") {
          this.report(true, this.transports[at].address);
        }
        this.#at = at;
        break;
      } catch (error) {
        reason = error;
        failed = at;
        if (this.state === "down") report();
        this.hangs ||= error === errDeadline;
      }
    }
    this.#since = performance.now();
    this.#session = new AbortController();
    this.#up.resolve();
    this.hangs = false;
    this.#change("up");
  }

  #change(state: "up" | "looking" | "down"): void {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }

  /** Asks a master for a sign of life. */
  async ask(transport = this.transport): Promise<Reply> {
    const request = '{"jsonrpc":"2.0","id":0,"method":"Store.Health"}';
    return await limit(PROBE_MS, errDeadline, this.#closed.signal, async (signal) => {
      const reply = await transport.call(request, 0, signal);
      const { result }: { result?: unknown } = Object(JSON.parse(reply.text));
      if (!result) throw new Error(`no health: ${reply.text.slice(0, 200)}`);
      return reply;
    });
  }
}
