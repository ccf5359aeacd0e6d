/**
 * HTTP: requests in, a {@linkcode Store} asked, responses out.
 *
 * @module
 */
import type { Logger } from "./journal.ts";
import type { LogStream } from "./log.ts";
import { checkURL, type Refusal, type Store, StoreError } from "./store.ts";

/** Answers one request; at once where it can. */
export type Handler = (req: Request) => Response | Promise<Response>;

/** What the handlers work on. */
export interface HandlerOptions {
  store: Store;
  /** What short links start with, such as `http://localhost:8080`. */
  base: string;
  /** RPC for replicas; without it, `/rpc` is not found. */
  rpc?: RPC;
  /** Told of errors that are nobody's mistake but ours. */
  onError?: (error: unknown) => void;
}

/** The calls and the log that `/rpc` serves. */
export interface RPC {
  /** Answers a JSON-RPC text; with nothing, if it holds only notifications. */
  call(text: string): string | undefined | Promise<string | undefined>;
  /** Opens the log: from `offset`, or at its end, if there is none; see README.md. */
  log(offset: number | undefined, check?: string): Promise<LogStream>;
  /** The bearer token that is asked for. */
  token?: string;
}

const MAX_BODY = 64 << 10;
const MAX_RPC_BODY = 1 << 20;
// So much is read of a body that is too large: a connection that is closed while the other end still
// sends may lose the answer.
const MAX_DRAIN = 4 << 20;
const MAX_REDIRECTS = 10_000; // kept answers: about 10 MB
const MAX_OTHERS = 1_000_000;

const STATUS: Record<Refusal, number> = {
  "not found": 404,
  "exists": 409,
  "invalid url": 400,
  "invalid key": 400,
  "unavailable": 503,
  "full": 507,
};

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** What goes with a 503, in seconds. */
const RETRY = { "retry-after": "1" };

/** A request that can't be served, and the answer that says so. */
class HTTPError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** The form that Go's program shows, filled in with `url` and `key`, below what came of the last. */
export function AddForm(url = "", key = "", result = ""): string {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>goto</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 12vh auto; padding: 0 1rem }
  form { display: grid; gap: .6rem }
  label { display: grid }
  input, button { font: inherit; padding: .4rem .6rem }
  output { display: block; margin: 1rem 0; font-size: 1.3rem; overflow-wrap: anywhere }
</style>
<h1>goto</h1>
${result}<form method="POST" action="/add">
  <label>URL <input name="url" required autofocus maxlength="8192" value="${
    escapeHTML(url)
  }"></label>
  <label>Key (optional) <input name="key" maxlength="64" pattern="[A-Za-z0-9_\\-]+" value="${
    escapeHTML(key)
  }"></label>
  <button>Add</button>
</form>
</html>
`;
}

/**
 * Makes the server's handler.
 *
 * @example
 * ```ts
 * Deno.serve(handler({ store, base: "http://localhost:8080" }));
 * ```
 */
export function handler({ store, base, rpc, onError }: HandlerOptions): Handler {
  const routes = new Map<string, (req: Request) => Response | Promise<Response>>([
    ["", (req) => form(req)],
    ["add", (req) => req.method === "POST" ? add(req, store, base) : form(req, "POST")],
    ["api", noAPI],
    ["api/links", (req) => apiAdd(req, store, base)],
    ["healthz", (req) => (allow(req, "GET", "HEAD"), new Response("ok"))],
    ["readyz", (req) => ready(req, store)],
  ]);
  const noRPC = () => {
    throw new HTTPError(404, "not found: RPC is served with -rpc");
  };
  routes.set("rpc", rpc ? (req) => call(req, rpc) : noRPC);
  routes.set("rpc/log", rpc ? (req) => log(req, rpc) : noRPC);

  const redirects = new Redirects();
  return (req) => {
    const key = keyOf(req.url);
    const route = routes.get(key);
    if (route === undefined && !key.startsWith("api/")) {
      return redirect(req, store, redirects, key, onError);
    }
    try {
      checkHost(req);
      const response = route ? route(req) : apiLink(req, store, base, key);
      return response instanceof Response ? response : response.catch((e) => fail(e, key, onError));
    } catch (error) {
      return fail(error, key, onError);
    }
  };
}

/** What stands between `http://HOST/` and a query. A URL object would cost more than all the rest. */
export function keyOf(url: string): string {
  const start = url.indexOf("/", url.charCodeAt(4) === 0x3a ? 7 : 8) + 1;
  const end = url.indexOf("?", start);
  const key = end === -1 ? url.slice(start) : url.slice(start, end);
  return key.includes("%") ? decode(key) : key;
}

