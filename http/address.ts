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

/** What is open at an address. */
type Opened =
  & { readonly addr: Deno.NetAddr }
  & ({ close(): void } | { shutdown(): Promise<void> });

/**
 * Listens by `on`, at one address or, where a host of "" means all of them, IPv6 and IPv4, as in Go, at
 * those that this takes: at all of them or none.
 *
 * @throws {ListenError}
 */
export function open<T extends Opened>({ hostname, port }: Address, on: (at: Address) => T): T[] {
  const opened: T[] = [];
  try {
    for (const host of hostsOf(hostname)) {
      // Any free port is the same one for all.
      const one = on({ hostname: host, port: opened[0]?.addr.port ?? port });
      opened.push(one);
    }
    return opened;
  } catch (error) {
    for (const one of opened) "close" in one ? one.close() : one.shutdown();
    const reason = error instanceof Error ? error.message : error;
    throw new ListenError(`can't listen on ${hostname}:${port}: ${reason}`, codeOf(error));
  }
}

/** Takes an address for a moment. Throws {@linkcode ListenError} where others have it. */
export function tryOut(address: Address): void {
  for (const listener of open(address, (at) => Deno.listen(at))) listener.close();
}

const ALL = ["::", "0.0.0.0"];
let all: string[] | undefined;

/** The hosts to listen at: several only for "", where the system keeps IPv4 apart from IPv6. */
export function hostsOf(hostname: string): string[] {
  if (hostname !== "") return [hostname];
  if (Deno.build.os === "windows") return ["0.0.0.0"]; // "::" would be IPv6 alone
  return all ??= findAll();
}

function findAll(): string[] {
  const [six, four] = ALL;
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname: six, port: 0 });
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    return [four]; // a machine without IPv6
  }
  try {
    // Where "::" means IPv4, too, this port is taken.
    Deno.listen({ hostname: four, port: listener.addr.port }).close();
    return ALL;
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    return [six];
  } finally {
    listener.close();
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
