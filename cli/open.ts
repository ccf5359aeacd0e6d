/**
 * What is open to others.
 *
 * @module
 */
import type { Flags } from "./flags.ts";

const LOOPBACK = /^(?:localhost|(?:::ffff:)?127(?:\.\d+){3}|::1)$/i;

/**
 * What whoever reaches the server may do, in a line; nothing where only this machine reaches it.
 *
 * @example
 * ```ts
 * import { parseFlags } from "./flags.ts";
 *
 * whatIsOpen(parseFlags(["-http=127.0.0.1:8080"], () => undefined)); // undefined
 * ```
 */
export function whatIsOpen(flags: Flags): string | undefined {
  const { hostname } = flags.http;
  if (LOOPBACK.test(hostname)) return;
  const any = hostname === "" || hostname === "0.0.0.0" || hostname === "::";
  const who = `whoever reaches ${any ? "any address of this machine" : hostname}`;
  const rpc = flags.rpc && !flags["rpc-token"] ? ", and use RPC, which asks for no token" : "";
  return `${who} may add, change and delete links${rpc}`;
}