/** Answers until there is a store to ask: alive, but not ready. */
export function starting(req: Request): Response {
  if (/^\w+:\/\/[^/]*\/healthz(?:\?|$)/.test(req.url)) return new Response("ok");
  return new Response("starting", { status: 503, headers: RETRY });
}

/** Logs each request with its answer, and the milliseconds between. */
export function accessLog(handler: Handler, log: Logger): Handler {
  return async (req) => {
    const start = performance.now();
    const response = await handler(req);
    log("info", "request", {
      method: req.method,
      url: req.url,
      status: response.status,
      ms: Math.round(100 * (performance.now() - start)) / 100,
    });
    return response;
  };
}

/** `GET /KEY`: the hot path. */
function redirect(
  req: Request,
  store: Store,
  redirects: Redirects,
  key: string,
  onError?: (error: unknown) => void,
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

/**
 * Makes the answers that redirect. A Response without a body can be given any number of times, and to
 * make one is most of what a redirect costs beyond the runtime's own work. So those to the links that
 * are asked for first are kept, until so many other answers were made that there may be better ones.
 */
class Redirects {
  #kept = new Map<string, { url: string; response: Response }>();
  #others = 0;

  /** The answer for `key`, which leads to `url` just now. */
  to(key: string, url: string): Response {
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.url === url) return kept.response;
    const location = PLAIN_URL.test(url) ? url : toLocation(url);
    const response = new Response(null, { status: 302, headers: { location } });
    if (kept !== undefined || this.#kept.size < MAX_REDIRECTS) {
      this.#kept.set(key, { url, response });
    } else if (++this.#others === MAX_OTHERS) {
      this.#kept.clear();
      this.#others = 0;
    }
    return response;
  }
}

/** What can stand in a header as it is: all that was added since links are checked. */
const PLAIN_URL = /^https?:\/\/[!-~]+$/;

/**
 * What Go's http.Redirect makes of an old entry: a path starts at the root, without dots; non-ASCII
 * is percent-encoded; a line break is a space. Other control characters, which Deno can't send, are
 * percent-encoded too.
 */
export function toLocation(url: string): string {
  return (isPath(url) ? cleanPath(url) : url).toWellFormed()
    .replace(/[\r\n]/g, " ")
    .replace(/[^\t -~]+/g, (text) => encodeURIComponent(text).toLowerCase())
    .trim();
}

