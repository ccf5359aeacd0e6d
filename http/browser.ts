/**
 * Requests that browsers send, perhaps on behalf of somebody else's page.
 *
 * @module
 */
import { plainHost } from "../links/link.ts";
import { HTTPError } from "./problem.ts";

/** Names that nobody can have in public: those of this machine, of this network, and addresses. */
const PRIVATE = /^(?:(?:.+\.)?localhost|[^.:[\]]+|\d{1,3}(?:\.\d{1,3}){3}|\[[\da-f:.]+\])$/;

/**
 * Makes what refuses a browser's request that a page of another site may have caused. A browser shows
 * itself by `Sec-Fetch-Site` or `Origin`, which no page can take away or forge; what others send passes.
 *
 * - A request for a host that isn't known: a stranger's name may lead here, and make a stranger's page
 *   one of ours for the browser (DNS rebinding). Known are that of `base`, localhost, addresses, and names
 *   without a dot.
 * - A request that changes something, of another origin: no page but ours may send our forms.
 *
 * @param base what short links start with
 * @param origins others whose pages may do as ours
 * @example
 * ```ts
 * const check = browserCheck("https://go.example.com");
 * const headers = { host: "go.example.com", origin: "https://evil.example" };
 * try {
 *   check(new Request("https://go.example.com/add", { method: "POST", headers }));
 * } catch (err) {
 *   console.log(`${err}`); // Error: a page of another site may not change links
 * }
 * ```
 */
export function browserCheck(base: string, origins: string[] = []): (req: Request) => void {
  const own = new URL(base);
  const checkName = nameCheck(base);
  return (req) => {
    const site = req.headers.get("sec-fetch-site");
    const origin = req.headers.get("origin");
    if (site === null && origin === null) return;
    checkName(req);
    if (req.method === "GET" || req.method === "HEAD") return;
    const ourSite = site === null || site === "same-origin" || site === "none";
    if (ourSite && (origin === null || isOurs(origin, req, own))) return;
    if (origin !== null && origins.includes(origin)) return;
    throw new HTTPError(403, "a page of another site may not change links");
  };
}

/**
 * Makes what refuses a request for a host that isn't known: known are that of `base`, those of the `origins`,
 * localhost, addresses, and names without a dot, at any port.
 *
 * @throws {HTTPError} 421
 */
export function nameCheck(base: string, origins: string[] = []): (req: Request) => void {
  const known = new Set([base, ...origins].map((url) => nameOf(new URL(url))));
  return (req) => {
    const asked = askedFor(req, "http:");
    const name = asked && nameOf(asked);
    if (name !== null && (known.has(name) || PRIVATE.test(name))) return;
    throw new HTTPError(421, `goto is not known as ${name ?? "that"} here: -host names its host`);
  };
}

/** A host without its port, and without the dot that may end it. */
function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, "");
}

/**
 * Whether `origin` is that of the request, or of short links: a proxy may put another host into the
 * request. The scheme doesn't count, since a proxy may end TLS.
 */
function isOurs(origin: string, req: Request, own: URL): boolean {
  const url = URL.parse(origin);
  if (url === null) return false; // "null", too
  const host = plainHost(url);
  const asked = askedFor(req, url.protocol);
  return url.protocol === own.protocol && host === plainHost(own) ||
    asked !== null && host === plainHost(asked);
}

/** What the request is for, by `Host`; HTTP/2 has it in the URL only. */
function askedFor(req: Request, scheme: string): URL | null {
  const host = req.headers.get("host");
  return URL.parse(host === null ? req.url : `${scheme}//${host}`);
}
