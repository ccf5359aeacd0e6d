/**
 * One server of the runtime, and the connections that it has.
 *
 * @module
 */
import { type Address, open } from "./address.ts";
import type { Peer } from "./client.ts";
import type { Handler } from "./listen.ts";

const LEAVE_MS = 1000; // for clients to go on elsewhere
const BODIES_MS = 10_000; // for requests that are still coming in

/** How to serve. */
export interface ServingOptions {
  /** Whether others may listen at the same address. */
  shared?: boolean;
  /** Whether the handler is told who asks. */
  peers?: boolean;
  /** The certificate and its key, as PEM. */
  pair?: { cert: string; key: string };
}

/** Serves at an address, until it is stopped, left, or the runtime gives up. */
export class Serving {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #connections = new AbortController();
  readonly #inFlight = new Set<Promise<Response>>();
  #state: "serving" | "leaving" | "stopping" = "serving";

  /**
   * @param failed told why the runtime gives up
   * @throws {ListenError}
   */
  constructor(
    address: Address,
    private readonly handler: Handler,
    { shared, peers, pair }: ServingOptions,
    failed: (error: unknown) => void,
  ) {
    // The runtime makes what a second parameter asks for.
    const answer: Handler = peers
      ? (req, peer) => this.#answer(req, peer)
      : (req) => this.#answer(req);
    this.#server = open(address, (address) =>
      Deno.serve({
        ...address,
        ...pair,
        reusePort: shared,
        signal: this.#connections.signal,
        onListen: () => {},
        onError: () => new Response("internal error\n", { status: 500 }),
      }, answer));
    this.#server.finished.catch(failed);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Resolves once all that came so far has been answered. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  /** Takes nothing new; resolves once all that came has been answered. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    // Deno 2.9 breaks off the bodies that are still coming in when a server shuts down.
    await this.answered();
    await this.#server.shutdown();
  }

  /** Closes all connections at once. */
  abort(): void {
    this.#connections.abort();
  }

  /**
   * Lets another server at the same address take over: whoever asks here is answered, and asked to
   * connect anew. What was idle all the time is closed then; what takes longer, such as a feed, goes on.
   */
  async leave(): Promise<void> {
    this.#state = "leaving";
    await pause(LEAVE_MS);
    const end = performance.now() + BODIES_MS;
    while (this.#inFlight.size > 0 && performance.now() < end) {
      await Promise.race([...this.#inFlight, pause(LEAVE_MS)]).catch(() => {});
    }
    await this.#server.shutdown();
  }

  #answer(req: Request, peer?: Peer): Response | Promise<Response> {
    if (this.#state === "stopping") {
      const headers = { "connection": "close", "retry-after": "1" };
      return new Response("shutting down\n", { status: 503, headers });
    }
    const response = this.handler(req, peer);
    if (response instanceof Promise) {
      const done = () => this.#inFlight.delete(response);
      this.#inFlight.add(response);
      response.then(done, done);
    }
    if (this.#state === "serving") return response;
    return response instanceof Promise ? response.then(asLast) : asLast(response);
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
