/**
 * One server of the runtime, and the connections that it has.
 *
 * @module
 */
import { type Address, open } from "./address.ts";
import { type Pair, withPair } from "./certificate.ts";
import type { Handler, Peer } from "./client.ts";
import { InFlight } from "./inflight.ts";

const LEAVE_MS = 1000; // for clients to go on elsewhere
const READ_MS = 20; // for what came while the machine was busy
const QUIET_MS = 1000; // for a moment at which nothing is asked
const SLOW_MS = 1000; // an answer that takes longer is the last one over its connection
const BODIES_MS = 10_000; // for requests that are still coming in over HTTP/1.1

/** How to serve. */
export interface ServingOptions {
  /** Whether others may listen at the same address. */
  shared?: boolean;
  /** The certificate and its key, as PEM. */
  pair?: Pair;
}

/** Serves at an address, until it is stopped, left, or the runtime gives up. */
export class Serving {
  readonly #servers: Deno.HttpServer<Deno.NetAddr>[];
  readonly #connections = new AbortController();
  readonly #inFlight = new InFlight();
  #state: "serving" | "leaving" | "stopping" = "serving";

  /**
   * @param failed told why the runtime gives up
   * @throws {ListenError}
   */
  constructor(
    address: Address,
    private readonly handler: Handler,
    { shared, pair }: ServingOptions,
    failed: (error: unknown) => void,
  ) {
    const serve = (address: Address) =>
      Deno.serve({
        ...address,
        ...pair,
        reusePort: shared,
        signal: this.#connections.signal,
        onListen: () => {},
        onError: () => new Response("internal error\n", { status: 500 }),
      }, (req, peer) => this.#answer(req, peer));
    this.#servers = open(
      address,
      (address) => pair ? withPair(pair, () => serve(address)) : serve(address),
    );
    for (const server of this.#servers) server.finished.catch(failed);
  }

  get port(): number {
    return this.#servers[0].addr.port;
  }

  /** Resolves once all that came so far has been answered. */
  async answered(): Promise<void> {
    await this.#inFlight.answered();
  }

  /** Takes nothing new; resolves once all that came has been answered. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    // Deno 2.9 breaks off the bodies that are still coming in when a server shuts down.
    await this.answered();
    await this.#shutDown();
  }

  /** Closes all connections at once. */
  abort(): void {
    this.#connections.abort();
  }

  /**
   * Lets another server at the same address take over: whoever asks here is answered, and asked to
   * connect anew. What was idle all the time is closed then; what takes longer, such as a feed, goes on.
   * Until then some new connections come here: for a second or two, and up to 12 while a body does.
   */
  async leave(): Promise<void> {
    this.#state = "leaving";
    await pause(LEAVE_MS);
    await pause(READ_MS); // a timer that is late is called before what came meanwhile is read
    // HTTP/2 has a frame that asks to connect anew (GOAWAY), which the runtime sends as it shuts down,
    // and answers what is on its way. But clients that say the same in return, as Node.js does, get no
    // answer then: a defect of the runtime's h2 0.4.7. So a moment is looked for that finds none waiting.
    await this.#wait(QUIET_MS, () => this.#inFlight.count === 0);
    // Deno 2.9 breaks off bodies over HTTP/1.1 as it shuts down. Over HTTP/2 it doesn't.
    await this.#wait(BODIES_MS, () => this.#inFlight.incoming === 0);
    await this.#shutDown();
  }

  async #shutDown(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.shutdown()));
  }

  /** Waits until something is so, as answers are given; no longer than so many milliseconds. */
  async #wait(ms: number, isSo: () => boolean): Promise<void> {
    let late = false;
    const end = pause(ms).then(() => late = true);
    while (!late && !isSo()) {
      await Promise.race([end, this.#inFlight.next()]);
    }
  }

  #answer(req: Request, peer?: Peer): Response | Promise<Response> {
    if (this.#state === "stopping") {
      const headers = { "connection": "close", "retry-after": "1" };
      return new Response("shutting down\n", { status: 503, headers });
    }
    const response = this.handler(req, peer);
    if (!(response instanceof Promise)) {
      return this.#state === "serving" ? response : asLast(response);
    }
    const began = Date.now(); // in half the time of performance.now(): a step of the clock costs a connection at most
    // Only over HTTP/1.1 does a request name its host in a header of this name. (Headers.has() would
    // make a list of all headers.)
    const isOld = req.headers.get("host") !== null;
    const isIncoming = isOld && req.method !== "GET";
    const stretch = this.#inFlight.begin(isIncoming);
    const isLast = this.#state !== "serving";
    return response.then((answer) => {
      this.#inFlight.end(stretch, isIncoming);
      // What was sent ahead meanwhile goes with the connection, where the runtime ends it (Deno 2.9 does not).
      return isLast || isOld && Date.now() - began > SLOW_MS ? asLast(answer) : answer;
    }, (error) => {
      this.#inFlight.end(stretch, isIncoming);
      throw error;
    });
  }
}

/** The same answer, as the last one over its connection. It may be one that others are given, too. */
function asLast({ body, status, headers }: Response): Response {
  const last = new Headers(headers);
  last.set("connection", "close");
  return new Response(body, { status, headers: last });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, ms)));
}
