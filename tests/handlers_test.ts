import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertObjectMatch,
  assertStringIncludes,
} from "@std/assert";
import { it } from "@std/testing/bdd";
import { handler } from "../handlers.ts";
import type { HandlerOptions } from "../http/options.ts";
import { starting } from "../http/health.ts";
import { Redirects, toLocation } from "../http/location.ts";
import { errNotFound } from "../links/errors.ts";
import { Journal } from "../journal/journal.ts";
import { serveRPC } from "../rpc.ts";
import type { Backend } from "../replica/backend.ts";
import { URLStore } from "../store.ts";
import { AddForm } from "../web/form.ts";
import { placeOf } from "./places.ts";
import { lineOf, tempDir, within } from "./processes.ts";

const place = placeOf(import.meta.url);
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const JSON_BODY = { "content-type": "application/json" };
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

/** A server with a store of its own, in which `entries` are as an old file has them. */
async function serve(
  entries: Record<string, string> = {},
  options?: (store: Backend) => Partial<HandlerOptions>,
) {
  const dir = tempDir();
  const links = Object.entries(entries).map(([key, url]) => ({ key, url }));
  const store = await place.open(dir, { host: "go.example" }, links);
  const errors: unknown[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    handler({
      store,
      base: "https://go.example",
      onError: (error) => errors.push(error),
      ...options?.(store),
    }),
  );
  const { port } = server.addr;
  let closed: Promise<void> | undefined;
  const close = () => closed ??= store.close();
  return {
    port,
    store,
    errors,
    close,
    /** Asks as a client does. */
    async ask(path: string, init: RequestInit = {}) {
      const signal = AbortSignal.timeout(10_000);
      const url = `http://127.0.0.1:${port}${path}`;
      const response = await fetch(url, { redirect: "manual", signal, ...init });
      const { status, headers } = response;
      return { status, headers, text: lineOf(await response.text()) };
    },
    /** Sends a request as it is, and gives all that comes until the server closes. */
    async send(head: string, body = ""): Promise<string> {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const bytes = new TextEncoder().encode(`${head}\r\nConnection: close\r\n\r\n${body}`);
      for (let n = 0; n < bytes.length;) n += await connection.write(bytes.subarray(n));
      const chunks = [];
      const buffer = new Uint8Array(65_536);
      for (let n; (n = await within(10_000, head, connection.read(buffer))) !== null;) {
        chunks.push(buffer.slice(0, n));
      }
      return await new Blob(chunks).text();
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await close();
      dir[Symbol.dispose]();
    },
  };
}

/** The body in pieces, without a content-length. */
function chunked(text: string): RequestInit {
  return { method: "POST", body: new Blob([text]).stream() };
}

function withRPC(token?: string) {
  return (store: Backend): Partial<HandlerOptions> => ({
    rpc: { call: serveRPC(store), feed: (offset, check) => store.feed(offset, check), token },
  });
}

it("GET and HEAD /KEY redirect, however the key is written", async () => {
  await using server = await serve({
    a: "https://example.com/a?b#c",
    "é /": "https://example.com/",
  });
  for (const method of ["GET", "HEAD"]) {
    for (const path of ["/a", "/a?", "/a?x=1&y=/b?c", "/%61", "/%61?%"]) {
      const { status, headers, text } = await server.ask(path, { method });
      assertEquals([status, text], [302, ""], path);
      assertEquals(headers.get("location"), "https://example.com/a?b#c");
    }
  }
  assertEquals((await server.ask("/%C3%A9%20%2f")).status, 302);
});

it("GET and HEAD of an unknown key answer 404 with a text", async () => {
  await using server = await serve({ a: "https://example.com/" });
  for (
    const path of [
      "/b",
      "/A",
      "/a//",
      "//a",
      "/%2fa",
      "/%zz",
      "/%ff",
      "/%00",
      "/" + "/".repeat(9999),
    ]
  ) {
    const { status, headers, text } = await server.ask(path);
    assertEquals([status, text], [404, "key not found"], path);
    assertMatch(headers.get("content-type") ?? "", /^text\/plain\b/);
    assertEquals((await server.ask(path, { method: "HEAD" })).text, "");
  }
});

