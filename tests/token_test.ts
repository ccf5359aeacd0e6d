import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { parseFlags } from "../cli/flags.ts";
import { whoMayWrite } from "../cli/open.ts";
import { isGuarded } from "../http/token.ts";
import { startHere } from "./here.ts";
import { add, eventually, follow, start } from "./processes.ts";
import { agree, ready } from "./replicas.ts";

it("without the right token, RPC and the feed are refused", async () => {
  await using master = await startHere("-rpc", "-rpc-token=secret");
  const key = await add(master.url, "https://example.com/");
  const call = { jsonrpc: "2.0", id: 1, method: "Store.Get", params: [key] };
  const json = { "content-type": "application/json" };
  const tokens = {
    "": 401,
    "Bearer": 401,
    "Bearer secre": 401,
    "Bearer secret2": 401,
    "secret2": 401,
  };
  for (const [authorization, status] of Object.entries({ ...tokens, "Bearer secret": 200 })) {
    const headers = authorization === "" ? new Headers() : new Headers({ authorization });
    const log = await fetch(`${master.url}/rpc/log`, { headers });
    assertEquals(log.status, status, `the feed, ${authorization}`);
    await log.body?.cancel();
    for (const [name, value] of Object.entries(json)) headers.set(name, value);
    const init = { method: "POST", headers, body: JSON.stringify(call) };
    const rpc = await fetch(`${master.url}/rpc`, init);
    assertEquals(rpc.status, status, `RPC, ${authorization}`);
    assertEquals(rpc.headers.has("www-authenticate"), status === 401);
    await rpc.body?.cancel();
  }
});

it("a replica with the right token works, one with a wrong token says so once", async () => {
  await using master = await start("-rpc", "-rpc-token=secret", "-access");
  const key = await add(master.url, "https://example.com/");
  // Where others may not see it.
  const env = { GOTO_RPC_TOKEN: "secret" };
  await using right = await start({ env }, `-master=${master.url}`);
  await agree([right], key, "https://example.com/");
  await using wrong = await start(`-master=${master.url}`, "-rpc-token=wrong");
  const { reason } = await wrong.waitForLog(({ msg }) => msg === "lost the master");
  assertStringIncludes(reason, "401");
  assertEquals((await follow(wrong.url, key)).status, 503);
  assertEquals((await ready(wrong.url)).status, 503);
  const refused = () => master.logs.filter(({ status }) => status === 401).length;
  await eventually(() => refused() >= 6); // it goes on trying
  assertEquals(wrong.logs.filter(({ level }) => level !== "info").length, 1, wrong.stderr);
});

it("isGuarded() asks for the writers' token what changes or lists links, but not replicas", () => {
  const guarded = (method: string) => (path: string) => isGuarded(method, path);
  assert(["add", "api/links", "api/links/docs"].every(guarded("POST")));
  assert(["api/links", ".all"].every(guarded("GET")));
  assertFalse(["add", "", "docs", "api/links/docs", "readyz", "rpc/log"].some(guarded("GET")));
  assertFalse(["rpc"].some(guarded("POST")), "that has a token of its own");
  assertFalse(["api/links"].some(guarded("OPTIONS")), "browsers ask that without a token");
});

it("a wrong token is told of also where the master was away at first", async () => {
  await using master = await start("-rpc", "-rpc-token=secret");
  const { url } = master;
  master.kill();
  await master.status;
  await using wrong = await start(`-master=${url}`, "-rpc-token=wrong");
  await wrong.waitForLog(({ msg, reason }) => msg === "lost the master" && /refused/.test(reason));
  await master.restart();
  await wrong.waitForLog(({ msg, reason }) => msg === "lost the master" && /401/.test(reason));
});

it("who may write is told at the start, in one line, as a warning where that is anybody", async () => {
  const told = async (...flags: string[]) => {
    await using goto = await start(...flags);
    await goto.stop();
    const lines = goto.logs.filter(({ msg }) => msg.includes(" may "));
    return lines.map(({ level, msg }) => `${level}: ${msg}`);
  };
  const all = "whoever reaches any address of this machine may";
  const bearers = "whoever bears the token may";
  const users = "every user of this machine may";
  const write = " add, change and delete links";
  const rpc = ", and use RPC, which asks for no token";
  assertEquals(await told("-http=0.0.0.0:0"), [`warn: ${all}${write}`]);
  assertEquals(await told("-http=:0"), [`warn: ${all}${write}`]);
  assertEquals(await told("-http=0.0.0.0:0", "-rpc"), [`warn: ${all}${write}${rpc}`]);
  assertEquals(await told("-http=[::]:0", "-rpc", "-rpc-token=secret"), [`warn: ${all}${write}`]);
  assertEquals(await told("-http=127.0.0.1:0", "-rpc"), [`info: ${users}${write}${rpc}`]);
  assertEquals(await told("-http=localhost:0"), [`info: ${users}${write}`]);
  assertEquals(await told("-http=:0", "-token=secret"), [`info: ${bearers}${write}`]);
  assertEquals(await told("-http=:0", "-token=secret", "-rpc"), [
    `warn: ${bearers}${write}, and ${all} by RPC, which asks for no token`,
  ]);
});

it("whoMayWrite() names the address that others reach", () => {
  const { http, ...flags } = parseFlags([], () => undefined);
  const who = (hostname: string) => whoMayWrite({ ...flags, http: { ...http, hostname } });
  for (const hostname of ["localhost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
    assertEquals(who(hostname).level, "info", hostname);
  }
  for (const hostname of ["10.0.0.1", "fe80::1", "go.example.com", "127.example.com.evil"]) {
    assertEquals(who(hostname), {
      level: "warn",
      who: `whoever reaches ${hostname} may add, change and delete links`,
    });
  }
});
