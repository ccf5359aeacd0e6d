/**
 * Listening, until there is no more to be answered.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { lingering, MAX_LINGERING } from "./patience.ts";
import type { Peer } from "./client.ts";

const WATCH_MS = 1000; // between two looks whether there are descriptors left
const QUIET_MS = 60_000; // after so long without trouble it is told of again
const LAST_ANSWERS_MS = 1000; // for what is in flight when all connections must be closed
const SENT_MS = 20; // until what was answered, or closed, is

/** Answers one request; at once where it can. Who asks is told where it is asked for. */
export type Handler = (req: Request, peer?: Peer) => Response | Promise<Response>;

/** Where to listen. */
export interface Address {
  /** "" for all addresses. */
  hostname: string;
  port: number;
}

/** How to listen. */
export interface ListenOptions {
  /** Whether other threads may listen at the same address. */
  shared?: boolean;
  /** Whether the handler is told who asks. */
  peers?: boolean;
  events?: Events;
}

/** A server at work. */
export interface Server {
  port: number;
  /** Takes nothing new; resolves once all that came has been answered. */
  shutdown(): Promise<void>;
}

/** An address that can't be listened on: one line that says why. */
export class ListenError extends Error {
  /** @param code the system's name for the reason, such as `EADDRINUSE` */
  constructor(message: string, readonly code?: unknown) {
    super(message);
  }
}

/**
 * Serves HTTP, until it is told to stop: where the runtime gives up listening, it begins anew.
 *
 * @throws {ListenError}
 */
export function listen(address: Address, handler: Handler, options: ListenOptions = {}): Server {
  return new Listener(address, handler, options);
}

/**
 * Out of file descriptors, Deno stops to listen for good; and as it ends no connection that is idle, or
 * that never sends the rest of a request, there may be no room ever again. So all connections are closed
 * then, and those who have something to ask come back. That is looked for as well as told: not every
 * version tells, and the last descriptor is needed for the file and the master. So it is where too many
 * connections stay of clients that were cut off.
 */
class Listener implements Server {
  readonly port: number;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #connections = new AbortController(); // those of #server
  #inFlight = new Set<Promise<Response>>();
  #stopping = false;
  #renewing?: Promise<void>;
  #lastTrouble = -Infinity;
  #watch: ReturnType<typeof setInterval>;

  constructor(
    private readonly address: Address,
    private readonly handler: Handler,
    private readonly options: ListenOptions,
  ) {
    this.#server = this.#open();
    this.port = this.#server.addr.port;
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    Deno.unrefTimer(this.#watch);
    lingering.onmany = () => this.#renew(`${MAX_LINGERING} clients take nothing`);
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    await this.#renewing;
    // Deno 2.9 breaks off the bodies that are still coming in when a server shuts down.
    await Promise.allSettled(this.#inFlight);
    await this.#server.shutdown();
  }

  #answer(req: Request, peer?: Peer): Response | Promise<Response> {
    if (this.#stopping) {
      const headers = { "connection": "close", "retry-after": "1" };
      return new Response("shutting down\n", { status: 503, headers });
    }
    const response = this.handler(req, peer);
    if (response instanceof Promise) {
      const done = () => this.#inFlight.delete(response);
      this.#inFlight.add(response);
      response.then(done, done);
    }
    return response;
  }

  #open(port = this.address.port): Deno.HttpServer<Deno.NetAddr> {
    const connections = this.#connections = new AbortController();
    // The runtime makes what a second parameter asks for.
    const answer: Handler = this.options.peers
      ? (req, peer) => this.#answer(req, peer)
      : (req) => this.#answer(req);
    const server = open({ ...this.address, port }, (address) =>
      Deno.serve({
        ...address,
        reusePort: this.options.shared,
        signal: connections.signal,
        onListen: () => {},
        onError: () => new Response("internal error\n", { status: 500 }),
      }, answer));
    server.finished.catch((error) => {
      if (this.#connections === connections) this.#renew(error);
    });
    return server;
  }

  /** Takes the address for a moment: that must fail, since it is in use, and for no other reason. */
  #look(): void {
    try {
      open({ ...this.address, port: this.port }, (address) => Deno.listen(address)).close();
      this.#renew("it is not listened any more");
    } catch (error) {
      if (isOutOfDescriptors(error)) this.#renew(error);
    }
  }

  #renew(reason: unknown): void {
    this.#renewing ??= this.#begin(reason).finally(() => this.#renewing = undefined);
  }

  async #begin(reason: unknown): Promise<void> {
    if (this.#stopping) return;
    const now = performance.now();
    if (now - this.#lastTrouble > QUIET_MS) {
      const message = reason instanceof Error ? reason.message : String(reason);
      (this.options.events ?? silent)(
        "error",
        "closing all connections",
        { reason: message.replace(/^Error: /, "") },
      );
    }
    this.#lastTrouble = now;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_ANSWERS_MS);
    await Promise.race([Promise.allSettled(this.#inFlight), late]);
    clearTimeout(timer);
    await pause(SENT_MS);
    this.#connections.abort();
    for (let wait = SENT_MS; !this.#stopping; wait = Math.min(2 * wait, WATCH_MS)) {
      await pause(wait);
      try {
        this.#server = this.#open(this.port);
        return;
      } catch {
        // There is still no room, or another process has taken the address: it may let go of it.
      }
    }
  }
}

/** Listens by `on`; "" for a host means all addresses, IPv6 and IPv4, as in Go. */
function open<T>({ hostname, port }: Address, on: (address: Address) => T): T {
  try {
    if (hostname !== "") return on({ hostname, port });
    if (Deno.build.os === "windows") return on({ hostname: "0.0.0.0", port }); // "::" would be IPv6 alone
    try {
      return on({ hostname: "::", port });
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse || isOutOfDescriptors(error)) throw error;
      return on({ hostname: "0.0.0.0", port }); // a machine without IPv6
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new ListenError(`can't listen on ${hostname}:${port}: ${reason}`, codeOf(error));
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Whether a system call failed since the process, or the machine, can't open any more. */
function isOutOfDescriptors(error: unknown): boolean {
  const code = codeOf(error);
  return code === "EMFILE" || code === "ENFILE";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Where a server at `address` is found from its own machine, as it stands in a URL. */
export function hostOf({ hostname }: Address): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname || "localhost";
}

/** Whether threads can listen at one address. */
export const canShare = Deno.build.os === "linux" || Deno.build.os === "darwin";
