/** Pages of other sites, which a browser lets send requests here. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Here, startHere } from "./here.ts";
import { add, follow, type Goto, lineOf, start } from "./processes.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const JSON_BODY = { "content-type": "application/json" };

/** What browsers send with a form of our own page, where they say where it is. */
const OWN = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate" };

/** Sends a request as a browser does, with the headers that no page can set. */
async function send(
  { url }: Goto | Here,
  method: string,
  path: string,
  headers: Record<string, string>,
  body = "",
): Promise<{ status: number; text: string }> {
  const { hostname, port, host } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const all = { host, "content-length": `${body.length}`, connection: "close", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  const [head, ...text] = answer.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), text: lineOf(text.join("\r\n\r\n")) };
}

/** Everything that changes links, sent with `headers`; gives the statuses. */
async function change(goto: Goto | Here, headers: Record<string, string>): Promise<number[]> {
  const json = '{"url":"https://example.com/"}';
  const rpc = '{"jsonrpc":"2.0","id":1,"method":"Store.Put","params":["https://example.com/"]}';
  const requests: [string, string, Record<string, string>, string][] = [
    ["POST", "/add", FORM, "url=example.com"],
    ["POST", "/api/links", JSON_BODY, json],
    ["PUT", "/api/links/a", JSON_BODY, json],
    ["POST", "/rpc", JSON_BODY, rpc],
    ["DELETE", "/api/links/none", {}, ""],
  ];
  const statuses = [];
  for (const [method, path, type, body] of requests) {
    statuses.push((await send(goto, method, path, { ...type, ...headers }, body)).status);
  }
  return statuses;
}

const DONE = [200, 201, 200, 200, 404];
const count = async (goto: Goto | Here) => (await (await fetch(`${goto.url}/readyz`)).json()).links;

describe("a page of another site", () => {
  it("changes nothing, by a form, by JSON, or by RPC", async () => {
    await using master = await startHere("-rpc", "-host=https://go.example.com");
    await add(master.url, "https://example.com/", "a");
    const foreign: Record<string, string>[] = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" }, // another name below example.com
      { "sec-fetch-site": "cross-site", origin: "https://go.example.com" },
      { "sec-fetch-site": "same-origin", origin: "https://evil.example" },
      { "sec-fetch-site": "none", origin: "null" },
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "" },
      { origin: "https://go.example.com.evil.example" },
      { origin: "https://go.example.com:8443" },
      { origin: "https://app.example.com" },
      { origin: "http://127.0.0.1:1" },
    ];
    for (const headers of foreign) {
      assertEquals(await change(master, headers), Array(5).fill(403), JSON.stringify(headers));
    }
    const refused = await send(master, "POST", "/add", { ...FORM, origin: "null" }, "url=a.b");
    assertEquals(refused.text, "a page of another site may not change links");
    const problem = await send(master, "DELETE", "/api/links/a", {
      "sec-fetch-site": "cross-site",
    });
    assertEquals(JSON.parse(problem.text), {
      title: "Forbidden",
      status: 403,
      detail: "a page of another site may not change links",
    });
    assertEquals(await count(master), 1);
  });

  it("may lead to links and to the form", async () => {
    await using master = await startHere("-host=https://go.example.com");
    const key = await add(master.url, "https://example.com/");
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    assertEquals((await send(master, "GET", `/${key}`, headers)).status, 302);
    assertEquals((await send(master, "GET", "/add?url=x", headers)).status, 200);
  });
});

it("our own page, and whoever is no browser, may change links", async () => {
  await using master = await start("-rpc", "-host=https://go.example.com");
  await add(master.url, "https://example.com/", "a");
  const { origin, host, port } = new URL(master.url);
  const own: Record<string, string>[] = [
    {},
    { "sec-fetch-mode": "cors" }, // Node.js
    { "user-agent": "curl/8", host: "another.example.org" },
    { origin },
    { origin, ...OWN },
    OWN,
    { "sec-fetch-site": "none" },
    // Behind a proxy that ends TLS, keeps Host, or puts its own there
    { ...OWN, origin: "https://go.example.com", host: "go.example.com" },
    { ...OWN, origin: "https://go.example.com", host: "go.example.com:443" },
    { ...OWN, origin: "https://go.example.com", host },
    { ...OWN, origin: "https://go.example.com", host: "backend" },
    { origin: `http://localhost:${port}`, host: `localhost:${port}` },
    { origin: `http://goto.localhost:${port}`, host: `goto.localhost:${port}` },
    { origin: "http://go", host: "go" },
    { origin: "http://go.", host: "go." },
    { origin: "http://[::1]:8080", host: "[::1]:8080" },
    { origin: "http://10.1.2.3", host: "10.1.2.3" },
  ];
  for (const headers of own) {
    assertEquals(await change(master, headers), DONE, JSON.stringify(headers));
  }
});

