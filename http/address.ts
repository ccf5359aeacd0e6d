/**
 * Addresses to listen at.
 *
 * @module
 */

/** Where to listen. */
export interface Address {
  /** "" for all addresses. */
  hostname: string;
  port: number;
}

/** An address that can't be listened on: one line that says why. */
export class ListenError extends Error {
  /** @param code the system's name for the reason, such as `EADDRINUSE` */
  constructor(message: string, readonly code?: unknown) {
    super(message);
  }
}

/**
 * Listens by `on`; "" for a host means all addresses, IPv6 and IPv4, as in Go.
 *
 * @throws {ListenError}
 */
export function open<T>({ hostname, port }: Address, on: (address: Address) => T): T {
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
export function isOutOfDescriptors(error: unknown): boolean {
  const code = codeOf(error);
  return code === "EMFILE" || code === "ENFILE";
}

/** Where a server at `address` is found from its own machine, as it stands in a URL. */
export function hostOf({ hostname }: Address): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname || "localhost";
}

/** Whether several may listen at one address: threads, or a server and the one that takes its place. */
export const canShare = Deno.build.os === "linux" || Deno.build.os === "darwin";