it("every route answers other methods with 405 and Allow", async () => {
  await using server = await serve({ a: "https://example.com/" }, withRPC());
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"];
  const routes: [path: string, allowed: string][] = [
    ["/", "GET, HEAD"],
    ["/a", "GET, HEAD"],
    ["/unknown", "GET, HEAD"],
    ["/add", "GET, HEAD, POST"],
    ["/api/links", "GET, HEAD, POST"],
    ["/api/links/a", "GET, HEAD, PUT, DELETE"],
    ["/rpc", "POST"],
    ["/rpc/log", "GET"],
    ["/healthz", "GET, HEAD"],
    ["/readyz", "GET, HEAD"],
  ];
  for (const [path, allowed] of routes) {
    for (const method of methods.filter((method) => !allowed.split(", ").includes(method))) {
      const { status, headers, text } = await server.ask(path, { method });
      assertEquals([status, headers.get("allow")], [405, allowed], `${method} ${path}`);
      const message = path.startsWith("/api/") ? JSON.parse(text || "{}").detail : text;
      if (method !== "HEAD") assertEquals(message, "method not allowed");
    }
  }
});

it("GET / and /add show a form, which ?url= fills in, and create nothing", async () => {
  await using server = await serve();
  for (const path of ["/", "/add", "/?url=", "/add?", "/%61dd"]) {
    const { status, headers, text } = await server.ask(path);
    assertEquals([status, headers.get("content-type")], [200, "text/html; charset=utf-8"]);
    assertEquals(text, lineOf(AddForm("https://go.example")));
    assertEquals((await server.ask(path, { method: "HEAD" })).text, "");
  }
  const { text } = await server.ask("/add?url=https%3A%2F%2Fexample.com%2F%3Fa+b&key=k");
  assertStringIncludes(text, `value="https://example.com/?a b"`);
  assertStringIncludes(text, `value="k"`);
  assertEquals(server.store.count, 0);
});

it("GET /add escapes what fills in the form", async () => {
  await using server = await serve();
  const attack = `"'><script>alert(1)</script>&`;
  const { text, headers } = await server.ask(`/add?url=${encodeURIComponent(attack)}`);
  assertFalse(text.includes("<script>"));
  assertStringIncludes(
    text,
    `value="&#34;&#39;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;"`,
  );
  assertMatch(headers.get("content-security-policy") ?? "", /^default-src 'none'/);
});

it("POST /add gives the short link as text", async () => {
  await using server = await serve();
  const add = (fields: Record<string, string>) =>
    server.ask("/add", { method: "POST", body: new URLSearchParams(fields) });

  const made = await add({ url: "example.com/x" });
  assertEquals([made.status, made.text], [200, "https://go.example/0"]);
  assertMatch(made.headers.get("content-type") ?? "", /^text\/plain\b/);
  assertEquals(await server.store.get("0"), "https://example.com/x");
  assertEquals(
    (await add({ url: "example.com", key: "my-talk" })).text,
    "https://go.example/my-talk",
  );
  assertEquals((await add({ url: "example.com", key: "" })).text, "https://go.example/1");
});

it("POST /add refuses with the message as text", async () => {
  await using server = await serve({ taken: "https://example.com/" });
  const refused: [fields: Record<string, string>, status: number, message: RegExp][] = [
    [{}, 400, /^invalid URL: it is empty$/],
    [{ url: "javascript:alert(1)" }, 400, /^invalid URL: it must start with/],
    [{ url: "https://go.example/0" }, 400, /^invalid URL: it points back/],
    [{ url: "https://a:b@example.com/" }, 400, /^invalid URL: it has credentials$/],
    [{ url: "example.com", key: "a b" }, 400, /^invalid key: use 1 to 64 of/],
    [{ url: "example.com", key: "add" }, 400, /^invalid key: "add" is reserved$/],
    [{ url: "example.com", key: "taken" }, 409, /^key already exists$/],
  ];
  for (const [fields, status, message] of refused) {
    const body = new URLSearchParams(fields);
    const answer = await server.ask("/add", { method: "POST", body });
    assertEquals(answer.status, status);
    assertMatch(answer.text, message);
  }
  assertEquals(server.store.count, 1);
});

