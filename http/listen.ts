/**
 * Listening, until there is no more to be answered.
 *
 * @module
 */

/** Answers one request; at once where it can. */
export type Handler = (req: Request) => Response | Promise<Response>;

/** Where to listen. */
export interface Address {
  /** "" for all addresses. */
  hostname: string;
  port: number;
}

/** A server at work. */
export interface Server {
  port: number;
  /** Takes nothing new; resolves once all that came has been answered. */
  shutdown(): Promise<void>;
}

/** An address that can't be listened on: one line that says why. */
export class ListenError extends Error {}

/**
 * Serves HTTP.
 *
 * @param shared whether other threads may listen at the same address
 * @throws {ListenError}
 */
export function listen(address: Address, shared: boolean, handler: Handler): Server {
  const inFlight = new Set<Promise<Response>>();
  let stopping = false;
  const server = open(address, shared, (req) => {
    if (stopping) {
      const headers = { "connection": "close", "retry-after": "1" };
      return new Response("shutting down", { status: 503, headers });
    }
    const response = handler(req);
    if (response instanceof Promise && req.method !== "GET") {
      const done = () => inFlight.delete(response);
      inFlight.add(response);
      response.then(done, done);
    }
    return response;
  });
  return {
    port: server.addr.port,
    async shutdown() {
      stopping = true;
      // Deno 2.9 breaks off the bodies that are still coming in when a server shuts down.
      await Promise.allSettled(inFlight);
      await server.shutdown();
    },
  };
}

/** Listens; "" for a host means all addresses, IPv6 and IPv4, as in Go. */
function open({ hostname, port }: Address, reusePort: boolean, handler: Handler) {
  const onListen = () => {};
  const onError = () => new Response("internal error", { status: 500 });
  const on = (hostname: string) =>
    Deno.serve({ hostname, port, reusePort, onListen, onError }, handler);
  try {
    if (hostname !== "") return on(hostname);
    if (Deno.build.os === "windows") return on("0.0.0.0"); // "::" would be IPv6 alone
    try {
      return on("::");
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) throw error;
      return on("0.0.0.0"); // a machine without IPv6
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new ListenError(`can't listen on ${hostname}:${port}: ${reason}`);
  }
}

/** Where a server at `address` is found from its own machine, as it stands in a URL. */
export function hostOf({ hostname }: Address): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname || "localhost";
}

/** Whether threads can listen at one address. */
export const canShare = Deno.build.os === "linux" || Deno.build.os === "darwin";