it("a name that a stranger leads here lets a page of theirs follow links, and nothing else", async () => {
  await using master = await startHere("-rpc");
  await add(master.url, "https://example.com/", "a");
  for (
    const host of ["evil.example", "evil.example:80", "localhost.evil.example", "1.2.3.4.nip.io"]
  ) {
    const page = { host, origin: `http://${host}`, "sec-fetch-site": "same-origin" };
    assertEquals(await change(master, page), Array(5).fill(421), host);
    for (const path of ["/", "/add", "/api/links/a", "/rpc/log", "/readyz", "/healthz"]) {
      assertEquals((await send(master, "GET", path, page)).status, 421, `${host} ${path}`);
    }
    assertEquals((await send(master, "GET", "/a", page)).status, 302);
    const { text } = await send(master, "GET", "/add", page);
    assertStringIncludes(
      text,
      `goto is not known as ${host.replace(/:80$/, "")} here: -host names`,
    );
  }
  const nameless = { host: "a:b:c", "sec-fetch-site": "same-origin" };
  assertEquals((await send(master, "POST", "/add", nameless)).status, 421);
  assertEquals((await follow(master.url, "a")).status, 302);
  assertEquals(await count(master), 1);
});

describe("without a token, a server whose -host is given", () => {
  const READS = [
    "/.all",
    "/.export",
    "/api/links",
    "/api/links/a",
    "/.detail/a",
    "/api/links/a/hits",
  ];
  const ask = async (goto: Goto | Here, host: string, path: string, method = "GET") =>
    (await send(goto, method, path, { host })).status;

  it("shows links to nobody who asks by a name that isn't known", async () => {
    const flags = ["-host=https://go.example.com", "-cors=https://wiki.example.com:8443"];
    await using master = await start("-rpc", ...flags);
    await using replica = await start(`-master=${master.url}`, ...flags, "-threads=2", "-suffix");
    await add(master.url, "https://example.com/", "a");
    const strangers = [
      "evil.example",
      "evil.example:8080",
      "evil.example.",
      "go.example.com.evil.example",
      "sub.go.example.com",
      "example.com",
      "localhost.evil.example",
      "127.0.0.1.nip.io",
      "a:b:c",
    ];
    const known = [
      "go.example.com",
      "GO.example.com.:8080",
      "wiki.example.com",
      "go",
      "localhost:1",
      "goto.localhost",
      "127.0.0.1",
      "[::1]:8080",
      "10.1.2.3",
    ];
    for (const goto of [master, replica]) {
      for (const path of [...READS, "/?key=a", "/add?url=x&k%65y=a"]) {
        for (const host of strangers) {
          for (const method of ["GET", "HEAD"]) {
            assertEquals(await ask(goto, host, path, method), 421, `${method} ${path} at ${host}`);
          }
        }
        for (const host of known) {
          assertEquals(await ask(goto, host, path), 200, `${path} at ${host}`);
        }
      }
      const open = {
        "/a": 302,
        "/a/": 302,
        "/none": 404,
        "/": 200,
        "/healthz": 200,
        "/readyz": 200,
        "/metrics": 200,
      };
      for (const [path, status] of Object.entries(open)) {
        assertEquals(await ask(goto, "evil.example", path), status, path);
      }
    }
    const rpc = '{"jsonrpc":"2.0","id":1,"method":"Store.Get","params":["a"]}';
    const called = await send(
      master,
      "POST",
      "/rpc",
      { ...JSON_BODY, host: "inside.example" },
      rpc,
    );
    assertEquals(called.status, 200);
    const { text } = await send(master, "GET", "/.export", { host: "evil.example" });
    assertEquals(text, "goto is not known as evil.example here: -host names its host");
  });

  it("does so no more where a token is asked for, or no -host is given", async () => {
    await using named = await startHere("-host=https://go.example.com", "-token=secret");
    await using nameless = await startHere();
    for (const goto of [named, nameless]) {
      const authorization = "Bearer secret";
      const { status } = await send(goto, "GET", "/api/links", {
        host: "x.example",
        authorization,
      });
      assertEquals(status, 200);
    }
  });

  it("takes a browser's change by its name, with a dot at its end or without", async () => {
    await using master = await startHere("-host=https://go.example.com.");
    await add(master.url, "https://example.com/", "a");
    for (
      const [host, origin] of [
        ["go.example.com", "https://go.example.com"],
        ["go.example.com.", "https://go.example.com."],
        ["go.example.com:443", "https://go.example.com"],
        ["127.0.0.1:8080", "https://go.example.com."],
        ["127.0.0.1:8080", "https://go.example.com"],
      ]
    ) {
      const headers = { ...FORM, ...OWN, host, origin };
      const { status } = await send(master, "POST", "/add", headers, "url=example.com");
      assertEquals(status, 200, `${origin} at ${host}`);
    }
    for (const origin of ["http://go.example.com", "https://go.example.com:8443"]) {
      const headers = { ...FORM, host: "127.0.0.1:8080", origin };
      assertEquals((await send(master, "POST", "/add", headers, "url=example.com")).status, 403);
    }
  });
});