it("POST /add sends whoever prefers HTML on to a page, and gives others a text", async () => {
  await using server = await serve();
  const accepts: [accept: string, html: boolean][] = [
    [BROWSER, true],
    ["text/html", true],
    ["TEXT/HTML; q=0.5, text/plain; q=0.4", true],
    ["text/html, text/plain;q=0.9", true],
    ["*/*", false],
    ["text/*", false],
    ["text/plain", false],
    ["text/html, text/plain", false],
    ["text/html;q=0.4, text/plain;q=0.5", false],
    ["text/html;q=0, */*", false],
    ["application/json", false],
    [";;,q=,/", false],
  ];
  for (const [accept, html] of accepts) {
    const body = new URLSearchParams({ url: "example.com" });
    const answer = await server.ask("/add", { method: "POST", body, headers: { accept } });
    assertEquals(answer.status, html ? 303 : 200, accept);
    if (html) assertMatch(answer.headers.get("location") ?? "", /^\/\.detail\/\w\?new$/);
    else assertMatch(answer.text, /^https:\/\/go\.example\/\w$/);
  }
});

it("POST /add keeps what a browser sent when it is refused, escaped", async () => {
  await using server = await serve();
  const headers = { accept: BROWSER };
  const body = new URLSearchParams({ url: `x:"><script>`, key: `"><b>` });
  const answer = await server.ask("/add", { method: "POST", body, headers });
  assertEquals(answer.status, 400);
  assertMatch(answer.text, /<p class="error" id="url-error">Invalid URL: /);
  assertStringIncludes(answer.text, `value="x:&#34;&#62;&#60;script&#62;"`);
  assertStringIncludes(answer.text, `value="&#34;&#62;&#60;b&#62;"`);
  assertFalse(answer.text.includes("<script>"));
});

it("POST /add takes a multipart form", async () => {
  await using server = await serve();
  const body = new FormData();
  body.set("url", "https://example.com/ä");
  body.set("key", "m");
  assertEquals((await server.ask("/add", { method: "POST", body })).text, "https://go.example/m");
  assertEquals(await server.store.get("m"), "https://example.com/%C3%A4");

  body.set("url", new File(["https://example.com/"], "url.txt"));
  assertEquals((await server.ask("/add", { method: "POST", body })).status, 400);
  const headers = { "content-type": "multipart/form-data; boundary=x" };
  const broken = await server.ask("/add", { method: "POST", body: "--y\r\n", headers });
  assertEquals([broken.status, broken.text], [400, "the body is no form"]);
  assertEquals(server.errors, []);
});

it("POST reads its body by content-type, whatever its case and parameters", async () => {
  await using server = await serve();
  const post = (path: string, type: string | undefined, body: string) => {
    const headers: HeadersInit = type === undefined ? {} : { "content-type": type };
    return server.ask(path, { method: "POST", body: new TextEncoder().encode(body), headers });
  };
  const ok = await post("/add", "Application/X-WWW-Form-URLencoded; charset=UTF-8", "url=a.b");
  assertEquals(ok.status, 200);
  const json = `{"url":"a.b"}`;
  assertEquals((await post("/api/links", "APPLICATION/JSON;charset=utf-8", json)).status, 201);

  for (const type of [undefined, "text/plain", "application/json", "application/jsonx"]) {
    assertEquals((await post("/add", type, "url=a.b")).status, 415, type);
  }
  for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded"]) {
    const { status, headers } = await post("/api/links", type, json);
    assertEquals([status, headers.get("content-type")], [415, "application/problem+json"]);
  }
  assertEquals(server.store.count, 2);
});

it("a body that is not UTF-8 answers 400", async () => {
  await using server = await serve({}, withRPC());
  const body = new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
  for (
    const [path, headers] of [["/add", FORM], ["/api/links", JSON_BODY], [
      "/rpc",
      JSON_BODY,
    ]] as const
  ) {
    const answer = await server.ask(path, { method: "POST", body, headers });
    assertEquals(answer.status, 400);
    assertStringIncludes(answer.text, "the body is not UTF-8");
  }
});

