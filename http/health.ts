/**
 * How the server is.
 *
 * @module
 */
import type { Store } from "../store.ts";
import { json, text } from "./answer.ts";
import { RETRY } from "./problem.ts";
import { allow } from "./request.ts";

/** What is true now alone, no cache may keep. */
export const FRESH = { "cache-control": "no-store" };

/** Answers until there is a store to ask: alive, but not ready. */
export function starting(req: Request): Response {
  if (/^\w+:\/\/[^/]*\/healthz(?:\?|$)/.test(req.url)) return text("ok", { headers: FRESH });
  return text("starting", { status: 503, headers: { ...RETRY, ...FRESH } });
}

/** `GET /healthz` */
export function alive(req: Request): Response {
  allow(req, "GET", "HEAD");
  return text("ok", { headers: FRESH });
}

/** `GET /readyz`: whether links can be followed here, and what is amiss. */
export async function ready(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  const health = await store.health();
  return json(health, { status: health.ready ? 200 : 503 });
}
