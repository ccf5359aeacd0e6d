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

  /** Leaves the master for good. */
  close(): void {
    this.#closed.abort(errDown);
    this.#session.abort(errDown);
    this.#up.resolve();
    this.hangs = true; // nobody need wait for it
    this.#change("down");
  }

  #leave(error: unknown): void {
    this.#up = Promise.withResolvers();
    this.#session.abort(errDown);
    this.hangs = error === errDeadline;
    this.#change("looking");
    this.#look(error);
  }

  /** Asks one address after the other for a sign of life, round by round, more and more slowly. */
  async #look(reason: unknown): Promise<void> {
    const count = this.transports.length;
    let failed = this.#at;
    let backoff = 0;
    const reported = new Set<string>();
    const report = () => {
      const { address } = this.transports[failed];
      const text = `${address} ${reason}`;
      if (reported.has(text) || reported.size >= MAX_REPORTS) return;
      reported.add(text); // each says once why it is of no use
      this.report(false, address, reason);
    };
    // One that was cut off may answer the next time; one that hangs won't.
    for (let tries = this.hangs ? 1 : 0;; tries++) {
      if (tries >= count && this.state === "looking") {
        this.#change("down");
        report();
      }
      if (tries % count === 0) {
        await pause(backoff * (1 + Math.random()) / 2, this.#closed.signal);
        backoff = Math.min(Math.max(2 * backoff, MIN_BACKOFF_MS), MAX_BACKOFF_MS);
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
    this.#session = new AbortController();
    this.hangs = false;
    this.#up.resolve();
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