it("a body over 64 KiB, or 1 MiB for /rpc, answers 413, with or without content-length", async () => {
  await using server = await serve({}, withRPC());
  const limits = [
    { path: "/add", headers: FORM, limit: 64 << 10 },
    { path: "/api/links", headers: JSON_BODY, limit: 64 << 10 },
    { path: "/rpc", headers: JSON_BODY, limit: 1 << 20 },
  ];
  for (const { path, headers, limit } of limits) {
    for (const size of [limit, limit + 1]) {
      const body = " ".repeat(size);
      for (const init of [{ method: "POST", body }, chunked(body)]) {
        const { status } = await server.ask(path, { ...init, headers });
        // Blanks are no link: a body that was read is refused for that.
        assertEquals(status, size > limit ? 413 : path === "/rpc" ? 200 : 400, `${path} ${size}`);
      }
    }
  }
  const { headers } = await server.ask("/api/links", {
    ...chunked(" ".repeat(70_000)),
    headers: JSON_BODY,
  });
  assertEquals(headers.get("content-type"), "application/problem+json");
  assertEquals(server.errors, []);
});

it("/api/links creates, reads, changes and deletes a link", async () => {
  await using server = await serve();
  const api = (method: string, path: string, body?: Record<string, string>) =>
    server.ask(`/api/links${path}`, {
      method,
      headers: JSON_BODY,
      body: body && JSON.stringify(body),
    });
  const link = { key: "k", url: "https://example.com/1", short: "https://go.example/k" };

  const made = await api("POST", "", { url: "example.com/1", key: "k" });
  const { created: time, ...shown } = JSON.parse(made.text);
  assertEquals([made.status, shown], [201, link]);
  assertMatch(time, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals(made.headers.get("location"), "/api/links/k");
  assertEquals(made.headers.get("content-type"), "application/json");

  const read = await api("GET", "/k");
  assertEquals([read.status, JSON.parse(read.text)], [200, {
    ...link,
    created: time,
    hits: 0,
    previews: 0,
  }]);
  assertEquals((await api("GET", "/%6b?x")).status, 200);
  const head = await api("HEAD", "/k");
  assertEquals([head.status, head.text], [200, ""]);

  const changed = await api("PUT", "/k", { url: "example.com/2" });
  assertEquals(changed.status, 200);
  assertEquals(JSON.parse(changed.text), { ...link, url: "https://example.com/2", created: time });
  assertEquals(await server.store.get("k"), "https://example.com/2");

  const deleted = await api("DELETE", "/k");
  assertEquals([deleted.status, deleted.text], [204, ""]);
  assertEquals((await server.ask("/k")).status, 404);
  assertEquals(JSON.parse((await api("POST", "", { url: "example.com" })).text).key, "0");
});

it("/api refuses with a problem (RFC 9457)", async () => {
  await using server = await serve({ taken: "https://example.com/" });
  const noObject = "the body is no JSON object";
  const refused: [request: string, body: string | undefined, status: number, detail: string][] = [
    ["POST /api/links", `{"url":""}`, 400, "invalid URL: it is empty"],
    ["POST /api/links", `{}`, 400, `"url" must be a string`],
    ["POST /api/links", `[]`, 400, noObject],
    [
      "POST /api/links",
      `{"url":"a.b","kee":"a"}`,
      400,
      `"kee" is not known; use "url", "key" and "expires"`,
    ],
    ["POST /api/links", `{"kee":1}`, 400, `"kee" is not known; use "url", "key" and "expires"`],
    [
      "PUT /api/links/taken",
      `{"ur":"a.b"}`,
      400,
      `"ur" is not known; use "url", "key" and "expires"`,
    ],
    [
      "PUT /api/links/taken",
      `{"url":"a.b","key":"k"}`,
      400,
      `"key" can't be changed: make another link`,
    ],
    ["POST /api/links", `{"url":1}`, 400, `"url" must be a string`],
    ["POST /api/links", `{"url":"a.b","key":1}`, 400, `"key" must be a string`],
    ["POST /api/links", `{"url":"a.b","key":"rpc"}`, 400, `invalid key: "rpc" is reserved`],
    ["POST /api/links", `{"url"`, 400, noObject],
    ["POST /api/links", `null`, 400, noObject],
    ["POST /api/links", `{"url":"a.b","key":"taken"}`, 409, "key already exists"],
    ["PATCH /api/links", undefined, 405, "method not allowed"],
    ["GET /api/links?limit=0", undefined, 400, `"limit" must be a number from 1 to 1000`],
    ["GET /api/links/none", undefined, 404, "key not found"],
    ["GET /api/links/", undefined, 404, "key not found"],
    ["GET /api/nothing", undefined, 404, "not found"],
    ["PUT /api/links/none", `{"url":"a.b"}`, 404, "key not found"],
    ["PUT /api/links/taken", `{"url":"foo"}`, 400, "invalid URL: it can't be parsed"],
    ["PUT /api/links/taken", `{}`, 400, `"url" must be a string`],
    ["PUT /api/links/taken", `"`, 400, noObject],
    ["DELETE /api/links/none", undefined, 404, "key not found"],
  ];
  const titles = new Map([
    [400, "Bad Request"],
    [404, "Not Found"],
    [405, "Method Not Allowed"],
    [409, "Conflict"],
  ]);
  for (const [request, body, status, detail] of refused) {
    const [method, path] = request.split(" ");
    const answer = await server.ask(path, { method, body, headers: JSON_BODY });
    const problem = { title: titles.get(status), status, detail };
    assertEquals([answer.status, JSON.parse(answer.text)], [status, problem], `${request} ${body}`);
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
  }
  const { links } = await server.store.list();
  assertEquals(links.map(({ key, url }) => [key, url]), [["taken", "https://example.com/"]]);
});

it("a store that can't take a link answers 503 with Retry-After", async () => {
  await using server = await serve({ a: "https://example.com/" });
  await server.close();
  const form = { method: "POST", body: new URLSearchParams({ url: "example.com" }) };
  const json = { method: "POST", body: `{"url":"example.com"}`, headers: JSON_BODY };
  for (const [path, init] of [["/add", form], ["/api/links", json]] as const) {
    const { status, headers, text } = await server.ask(path, init);
    assertEquals([status, headers.get("retry-after")], [503, "1"]);
    assertStringIncludes(text, "shutting down");
  }
  const page = await server.ask("/add", { ...form, headers: { accept: BROWSER } });
  assertEquals([page.status, page.headers.get("retry-after")], [503, "1"]);
  assertEquals((await server.ask("/a")).status, 302, "links that are there are still answered");
});

it("an error of ours answers 500, is reported, and shows nothing of itself", async () => {
  class Broken extends URLStore {
    override get(): never {
      throw new TypeError("secret of the house");
    }
    override link(): never {
      return this.get();
    }
  }
  using dir = tempDir();
  const journal = await Journal.open(`${dir.path}/broken.jsonl`);
  await using server = await serve({}, () => ({ store: new Broken(journal) }));
  for (const path of ["/a", "/api/links/a"]) {
    const { status, text } = await server.ask(path);
    assertEquals(status, 500);
    assertStringIncludes(text, "internal error");
    assertFalse(/secret|handlers_test|TypeError/.test(text));
  }
  assertEquals(server.errors.map(String), Array(2).fill("TypeError: secret of the house"));
  await journal.close();
});

it("/healthz and /readyz tell whether the server is alive and ready", async () => {
  await using server = await serve({ a: "https://example.com/" });
  const alive = await server.ask("/healthz?x");
  assertEquals([alive.status, alive.text], [200, "ok"]);
  const ready = await server.ask("/readyz");
  assertEquals(ready.status, 200);
  assertObjectMatch(JSON.parse(ready.text), {
    ready: true,
    links: 1,
    position: place.isFile ? 41 : 84, // a database's log begins with its term
  });
});

it("starting() is alive but not ready", async () => {
  const ask = (path: string) => starting(new Request(`http://localhost:8080${path}`));
  assertEquals(ask("/healthz").status, 200);
  assertEquals(ask("/healthz?x").status, 200);
  for (const path of ["/", "/a", "/readyz", "/a/healthz", "/healthz/a", "/rpc"]) {
    const response = ask(path);
    assertEquals([response.status, await response.text()], [503, "starting\n"], path);
    assertEquals(response.headers.get("retry-after"), "1");
  }
});

it("POST /rpc and GET /rpc/log answer 404 where RPC is off", async () => {
  await using server = await serve();
  for (const [method, path] of [["POST", "/rpc"], ["GET", "/rpc"], ["GET", "/rpc/log"]]) {
    const { status, text } = await server.ask(path, { method });
    assertEquals([status, text], [404, "not found: RPC is served with -rpc"]);
  }
});

it("POST /rpc answers JSON-RPC, and 204 where there is nothing to say", async () => {
  await using server = await serve({ a: "https://example.com/" }, withRPC());
  const call = (body: string, headers: HeadersInit = JSON_BODY) =>
    server.ask("/rpc", { method: "POST", body, headers });
  const got = await call(`{"jsonrpc":"2.0","method":"Store.Get","params":["a"],"id":1}`);
  assertEquals([got.status, got.headers.get("content-type")], [200, "application/json"]);
  assertEquals(JSON.parse(got.text), { jsonrpc: "2.0", id: 1, result: "https://example.com/" });
  const bad = await call("{");
  assertEquals([bad.status, JSON.parse(bad.text).error.code], [200, -32700]);
  const silent = await call(`{"jsonrpc":"2.0","method":"Store.Get","params":["a"]}`);
  assertEquals([silent.status, silent.text], [204, ""]);
  for (const type of ["application/json-rpc", "application/jsonrequest; charset=utf-8"]) {
    const { status, text } = await call("{", { "content-type": type });
    assertEquals([status, JSON.parse(text).error.code], [200, -32700], type);
    assertEquals(
      (await server.ask("/api/links", {
        method: "POST",
        body: '{"url":"example.com"}',
        headers: { "content-type": type },
      })).status,
      415,
    );
  }
  // What a page of another site can send without being asked for permission.
  assertEquals((await call("{}", { "content-type": "text/plain" })).status, 415);
  assertEquals((await call("{}", FORM)).status, 415);
});

it("/rpc and /rpc/log ask for the token, if one is set", async () => {
  await using server = await serve({ a: "https://example.com/" }, withRPC("s3cret"));
  const body = `{"jsonrpc":"2.0","method":"Store.Get","params":["a"],"id":1}`;
  const call = (authorization?: string) => {
    const headers = new Headers(JSON_BODY);
    if (authorization !== undefined) headers.set("authorization", authorization);
    return server.ask("/rpc", { method: "POST", body, headers });
  };
  for (
    const wrong of [
      undefined,
      "",
      "Bearer",
      "Bearer ",
      "Bearer wrong",
      "Bearer s3cret!",
      "Basic s3cret",
    ]
  ) {
    const { status, headers, text } = await call(wrong);
    assertEquals([status, text, headers.get("www-authenticate")], [
      401,
      /^Bearer \S/.test(wrong ?? "") ? "that is another token" : "a token is needed",
      "Bearer",
    ], wrong);
  }
  assertEquals((await call("Bearer s3cret")).status, 200);
  assertEquals((await call("bearer  s3cret")).status, 200);
  assertEquals((await server.ask("/rpc/log")).status, 401);
  assertEquals((await server.ask("/a")).status, 302, "a redirect needs none");
});

it("GET /rpc/log refuses an offset that is none", async () => {
  await using server = await serve({}, withRPC());
  for (const offset of ["-1", "1e3", "x", "", "1".repeat(16)]) {
    const { status, text } = await server.ask(`/rpc/log?offset=${offset}`);
    assertEquals([status, text], [400, `"offset" must be a number of bytes or "end"`], offset);
  }
});

it("an old entry with control characters neither crashes the server nor splits the header", async () => {
  await using server = await serve({
    a: "https://example.com/\0\x01\x1b\x7f",
    b: "x\r\nSet-Cookie: a=b\r\n\r\n<script>",
    c: "https://example.com/\ud800",
  });
  const head = (key: string) => server.send(`GET /${key} HTTP/1.1\r\nHost: h`);
  assertMatch(
    await head("a"),
    /^HTTP\/1\.1 302 .*\r\nlocation: https:\/\/example\.com\/%00%01%1b%7f\r\n/i,
  );
  assertMatch(await head("b"), /\r\nlocation: x {2}Set-Cookie: a=b {4}<script>\r\n/i);
  assertMatch(await head("c"), /\r\nlocation: https:\/\/example\.com\/%ef%bf%bd\r\n/i);
  assertEquals(server.errors, []);
});

it("toLocation() leaves alone what was added since links are checked", () => {
  for (
    const url of [
      "https://example.com/a?b=%C3%A9#c",
      "http://xn--r8jz45g.jp/",
      "https://a/?x=//../",
    ]
  ) {
    assertEquals(toLocation(url), url);
  }
});

it("odd requests are answered as what they are", async () => {
  await using server = await serve({ a: "https://example.com/" });
  const odd: [head: string, status: number][] = [
    ["GET /a HTTP/1.0", 302],
    ["GET /a HTTP/1.1", 302], // without Host
    ["GET http://other.example/a?x HTTP/1.1\r\nHost: h", 302],
    ["GET http://other.example HTTP/1.1\r\nHost: h", 200], // the form
    ["GET /a HTTP/1.1\r\nHost: [::1", 302],
    ["GET /a HTTP/1.1\r\nHost: h ost", 302],
    ["GET /a HTTP/1.1\r\nHost: a@b:99999", 302],
    ["GET /add?url=x HTTP/1.1\r\nHost: a@b:99999", 200],
    ["GET /add?url=x HTTP/1.1", 200],
    ["GET /a HTTP/1.1\r\nHost: x/readyz?", 400], // which names another path than the one asked for
    ["GET /a HTTP/1.1\r\nHost: x/api/links/a?", 400],
    ["HEAD /a HTTP/1.1\r\nHost: h", 302],
    ["OPTIONS * HTTP/1.1\r\nHost: h", 405],
    ["OPTIONS * HTTP/1.1", 405],
    ["CONNECT h:80 HTTP/1.1\r\nHost: h", 405],
    ["TRACE /a HTTP/1.1\r\nHost: h", 405],
    ["GET //a HTTP/1.1\r\nHost: h", 404],
    ["GET /../a HTTP/1.1\r\nHost: h", 404],
    ["GET /\u00e9 HTTP/1.1\r\nHost: h", 404],
    ["GET a HTTP/1.1\r\nHost: h", 400],
    ["GET ?a HTTP/1.1\r\nHost: h", 400],
    ["nonsense", 400],
    // Two lengths are how requests are smuggled past a proxy, and a body past its limit.
    ["POST /add HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400],
    ["POST /add HTTP/1.1\r\nHost: h\r\nContent-Length: -1", 400],
    ["POST /add HTTP/1.1\r\nHost: h\r\nContent-Length: 0", 415],
  ];
  for (const [head, status] of odd) {
    assertEquals((await server.send(head)).split(" ")[1], String(status), head);
  }
  assertEquals(server.errors, []);
});

it("a client that hangs up in its body is no error of ours", async () => {
  let errors;
  {
    await using server = await serve();
    errors = server.errors;
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode(
      "POST /add HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
        "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    ));
    const buffer = new Uint8Array(100);
    const n = await within(10_000, "a wish for the body", connection.read(buffer)) ?? 0;
    assertMatch(new TextDecoder().decode(buffer.subarray(0, n)), /^HTTP\/1.1 100 /);
  } // the server has answered all, whoever is there to hear it
  assertEquals(errors, []);
});

it("a redirect leads where its link does now, however many others were asked for", async () => {
  const urls = new Map<string, string>();
  for (let i = 0; i < 25_000; i++) urls.set(`k${i}`, `https://example.com/${i}`);
  const nobody = () => Promise.reject(new Error("not asked"));
  const answer = handler({
    base: "http://go.example",
    store: {
      get: (key) => urls.get(key) ?? "",
      link: nobody,
      put: nobody,
      update: nobody,
      delete: nobody,
      list: nobody,
      traffic: nobody,
      health: () => ({ ready: true }),
    },
  });
  const location = async (key: string) =>
    (await answer(new Request(`http://go.example/${key}`))).headers.get("location");
  for (let round = 0; round < 2; round++) {
    for (const [key, url] of urls) assertEquals(await location(key), url);
    for (const key of ["k0", "k9999", "k10000", "k24999"]) {
      urls.set(key, `https://new.example/${key}`);
    }
  }
});

it("the answer for a link that is asked for again is kept, and not more of them than fit", () => {
  const redirects = new Redirects();
  const url = (i: number) => `https://example.com/${i}`;
  const request = new Request("http://localhost/");
  const to = (i: number) => redirects.to(request, `k${i}`, url(i));
  const first = to(0);
  const second = to(0);
  assert(first !== second, "nobody has asked for it again");
  assert(to(0) === second && to(0) === second);
  for (let i = 0; i < 20_000; i++) {
    for (let n = 0; n < 3; n++) assertEquals(to(i).headers.get("location"), url(i));
  }
  const before = Array.from({ length: 20_000 }, (_, i) => to(i));
  const kept = before.filter((answer, i) => answer === to(i)).length;
  assert(kept <= 4096, `${kept} answers are kept`);
});

it("a kept answer never outlives its link: changed, deleted, made anew, and with another's key", async () => {
  const urls = new Map<string, string>();
  const nobody = () => Promise.reject(errNotFound);
  const answer = handler({
    base: "http://go.example",
    store: {
      get: (key) => urls.get(key) ?? nobody(),
      link: nobody,
      put: nobody,
      update: nobody,
      delete: nobody,
      list: nobody,
      traffic: nobody,
      health: () => ({ ready: true }),
    },
  });
  const seen = async (key: string) => {
    const answers = [];
    for (let n = 0; n < 4; n++) {
      const { status, headers } = await answer(new Request(`http://go.example/${key}`));
      answers.push(headers.get("location") ?? status);
    }
    return answers;
  };
  for (const url of ["https://a.example/", "https://b.example/", undefined, "https://a.example/"]) {
    for (const key of ["docs", "other"]) {
      if (url === undefined) urls.delete(key);
      else urls.set(key, `${url}${key}`);
      const expected = url === undefined ? 404 : `${url}${key}`;
      assertEquals(await seen(key), Array(4).fill(expected));
    }
  }
});

it("every text and every JSON ends with a newline, so that a terminal shows a line", async () => {
  await using server = await serve({ k: "https://example.com/" });
  const post = (body: string) => ({ method: "POST", headers: FORM, body });
  for (
    const [path, init] of [
      ["/add", post("url=https://example.com/")],
      ["/add", post("url=")],
      ["/none"],
      ["/healthz"],
      ["/readyz"],
      ["/api/links/k"],
      ["/api/links/none"],
    ] as [string, RequestInit?][]
  ) {
    const answer = await server.send(
      `${init?.method ?? "GET"} ${path} HTTP/1.1\r\nHost: h` +
        (init
          ? `\r\nContent-Type: ${FORM["content-type"]}\r\nContent-Length: ${`${init.body}`.length}`
          : ""),
      init ? `${init.body}` : "",
    );
    assertMatch(answer, /[^\n]\n$/, path);
  }
});

it("a body may have as many bytes as the limit says, and none more", async () => {
  await using server = await serve();
  const post = async (size: number) => {
    const body = `{"url":"https://example.com/${size}"}`.padEnd(size);
    const init = { method: "POST", headers: JSON_BODY, body };
    return (await server.ask("/api/links", init)).status;
  };
  // In one piece, in many, and where they must end.
  for (const size of [100, 4 << 10, (4 << 10) + 1, 64 << 10]) assertEquals(await post(size), 201);
  assertEquals(await post((64 << 10) + 1), 413);
});
