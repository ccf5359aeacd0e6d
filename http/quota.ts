/**
 * What one client may hold, so that it leaves something to others.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { sizeOf } from "./answers.ts";
import { clientOf, networkOf, type Peer } from "./client.ts";

/** So many bytes one client may hold in each thread: of bodies, and of answers it has not taken. */
export const CLIENT_BYTES = 16 << 20;
/** The same, of `/rpc` where it asks for no token: less than all bodies may hold, so that it leaves room. */
export const CLIENT_RPC_BYTES = 24 << 20;
/** So many bytes a request counts at least, until its answer was taken. */
export const REQUEST_BYTES = 4 << 10;

/**
 * An amount that each client has for itself.
 *
 * @example
 * ```ts
 * const quota = new Quota(100);
 * quota.take("192.0.2.7", 60); // true
 * quota.take("192.0.2.7", 60); // false: there are 40 left
 * quota.take("192.0.2.8", 60); // true
 * ```
 */
export class Quota {
  readonly #used = new Map<string, number>(); // of those who hold something

  constructor(private readonly limit: number) {}

  /** How many clients hold something. */
  get size(): number {
    return this.#used.size;
  }

  /** Takes so much of what `client` has, if it is there. */
  take(client: string, amount: number): boolean {
    const used = (this.#used.get(client) ?? 0) + amount;
    if (used > this.limit) return false;
    this.#used.set(client, used);
    return true;
  }

  /** Gives back what `client` took. */
  give(client: string, amount: number): void {
    const left = (this.#used.get(client) ?? 0) - amount;
    if (left > 0) this.#used.set(client, left);
    else this.#used.delete(client);
  }
}

/** What one request holds of its client's quota, until it ends: its answer was taken, or its connection is gone. */
export class Hold {
  #taken = 0;
  #ended = false;

  /**
   * @param completed as {@linkcode until} waits for it, where it is to be waited for from the start
   * @throws {StoreError} unavailable: the client holds too much
   */
  constructor(
    private readonly quota: Quota,
    private readonly client: string,
    amount: number,
    completed?: Promise<void>,
  ) {
    if (completed !== undefined) this.until(completed);
    this.take(amount, "requests");
  }

  /** Gives back all that is held. */
  end(): void {
    this.give(this.#taken);
    this.#ended = true;
  }

  /** Ends once `completed` settles: its connection, or its stream of HTTP/2, has ended; at once without it. */
  until(completed: Promise<void> | undefined): void {
    if (completed === undefined) return this.end();
    const end = () => this.end();
    completed.then(end, end); // it rejects where the answer can't be sent: nobody may ask for it and not listen
  }

  /**
   * Takes so many bytes more.
   *
   * @throws {StoreError} unavailable: the client holds too much
   */
  take(amount: number, what: "requests" | "bodies" | "answers"): void {
    if (this.#ended) return; // what is done for a client that went is soon over
    if (!this.quota.take(this.client, amount)) {
      throw new StoreError("unavailable", `too many ${what} of this client are on their way`);
    }
    this.#taken += amount;
  }

  /** Gives some of them back. */
  give(amount: number): void {
    if (this.#ended) return;
    this.#taken -= amount;
    this.quota.give(this.client, amount);
  }
}

const HOLD = Symbol("hold");

/**
 * A request, which bears what it holds. (A map of requests, weak or not, makes more work for the collector of
 * garbage than all else that is done for a quota.)
 */
type Held = Request & { [HOLD]?: Hold };

/** What `req` holds, if its client has a quota. */
export function holdOf(req: Held): Hold | undefined {
  return req[HOLD];
}

/**
 * Answers a request, which holds what `hold` does until its answer was taken. The runtime takes one that is no
 * stream at once: only for streams it is asked when they ended, since it makes much of that.
 *
 * @throws {StoreError} unavailable: the client holds too much
 */
export function answerHeld(
  hold: Hold,
  peer: Peer | undefined,
  answer: () => Response | Promise<Response>,
): Response | Promise<Response> {
  const held = (response: Response) => {
    const bytes = sizeOf(response);
    if (bytes === undefined) {
      hold.end();
      return response;
    }
    hold.until(peer?.completed);
    try {
      hold.take(bytes, "answers");
      return response;
    } catch (error) {
      response.body?.cancel();
      throw error;
    }
  };
  const failed = (error: unknown) => {
    hold.end();
    throw error;
  };
  let response: Response | Promise<Response>;
  try {
    response = answer();
  } catch (error) {
    return failed(error);
  }
  return response instanceof Response ? held(response) : response.then(held, failed);
}

/** Which clients have a quota. */
export interface QuotaOptions {
  /** How many proxies in front are believed. */
  proxies?: number;
  /** RPC, whose callers have none if it asks for a token: those of one address may be many replicas. */
  rpc?: { token?: string };
  /** How many feeds one client may follow. */
  feeds?: number;
}

/**
 * Makes what counts a request for `path` among what its client holds, and gives what is to be ended. Redirects
 * never come here, and probes are not counted: a balancer in front asks for its own sake.
 */
export function quotas(
  { proxies = 0, rpc, feeds = Infinity }: QuotaOptions,
): (req: Held, path: string, peer: Peer | undefined) => Hold | undefined {
  const common = new Quota(CLIENT_BYTES);
  const ofRPC = new Quota(CLIENT_RPC_BYTES);
  const ofFeeds = new Quota(feeds);
  return (req, path, peer) => {
    if (peer === undefined || path === "healthz" || path === "readyz") return;
    const isCall = path === "rpc";
    const isFeed = path === "rpc/log";
    if ((isCall || isFeed) && rpc?.token !== undefined) return;
    const quota = isFeed ? ofFeeds : isCall ? ofRPC : common;
    const client = networkOf(clientOf(req, peer, proxies));
    return req[HOLD] = new Hold(quota, client, isFeed ? 1 : REQUEST_BYTES);
  };
}
