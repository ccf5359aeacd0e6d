/** Pages of one's own at other origins, which use the API. */
import { assertEquals, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { parseFlags } from "../cli/flags.ts";
import { type Here, startHere } from "./here.ts";
import { type Goto, start } from "./processes.ts";

const OURS = "https://intranet.example.com";
const JSON_BODY = { "content-type": "application/json" };

/** Asks as the browser of somebody who looks at a page of `origin`. */
async function ask(
  { url }: Goto | Here,
  method: string,
  path: string,
  origin: string,
  headers: Record<string, string> = {},
  body?: string,
) {
  const sent = { origin, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", ...headers };
  const response = await fetch(url + path, { method, headers: sent, body, redirect: "manual" });
  await response.body?.cancel();
  const told = (name: string) => response.headers.get(`access-control-${name}`);
  return { status: response.status, allowed: told("allow-origin"), told, response };
}

/** Whether caches are told that the answer depends on the origin. */
function varies({ headers }: Response): boolean {
  return (headers.get("vary") ?? "").split(",").some((name) => name.trim() === "origin");
}

/** What a browser asks before it sends JSON, or a token. */
async function preflight(server: Goto | Here, path: string, origin: string, method: string) {
  return await ask(server, "OPTIONS", path, origin, {
    "access-control-request-method": method,
    "access-control-request-headers": "authorization,content-type",
  });
}

it("-cors lets pages of that origin use the API, with the token, and no others", async () => {
  await using server = await start(`-cors=${OURS},http://localhost:3000`, "-token=secret");
  const token = { authorization: "Bearer secret", ...JSON_BODY };
  const link = '{"url":"https://example.com/","key":"docs"}';
  const asked = await preflight(server, "/api/links", OURS, "POST");
  assertEquals([asked.status, asked.allowed], [204, OURS]);
  assertEquals(asked.told("allow-methods"), "GET, HEAD, POST, PUT, DELETE");
  assertEquals(asked.told("allow-headers"), "authorization, content-type");
  assertEquals(varies(asked.response), true);
  const without = await ask(server, "POST", "/api/links", OURS, JSON_BODY, link);
  assertEquals([without.status, without.allowed], [401, OURS], "the page may read why");
  const made = await ask(server, "POST", "/api/links", OURS, token, link);
  assertEquals([made.status, made.allowed], [201, OURS]);
  assertEquals(made.told("expose-headers"), "location, retry-after");
  assertEquals(made.told("allow-credentials"), null);
  const other = await ask(server, "GET", "/api/links/docs", "http://localhost:3000");
  assertEquals([other.status, other.allowed], [200, "http://localhost:3000"]);
  const form = { ...token, "content-type": "application/x-www-form-urlencoded" };
  const added = await ask(server, "POST", "/add", OURS, form, "url=https://example.com/2");
  assertEquals([added.status, added.allowed], [200, OURS]);
  for (const stranger of ["https://evil.example", `${OURS}.evil.example`, "null"]) {
    const asked = await preflight(server, "/api/links", stranger, "POST");
    assertEquals([asked.status < 400, asked.allowed], [false, null], stranger);
    const made = await ask(server, "POST", "/api/links", stranger, token, link);
    assertEquals([made.status, made.allowed], [403, null], stranger);
    const read = await ask(server, "GET", "/api/links/docs", stranger);
    assertEquals([read.status, read.allowed], [200, null], stranger);
    assertEquals(varies(read.response), true);
  }
});

it("-cors tells pages nothing of RPC and redirects", async () => {
  await using server = await startHere(`-cors=${OURS}`, "-rpc");
  const call = '{"jsonrpc":"2.0","id":1,"method":"Store.Health"}';
  assertEquals((await preflight(server, "/rpc", OURS, "POST")).allowed, null);
  assertEquals((await ask(server, "POST", "/rpc", OURS, JSON_BODY, call)).allowed, null);
  assertEquals((await ask(server, "GET", "/none", OURS)).allowed, null);
  assertEquals((await preflight(server, "/add", OURS, "POST")).allowed, OURS);
});

it("without -cors no page of another origin is told anything", async () => {
  await using server = await startHere();
  const asked = await preflight(server, "/api/links", OURS, "POST");
  assertEquals([asked.status < 400, asked.allowed], [false, null]);
  const read = await ask(server, "GET", "/api/links/none", OURS);
  assertEquals([read.allowed, varies(read.response)], [null, false]);
});

it("-cors takes origins, and says so of anything else", () => {
  const parse = (text: string) => parseFlags([`-cors=${text}`], () => undefined).cors;
  assertEquals(parse("https://A.example/, http://localhost:3000"), [
    "https://a.example",
    "http://localhost:3000",
  ]);
  for (const text of ["*", "null", "example.com", "https://a.example/path", "ftp://a", "", "a,"]) {
    assertThrows(() => parse(text), Error, "-cors");
  }
});
