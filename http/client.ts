/**
 * Who asks, and what answers.
 *
 * @module
 */

/** What the runtime knows of the other end of a connection. */
export interface Peer {
  remoteAddr: { hostname: string };
  /** Settles once the answer was sent, or its connection has ended. */
  completed?: Promise<void>;
}

/** Answers one request; at once where it can. */
export type Handler = (req: Request, peer?: Peer) => Response | Promise<Response>;

/**
 * The address of the client. Behind so many `proxies`, each of which names in `X-Forwarded-For` whom it
 * was asked by, it is that many from the right: what stands further left anybody can have written.
 *
 * @example
 * ```ts
 * const headers = { "x-forwarded-for": "1.1.1.1, 192.0.2.7" };
 * const req = new Request("http://localhost/", { headers });
 * clientOf(req, { remoteAddr: { hostname: "127.0.0.1" } }, 1); // "192.0.2.7"
 * ```
 */
export function clientOf(req: Request, peer: Peer | undefined, proxies: number): string {
  const own = normalize(peer?.remoteAddr.hostname ?? "") ?? "unknown";
  if (proxies === 0) return own;
  const hops = (req.headers.get("x-forwarded-for") ?? "").split(",");
  return normalize(hops.at(-proxies) ?? hops[0]) ?? own;
}

const PLAIN_V4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** An address without port and brackets, in its shortest form; nothing where it is none. */
function normalize(text: string): string | undefined {
  if (PLAIN_V4.test(text)) return text;
  const address = text.trim();
  const v4 = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?$/i.exec(address)?.[1];
  if (v4 !== undefined) return v4;
  const v6 = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? address;
  if (!v6.includes(":")) return;
  return URL.parse(`http://[${v6.replace(/%.*$/, "")}]`)?.hostname.slice(1, -1);
}

/**
 * Those whom a limit takes for one: an IPv4 address, or the 64 bits of an IPv6 address that a provider
 * gives to one customer at least.
 *
 * @example
 * ```ts
 * networkOf("2001:db8::1:2"); // "2001:db8:0:0"
 * ```
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [left, right = ""] = address.split("::");
  const [before, after] = [left, right].map((part) => part === "" ? [] : part.split(":"));
  const zeros = Array(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...(address.includes("::") ? zeros : []), ...after].slice(0, 4).join(":");
}
