/**
 * What is asked by those who watch over a server: `/healthz`, `/readyz` and `/metrics`.
 *
 * @module
 */
import type { Store } from "../store.ts";
import { text } from "./answer.ts";
import { EXPOSITION_TYPE } from "./exposition.ts";
import { alive, FRESH, ready } from "./health.ts";
import type { Handler } from "./client.ts";
import { fail, type OnError } from "./problem.ts";
import { quotas } from "./quota.ts";
import { allow, keyOf } from "./request.ts";

/** Answers a request by what is known of a server. */
export type Probe = (req: Request) => Response | Promise<Response>;

/**
 * Whether a server lives, whether it can do its work, and what it counted.
 *
 * @param metrics gives what it counted, as text; without it there are none
 */
export function probes(store: Store, metrics?: () => Promise<string>): [path: string, Probe][] {
  const all: [string, Probe][] = [["healthz", alive], ["readyz", (req) => ready(req, store)]];
  if (metrics) all.push(["metrics", (req) => tell(req, metrics)]);
  return all;
}

/** `GET /metrics` */
async function tell(req: Request, metrics: () => Promise<string>): Promise<Response> {
  allow(req, "GET", "HEAD");
  return new Response(await metrics(), { headers: { ...FRESH, "content-type": EXPOSITION_TYPE } });
}

/** Answers {@linkcode probes} and nothing else. */
export function adminHandler(
  store: Store,
  metrics: () => Promise<string>,
  onError?: OnError,
): Handler {
  const routes = new Map(probes(store, metrics));
  const count = quotas({});
  return async (req, peer) => {
    const path = keyOf(req.url);
    try {
      count(req, path, peer)?.until(peer?.completed);
      return await routes.get(path)?.(req) ?? text("not found", { status: 404, headers: FRESH });
    } catch (error) {
      return fail(error, path, onError);
    }
  };
}
