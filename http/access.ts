/**
 * Telling of requests.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { clientOf, type Peer } from "./client.ts";
import type { Handler } from "./listen.ts";

let made: WeakMap<Response, string> | undefined; // none while nobody tells of requests

/** Notes that `response` tells of a new link with this key, for whoever tells of requests. */
export function tellMade(response: Response, key: string): Response {
  made?.set(response, key);
  return response;
}

/**
 * Tells of each request with its client, its answer, the milliseconds between, and the key that was made.
 *
 * @param proxies how many in front are believed
 */
export function accessLog(handler: Handler, events: Events, proxies: number): Handler {
  made ??= new WeakMap();
  const tell = (req: Request, peer: Peer | undefined, start: number, response: Response) => {
    const key = made?.get(response);
    events("info", "request", {
      client: clientOf(req, peer, proxies),
      method: req.method,
      url: req.url,
      status: response.status,
      ms: Math.round(100 * (performance.now() - start)) / 100,
      ...(key === undefined ? {} : { key }),
    });
    return response;
  };
  return (req, peer) => {
    const start = performance.now();
    const response = handler(req, peer);
    return response instanceof Response
      ? tell(req, peer, start, response)
      : response.then((response) => tell(req, peer, start, response));
  };
}
