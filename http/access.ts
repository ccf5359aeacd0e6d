/**
 * Telling of requests.
 *
 * @module
 */
import { clientOf, type Handler, type Peer } from "./client.ts";
import { HTTPError } from "./problem.ts";
import { userOf } from "./user.ts";

let created: WeakMap<Response, string> | undefined; // none while nobody tells of requests

/** Notes that `response` tells of a new link with this key, for whoever tells of requests. */
export function tellCreated(response: Response, key: string): Response {
  created?.set(response, key);
  return response;
}

/** Told of a request, its answer, and how long that took. */
export type Tell = (
  client: string,
  method: string,
  url: string,
  status: number,
  ms: number,
  /** The key of the link that was created. */
  key: string | undefined,
  /** Whom a proxy names. */
  user: string | undefined,
) => void;

/**
 * Tells of each request with its client, its answer, the milliseconds between, and the key that was created.
 *
 * @param proxies how many in front are believed
 * @param userHeader the header in which a proxy names the user
 */
export function accessLog(
  handler: Handler,
  tell: Tell,
  proxies: number,
  userHeader?: string,
): Handler {
  const keys = created ??= new WeakMap();
  const tellOf = (req: Request, peer: Peer | undefined, start: number, response: Response) => {
    const ms = Math.round(100 * (performance.now() - start)) / 100;
    const { status } = response;
    // What only reads creates none.
    const key = req.method === "POST" ? keys.get(response) : undefined;
    const user = userHeader === undefined ? undefined : knownUser(req, userHeader);
    tell(clientOf(req, peer, proxies), req.method, req.url, status, ms, key, user);
    return response;
  };
  return (req, peer) => {
    const start = performance.now();
    const response = handler(req, peer);
    return response instanceof Response
      ? tellOf(req, peer, start, response)
      : response.then((response) => tellOf(req, peer, start, response));
  };
}

/** The user, unless what is named is no name. */
function knownUser(req: Request, header: string): string | undefined {
  try {
    return userOf(req, header);
  } catch (error) {
    if (error instanceof HTTPError) return undefined;
    throw error;
  }
}
