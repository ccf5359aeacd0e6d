/**
 * HTTP: requests in, a {@linkcode Store} asked, responses out.
 *
 * @module
 */
import { text } from "./http/answer.ts";
import { tellCreated } from "./http/access.ts";
import { api } from "./http/api.ts";
import { readForm } from "./http/body.ts";
import { cors } from "./http/cors.ts";
import { Counters, handlerOf } from "./http/counters.ts";
import type { Handler, Peer } from "./http/client.ts";
import { exportLinks } from "./http/export.ts";
import { guard } from "./http/guard.ts";
import { followed, Redirects } from "./http/location.ts";
import { placing } from "./http/placing.ts";
import type { HandlerOptions } from "./http/options.ts";
import { probes } from "./http/probes.ts";
import { fail } from "./http/problem.ts";
import { allow, keyOf, prefersHTML, query } from "./http/request.ts";
import { call, feed, noRPC } from "./http/rpc.ts";
import { mayHaveRest, restOf } from "./http/suffix.ts";
import { StoreError } from "./links/errors.ts";
import { trim } from "./links/text.ts";
import { parseExpires } from "./links/time.ts";
import type { Store } from "./store.ts";
import { all } from "./web/all.ts";
import { withUser } from "./http/user.ts";
import { assets } from "./web/assets.ts";
import { detail } from "./web/detail.ts";
import { FIELDS, filledForm, refuseForm } from "./web/form.ts";
import { missing, type Otherwise } from "./web/missing.ts";
import { detailOf, page, seeOther } from "./web/page.ts";

/**
 * Makes the server's handler.
 *
 * @example
 * ```ts
 * import { Journal } from "./journal/journal.ts";
 * import { URLStore } from "./store.ts";
 *
 * const store = new URLStore(await Journal.open("links.jsonl"));
 * const handle = handler({ store, base: "http://localhost:8080" });
 * await handle(new Request("http://localhost:8080/docs")); // 404, key not found
 * ```
 */
export function handler(options: HandlerOptions): Handler {
  const { store, base, rpc, suffix = false, origins = [], onError } = options;
  const { counters = new Counters() } = options;
  const named = withUser(store, options.userHeader);
  const apiRoute: Route = (req, path) => api(req, path, named(req), base);
  const detailRoute: Route = (req, path) =>
    detail(req, path.slice(".detail/".length), named(req), base);
  const routes = new Map<string, Route>([
    ["", (req) => form(req, store, base)],
    ["add", (req) => req.method === "POST" ? add(req, named(req), base) : form(req, store, base)],
    ["api", apiRoute],
    ["api/links", apiRoute],
    ["rpc", rpc ? (req) => call(req, rpc) : noRPC],
    ["rpc/log", rpc ? (req) => feed(req, rpc) : noRPC],
    ...options.probes ?? probes(store),
    [".all", (req) => all(req, store)],
    [".export", (req) => exportLinks(req, store)],
    ...assets,
  ]);
  const prefixed = (key: string) =>
    key.startsWith("api/") ? apiRoute : key.startsWith(".detail/") ? detailRoute : undefined;
  // Most keys begin as no route does: one character tells that faster than the table.
  const initials = new Set([...routes.keys(), ".detail/"].map((path) => path.charCodeAt(0)));
  const guarded = guard(options);
  const share = origins.length > 0 ? cors(origins) : undefined;
  const redirects = new Redirects(suffix, options.tally);
  const follow = (req: Request, key: string) => redirect(req, store, redirects, key, otherwise);
  const otherwise: Otherwise = missing(options, follow);
  const followRest = placing(store, redirects, follow, onError);
  const answer = (req: Request, key: string, peer: Peer | undefined, route: Route) => {
    try {
      const response = guarded(req, key, peer, () => route(req, key));
      return response instanceof Response ? response : response.catch((e) => fail(e, key, onError));
    } catch (error) {
      return fail(error, key, onError);
    }
  };
  return (req, peer) => {
    const key = keyOf(req.url);
    const route = initials.has(key.charCodeAt(0)) ? routes.get(key) ?? prefixed(key) : undefined;
    if (route === undefined) {
      const rest = suffix && mayHaveRest(req.url, key) ? restOf(req.url) : undefined;
      return counters.redirected(rest === undefined ? follow(req, key) : followRest(req, rest));
    }
    const response = share === undefined
      ? answer(req, key, peer, route)
      : share(req, key, () => answer(req, key, peer, route));
    return counters.answered(handlerOf(key), response);
  };
}

/** Answers a request for a path. */
type Route = (req: Request, path: string) => Response | Promise<Response>;

/** `GET /KEY`: the hot path. */
function redirect(
  req: Request,
  store: Store,
  redirects: Redirects,
  key: string,
  otherwise: Otherwise,
): Response | Promise<Response> {
  const method = req.method;
  try {
    if (method !== "GET" && method !== "HEAD") allow(req, "GET", "HEAD");
    const found = store.follow?.(key) ?? store.get(key);
    if (typeof found === "string") return redirects.to(req, key, found, store);
    if (!(found instanceof Promise)) return redirects.to(req, key, ...followed(found));
    return found.then((found) => redirects.to(req, key, ...followed(found)))
      .catch((e) => otherwise(e, req, key));
  } catch (error) {
    return otherwise(error, req, key);
  }
}

/** `POST /add`: the short link, as Go's program gives it; a browser is sent on to a page with it. */
async function add(req: Request, store: Store, base: string): Promise<Response> {
  const fields = await readForm(req, FIELDS);
  const url = fields.get("url") ?? "";
  const key = fields.get("key") ?? "";
  const expires = fields.get("expires") ?? "";
  const html = prefersHTML(req);
  try {
    const end = parseExpires(expires) || undefined;
    const { key: newKey } = await store.put(url, trim(key) || undefined, { expires: end });
    const answer = html ? seeOther(`${detailOf(newKey)}?new`) : text(`${base}/${newKey}`);
    return tellCreated(answer, newKey);
  } catch (error) {
    if (!html || !(error instanceof StoreError)) throw error;
    return await refuseForm(error, { url, key, expires }, store, base);
  }
}

/** `GET /` and `GET /add` */
async function form(req: Request, store: Store, base: string): Promise<Response> {
  allow(req, "GET", "HEAD", ...(keyOf(req.url) === "add" ? ["POST"] : []));
  return page(200, await filledForm(query(req), store, base));
}
