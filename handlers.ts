/**
 * HTTP: requests in, a {@linkcode Store} asked, responses out.
 *
 * @module
 */
import { json, text } from "./http/answer.ts";
import { api } from "./http/api.ts";
import { readForm } from "./http/body.ts";
import { browserCheck } from "./http/browser.ts";
import type { Handler } from "./http/listen.ts";
import { Redirects } from "./http/location.ts";
import { fail, HTTPError, type OnError, RETRY, toHTTPError } from "./http/problem.ts";
import { allow, checkHost, keyOf, prefersHTML, query } from "./http/request.ts";
import { call, feed, type RPC } from "./http/rpc.ts";
import { authorizeWriter, isGuarded } from "./http/token.ts";
import { StoreError } from "./links/errors.ts";
import type { Store } from "./store.ts";
import { AddForm } from "./web/form.ts";
import { escapeHTML, page } from "./web/page.ts";

/** What the handlers work on. */
export interface HandlerOptions {
  store: Store;
  /** What short links start with, such as `http://localhost:8080`. */
  base: string;
  /** RPC for replicas; without it, `/rpc` is not found. */
  rpc?: RPC;
  /** What is asked of those who add, change or list links. */
  token?: string;
  onError?: OnError;
}

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
export function handler({ store, base, rpc, token, onError }: HandlerOptions): Handler {
  const routes = new Map<string, Handler>([
    ["", (req) => form(req)],
    ["add", (req) => req.method === "POST" ? add(req, store, base) : form(req, "POST")],
    ["api", (req) => api(req, "api", store, base)],
    ["api/links", (req) => api(req, "api/links", store, base)],
    ["rpc", rpc ? (req) => call(req, rpc) : noRPC],
    ["rpc/log", rpc ? (req) => feed(req, rpc) : noRPC],
    ["healthz", (req) => (allow(req, "GET", "HEAD"), text("ok"))],
    ["readyz", (req) => ready(req, store)],
  ]);
  const checkBrowser = browserCheck(base);
  const redirects = new Redirects();
  return (req) => {
    const key = keyOf(req.url);
    const route = routes.get(key);
    if (route === undefined && !key.startsWith("api/")) {
      return redirect(req, store, redirects, key, onError);
    }
    try {
      checkHost(req);
      checkBrowser(req);
      const answer = () => route ? route(req) : api(req, key, store, base);
      const response = token !== undefined && isGuarded(req.method, key)
        ? authorizeWriter(req, token).then(answer)
        : answer();
      return response instanceof Response ? response : response.catch((e) => fail(e, key, onError));
    } catch (error) {
      return fail(error, key, onError);
    }
  };
}

/** Answers until there is a store to ask: alive, but not ready. */
export function starting(req: Request): Response {
  if (/^\w+:\/\/[^/]*\/healthz(?:\?|$)/.test(req.url)) return text("ok");
  return text("starting", { status: 503, headers: RETRY });
}

/** `GET /KEY`: the hot path. */
function redirect(
  req: Request,
  store: Store,
  redirects: Redirects,
  key: string,
  onError?: OnError,
): Response | Promise<Response> {
  const method = req.method;
  try {
    if (method !== "GET" && method !== "HEAD") allow(req, "GET", "HEAD");
    const url = store.get(key);
    return typeof url === "string"
      ? redirects.to(key, url)
      : url.then((url) => redirects.to(key, url)).catch((error) => fail(error, key, onError));
  } catch (error) {
    return fail(error, key, onError);
  }
}

/** `POST /add`: the short link, as Go's program gives it, or as a page for a browser. */
async function add(req: Request, store: Store, base: string): Promise<Response> {
  const fields = await readForm(req);
  const url = fields.get("url") ?? "";
  const wish = fields.get("key") ?? "";
  const html = prefersHTML(req);
  try {
    const { key } = await store.put(url, wish || undefined);
    const short = `${base}/${key}`;
    if (!html) return text(short);
    const link = escapeHTML(short);
    return page(200, AddForm("", "", `<output><a href="${link}">${link}</a></output>\n`));
  } catch (error) {
    if (!html || !(error instanceof StoreError)) throw error;
    const { status, message, headers } = toHTTPError(error);
    const result = `<output role="alert">${escapeHTML(message)}</output>\n`;
    return page(status, AddForm(url, wish, result), headers);
  }
}

/** `GET /` and `GET /add` */
function form(req: Request, ...otherMethods: string[]): Response {
  allow(req, "GET", "HEAD", ...otherMethods);
  return page(200, AddForm(query(req).get("url") ?? ""));
}

/** `GET /readyz` */
async function ready(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  const health = await store.health();
  return json(health, { status: health.ready ? 200 : 503 });
}

function noRPC(): never {
  throw new HTTPError(404, "not found: RPC is served with -rpc");
}
