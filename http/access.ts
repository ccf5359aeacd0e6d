/**
 * Telling of requests.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import type { Handler } from "./listen.ts";

/** Tells of each request with its answer, and the milliseconds between. */
export function accessLog(handler: Handler, events: Events): Handler {
  return async (req) => {
    const start = performance.now();
    const response = await handler(req);
    events("info", "request", {
      method: req.method,
      url: req.url,
      status: response.status,
      ms: Math.round(100 * (performance.now() - start)) / 100,
    });
    return response;
  };
}