/** Whether Go takes `url` for a path: it can parse it, and finds neither scheme nor host. */
function isPath(url: string): boolean {
  // deno-lint-ignore no-control-regex
  return !/^(?:[^/?#]*:|\/\/[^/?#]|[^#]*[\0-\x1f\x7f]|(?:[^?#]*|[^#]*#.*)%(?![\da-f]{2}))/is
    .test(url);
}

function cleanPath(url: string): string {
  const [, path = "", query = ""] = /^([^?]*)(.*)$/s.exec(url) ?? [];
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}${path.endsWith("/") && segments.length > 0 ? "/" : ""}${query}`;
}

function form(req: Request, ...otherMethods: string[]): Response {
  allow(req, "GET", "HEAD", ...otherMethods);
  return page(200, AddForm(query(req).get("url") ?? ""));
}

/** `POST /add`: the short link, as Go's program gives it, or as a page for a browser. */
async function add(req: Request, store: Store, base: string): Promise<Response> {
  const fields = await readForm(req);
  const url = fields.get("url") ?? "";
  const wish = fields.get("key") ?? "";
  const html = prefersHTML(req.headers.get("accept") ?? "");
  let key;
  try {
    key = await store.put(url, wish || undefined);
  } catch (error) {
    if (!html || !(error instanceof StoreError)) throw error;
    const result = `<output role="alert">${escapeHTML(error.message)}</output>\n`;
    return page(STATUS[error.kind], AddForm(url, wish, result));
  }
  const short = `${base}/${key}`;
  if (!html) return new Response(short);
  const link = escapeHTML(short);
  return page(200, AddForm("", "", `<output><a href="${link}">${link}</a></output>\n`));
}

/** `POST /api/links` */
async function apiAdd(req: Request, store: Store, base: string): Promise<Response> {
  allow(req, "POST");
  const { url, key = null } = await readLink(req);
  if (key !== null && typeof key !== "string") {
    throw new HTTPError(400, `"key" must be a string`);
  }
  const made = await store.put(url, key ?? undefined);
  return Response.json(link(made, checkURL(url), base), {
    status: 201,
    headers: { location: `/api/links/${made}` },
  });
}

function noAPI(): never {
  throw new HTTPError(404, "not found");
}

/** `GET`, `PUT`, `DELETE /api/links/KEY` */
async function apiLink(req: Request, store: Store, base: string, path: string): Promise<Response> {
  if (!path.startsWith("api/links/")) return noAPI();
  const key = path.slice("api/links/".length);
  allow(req, "GET", "HEAD", "PUT", "DELETE");
  if (req.method === "PUT") {
    const { url } = await readLink(req);
    await store.update(key, url);
    return Response.json(link(key, checkURL(url), base));
  }
  if (req.method === "DELETE") {
    await store.delete(key);
    return new Response(null, { status: 204 });
  }
  return Response.json(link(key, await store.get(key), base));
}

function link(key: string, url: string, base: string) {
  return { key, url, short: `${base}/${encodeURIComponent(key)}` };
}

async function ready(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  const health = await store.health();
  return Response.json(health, { status: health.ready ? 200 : 503 });
}

/** `POST /rpc`. A body of another type is refused: no page of another site can send JSON. */
async function call(req: Request, rpc: RPC): Promise<Response> {
  allow(req, "POST");
  await authorize(req, rpc.token);
  const answer = await rpc.call(await readJSONText(req, MAX_RPC_BODY));
  if (answer === undefined) return new Response(null, { status: 204 });
  return new Response(answer, { headers: { "content-type": "application/json" } });
}

/** `GET /rpc/log` */
async function log(req: Request, rpc: RPC): Promise<Response> {
  allow(req, "GET");
  await authorize(req, rpc.token);
  const params = query(req);
  const at = params.get("offset") ?? "0";
  if (at !== "end" && !/^\d{1,15}$/.test(at)) {
    throw new HTTPError(400, `"offset" must be a number of bytes or "end"`);
  }
  const { offset, size, check, body } = await rpc.log(
    at === "end" ? undefined : Number(at),
    params.get("check") ?? undefined,
  );
  const headers = new Headers({
    "content-type": "application/jsonl",
    "cache-control": "no-store",
    "goto-log-offset": String(offset),
    "goto-log-size": String(size),
  });
  if (check !== undefined) headers.set("goto-log-check", check);
  return new Response(body, { headers });
}

/** Refuses whoever doesn't bear the token. Digests have one length and tell nothing of it. */
async function authorize(req: Request, token?: string): Promise<void> {
  if (token === undefined) return;
  const given = req.headers.get("authorization")?.replace(/^bearer +/i, "") ?? "";
  const [a, b] = await Promise.all(
    [given, token].map(async (text) =>
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
    ),
  );
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  if (difference) throw new HTTPError(401, "a token is needed", { "www-authenticate": "Bearer" });
}

/**
 * Refuses a Host that reaches into the path of `req.url`: what a proxy in front keeps from the public
 * shall not be named there.
 */
function checkHost(req: Request): void {
  if (/[/?#\\]/.test(req.headers.get("host") ?? "")) throw new HTTPError(400, "bad Host");
}

/** The query; `new URL(req.url)` would throw for a client that sends an odd Host. */
function query({ url }: Request): URLSearchParams {
  return new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?")) : "");
}

/** Refuses other methods. */
function allow(req: Request, ...methods: string[]): void {
  if (methods.includes(req.method)) return;
  throw new HTTPError(405, "method not allowed", { allow: methods.join(", ") });
}

/** The answer to a request that failed: text, or a problem (RFC 9457) under /api. */
function fail(error: unknown, key: string, onError?: (error: unknown) => void): Response {
  let status = 500;
  let message = "internal error";
  let headers: Record<string, string> = {};
  if (error instanceof StoreError) {
    status = STATUS[error.kind];
    message = error.message;
    if (status === 503) headers = RETRY;
  } else if (error instanceof HTTPError) {
    ({ status, message, headers } = error);
  } else {
    onError?.(error);
  }
  if (!/^api(?:\/|$)/.test(key)) return new Response(message, { status, headers });
  return Response.json({ title: TITLES[status], status, detail: message }, {
    status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

function page(status: number, html: string): Response {
  return new Response(html, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      ...(status === 503 ? RETRY : {}),
    },
  });
}

/** The whole body, if it keeps to `limit` bytes. */
async function readBody(req: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new HTTPError(413, `the body is larger than ${limit} bytes`);
  const length = req.headers.get("content-length");
  if (Number(length) > MAX_DRAIN) throw tooLarge();
  try {
    if (length !== null && Number(length) <= limit) return await req.bytes();
    const chunks = [];
    let size = 0;
    for await (const chunk of req.body ?? []) {
      size += chunk.length;
      if (size > MAX_DRAIN) break; // which also cancels the stream
      if (size <= limit) chunks.push(chunk);
    }
    if (size > limit) throw tooLarge();
    return await new Blob(chunks).bytes();
  } catch (error) {
    // A client that hangs up is no error of ours, which would be logged.
    throw error instanceof HTTPError ? error : new HTTPError(400, "the body broke off");
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HTTPError(400, "the body is not UTF-8");
  }
}

async function readForm(req: Request): Promise<{ get(name: string): string | null }> {
  const type = mediaType(req);
  if (type === "application/x-www-form-urlencoded") {
    return new URLSearchParams(decodeText(await readBody(req, MAX_BODY)));
  }
  if (type !== "multipart/form-data") {
    throw new HTTPError(415, "use content-type application/x-www-form-urlencoded");
  }
  const headers = { "content-type": req.headers.get("content-type") ?? "" };
  const form = await new Response(await readBody(req, MAX_BODY), { headers }).formData()
    .catch(() => {
      throw new HTTPError(400, "the body is no form");
    });
  return {
    get(name) {
      const value = form.get(name);
      return typeof value === "string" ? value : null;
    },
  };
}

async function readJSONText(req: Request, limit: number): Promise<string> {
  if (mediaType(req) !== "application/json") {
    throw new HTTPError(415, "use content-type application/json");
  }
  return decodeText(await readBody(req, limit));
}

/** What is said of a link under /api: its URL, and perhaps more. */
async function readLink(req: Request): Promise<{ url: string; [name: string]: unknown }> {
  const text = await readJSONText(req, MAX_BODY);
  let link: { [name: string]: unknown } | undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) link = { ...value };
  } catch {
    // Said below.
  }
  if (!link) throw new HTTPError(400, "the body is no JSON object");
  const { url } = link;
  if (typeof url !== "string") throw new HTTPError(400, `"url" must be a string`);
  return { ...link, url };
}

function mediaType(req: Request): string {
  return (req.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
}

/** Whether `accept` ranks HTML above plain text, as browsers do and curl doesn't. */
function prefersHTML(accept: string): boolean {
  if (!/text\//i.test(accept)) return false; // it ranks them alike
  const rank = (...types: string[]) => {
    for (const type of types) {
      for (const range of accept.toLowerCase().split(",")) {
        const [name, ...params] = range.split(";").map((part) => part.trim());
        if (name !== type) continue;
        return Number(params.find((param) => param.startsWith("q="))?.slice(2) ?? 1);
      }
    }
    return 0;
  };
  return rank("text/html", "text/*", "*/*") > rank("text/plain", "text/*", "*/*");
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // no key holds a stray "%", so this one is not found
  }
}

function escapeHTML(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
