/**
 * What is open to others.
 *
 * @module
 */
import type { Flags } from "./flags.ts";

const LOOPBACK = /^(?:localhost|(?:::ffff:)?127(?:\.\d+){3}|::1)$/i;

/**
 * Who may add, change and delete links, in a line; a warning where others than the users of this machine
 * may, and need no token.
 *
 * @example
 * ```ts
 * import { parseFlags } from "./flags.ts";
 *
 * whoMayWrite(parseFlags(["-http=127.0.0.1:8080", "-token=secret"], () => undefined));
 * // { level: "info", who: "whoever bears the token may add, change and delete links" }
 * ```
 */
export function whoMayWrite(flags: Flags): { level: "info" | "warn"; who: string } {
  const { hostname } = flags.http;
  const near = LOOPBACK.test(hostname);
  const any = hostname === "" || hostname === "0.0.0.0" || hostname === "::";
  const all = near
    ? "every user of this machine"
    : `whoever reaches ${any ? "any address of this machine" : hostname}`;
  const open = flags.rpc && !flags["rpc-token"];
  const rpc = !open
    ? ""
    : flags.token
    ? `, and ${all} may by RPC, which asks for no token`
    : ", and use RPC, which asks for no token";
  return {
    level: near || flags.token && !open ? "info" : "warn",
    who: `${flags.token ? "whoever bears the token" : all} may add, change and delete links${rpc}`,
  };
}
