/**
 * Requests that can't be served, and the answers that say so.
 *
 * @module
 */
import { type Refusal, StoreError } from "../links/errors.ts";
import { json, text } from "./answer.ts";

const STATUS: Record<Refusal, number> = {
  "not found": 404,
  "exists": 409,
  "invalid url": 400,
  "invalid key": 400,
  "invalid query": 400,
  "invalid time": 400,
  "invalid name": 400,
  "expired": 410,
  "unavailable": 503,
  "full": 507,
};

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** What goes with a 503, in seconds. */
export const RETRY = { "retry-after": "1" };

/** Told of errors that are nobody's mistake but ours. */
export type OnError = (error: unknown) => void;

/** A request that can't be served. */
export class HTTPError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** What a failed request is answered with. A stack trace never leaves the process. */
export function toHTTPError(error: unknown, onError?: OnError): HTTPError {
  if (error instanceof HTTPError) return error;
  if (error instanceof StoreError) {
    const status = STATUS[error.kind];
    return new HTTPError(status, error.message, status === 503 ? RETRY : {});
  }
  onError?.(error);
  return new HTTPError(500, "internal error");
}

/** The answer to a request that failed: text, or a problem (RFC 9457) under /api. */
export function fail(error: unknown, path: string, onError?: OnError): Response {
  const { status, message, headers } = toHTTPError(error, onError);
  if (!/^api(?:\/|$)/.test(path)) {
    const response = text(message, { status, headers });
    // Or a cache would keep that there is no link when there is one.
    response.headers.append("cache-control", "no-store");
    return response;
  }
  return json({ title: TITLES[status], status, detail: message }, {
    status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}
