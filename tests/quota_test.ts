import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { StoreError } from "../links/errors.ts";
import { adminHandler } from "../http/probes.ts";
import { MAX_BODIES } from "../http/body.ts";
import { CLIENT_BYTES, CLIENT_RPC_BYTES, Hold, Quota, REQUEST_BYTES } from "../http/quota.ts";
import { Authority } from "./authority.ts";
import { H2Client } from "./h2.ts";
import { eventually, follow, start, tempDir } from "./processes.ts";
import { Client, clients, JSON_TYPE, post } from "./sockets.ts";
import { works } from "./tools.ts";
import { House } from "./wire.ts";

const LONG = `https://example.com/${"x".repeat(4000)}`;
const HEALTH = '{"jsonrpc":"2.0","id":1,"method":"Store.Health"}';

/** A master with 8 MB of links. */
async function startMaster(cwd: string, ...args: string[]) {
  const lines = Array.from({ length: 2000 }, (_, n) => `{"Key":"k${n}","URL":"${LONG}${n}"}\n`);
  await Deno.writeTextFile(`${cwd}/store.jsonl`, lines.join(""));
  const master = await start({ cwd }, "-rpc", "-threads=1", ...args);
  return Object.assign(master, { lines: lines.join("") });
}

/** Asks as another machine would. */
async function fromElsewhere(url: string, init: RequestInit = {}): Promise<Response> {
  using client = Deno.createHttpClient({ localAddress: "127.0.0.2" });
  const response = await fetch(url, { ...init, client });
  return new Response(await response.bytes(), response);
}

describe("Quota", () => {
  it("gives each client so much, and forgets those who hold nothing", () => {
    const quota = new Quota(100);
    assert(quota.take("a", 60));
    assert(!quota.take("a", 41));
    assert(quota.take("a", 40));
    assert(quota.take("b", 100));
    quota.give("a", 60);
    assert(quota.take("a", 60));
    quota.give("a", 100);
    quota.give("b", 100);
    assertEquals(quota.size, 0);
  });

  it("has what a request held again once it is completed, however it ends", async () => {
    for (const completed of [Promise.resolve(), Promise.reject(new Error("on purpose"))]) {
      const quota = new Quota(100);
      const hold = new Hold(quota, "a", 10, completed);
      hold.take(80, "bodies");
      hold.give(20);
      assertThrows(() => hold.take(31, "answers"), StoreError, "too many answers of this client");
      assertThrows(() => new Hold(quota, "a", 31, completed), StoreError, "too many requests");
      await completed.catch(() => {});
      await undefined;
      assertEquals(quota.size, 0);
      // What is still done for a client that went counts no more.
      assert(quota.take("a", 5));
      hold.take(50, "answers");
      hold.give(60);
      assert(!quota.take("a", 96));
      assert(quota.take("a", 95));
    }
  });
});

describe("a client that takes nothing over HTTP/2", () => {
  // Without a quota each of these would fill the room of all answers: one of an export holds 1 MB.
  const asked = { "/.export": 70, "/api/links?limit=1000": 20, "/.all?limit=1000": 20 };
  for (const [path, count] of Object.entries(asked)) {
    it(`keeps neither RPC nor others from what they ask for: ${count} x ${path}`, async () => {
      using dir = tempDir();
      await using master = await startMaster(dir.path);
      using other = await Client.open(master.url);
      using greedy = new H2Client(master.url, { window: 0 });
      const answers = await Promise.all(Array.from({ length: count }, () => greedy.ask(path)));
      const statuses = answers.map(({ status }) => status);
      assert(statuses.includes(200) && statuses.includes(503), `${statuses}`);
      assertEquals(statuses.filter((status) => status !== 200 && status !== 503), []);
      // RPC from the same address, as that of replicas behind one NAT is.
      await other.send(post("/rpc", JSON_TYPE, HEALTH.length, HEALTH));
      assertEquals(await other.status(), 200);
      const all = await fromElsewhere(`${master.url}/.export`);
      assertEquals(await all.text(), master.lines);
      assertEquals(greedy.closed, false);
      // What it held is there again once it goes.
      greedy[Symbol.dispose]();
      using again = new H2Client(master.url);
      await eventually(async () => (await again.ask(path)).status === 200);
    });
  }

  it("may be behind a proxy, which it shares with others", async () => {
    using dir = tempDir();
    await using master = await startMaster(dir.path, "-proxy=1");
    using proxy = new H2Client(master.url, { window: 0 });
    const ask = (client: string) => proxy.ask("/.export", { "x-forwarded-for": client });
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => {
      return (await ask("192.0.2.7")).status;
    }));
    assert(statuses.includes(503), `${statuses}`);
    assertEquals((await ask("192.0.2.8")).status, 200);
    assertEquals((await proxy.ask("/healthz", { "x-forwarded-for": "192.0.2.7" })).status, 200);
  });
});

it("a replica keeps its master while a client at its address takes nothing", async () => {
  using dir = tempDir();
  await using master = await startMaster(dir.path);
  await using replica = await start(`-master=${master.url}`);
  await eventually(async () => (await follow(replica.url, "k0")).status === 302);
  using greedy = new H2Client(master.url, { window: 0 });
  await Promise.all(Array.from({ length: 70 }, () => greedy.ask("/.export")));
  for (let n = 1; n < 100; n++) assertEquals((await follow(replica.url, `k${n}`)).status, 302);
  assertEquals(replica.logs.filter(({ msg }) => msg === "lost the master"), []);
});

const ignore = !await works("openssl", "version");

it("TLS handshakes that never end keep nobody out", { ignore }, async () => {
  using authority = await Authority.make();
  await using master = await start(...authority.flags, "-threads=1");
  using all = await clients(master.url, 300);
  await Promise.all(all.map((client, n) => client.send("\x16\x03\x01\x02".slice(0, n % 5))));
  using client = authority.client();
  const answer = await fetch(`${master.url}/healthz`, { client });
  assertEquals([answer.status, await answer.text()], [200, "ok\n"]);
});

it("answers that one client doesn't take over HTTP/1.1 leave room for others", async () => {
  using dir = tempDir();
  await using master = await startMaster(dir.path);
  using all = await clients(master.url, 80);
  const request = "GET /.export HTTP/1.1\r\nhost: h\r\n\r\n";
  await Promise.all(all.map((client) => client.send(request)));
  const statuses = await Promise.all(all.map((client) => client.status(60_000)));
  assert(statuses.includes(503), `${statuses}`);
  const call = await fetch(`${master.url}/rpc`, {
    method: "POST",
    headers: { "content-type": JSON_TYPE },
    body: HEALTH,
  });
  assertEquals(call.status, 200, await call.text());
  assertEquals(await (await fromElsewhere(`${master.url}/.export`)).text(), master.lines);
});

it("what one client may hold is no more than three quarters of what all may", () => {
  for (const bytes of [CLIENT_BYTES, CLIENT_RPC_BYTES]) assert(bytes <= 0.75 * MAX_BODIES);
});

it("bodies that one client doesn't finish leave room for others", async () => {
  await using master = await start("-rpc", "-threads=1");
  using all = await clients(master.url, 60);
  const size = 900_000;
  const body = post("/rpc", JSON_TYPE, size + 1, " ".repeat(size));
  await Promise.all(all.map((client) => client.send(body)));
  // Those past the quota are told at once, the others only when they are late.
  await Promise.any(all.map(async (client) => assertEquals(await client.status(), 503)));
  const headers = { "content-type": JSON_TYPE };
  const call = HEALTH.padEnd(500_000);
  const answer = await fromElsewhere(`${master.url}/rpc`, { method: "POST", headers, body: call });
  assertEquals(answer.status, 200, await answer.text());
});

it("replicas with a token have no quota, and strangers without it get none of theirs", async () => {
  await using master = await start("-rpc", "-threads=1", "-rpc-token=secret-of-replicas");
  const tail = "GET /rpc/log?offset=end HTTP/1.1\r\nhost: h\r\n";
  using all = await clients(master.url, 1200);
  await Promise.all(
    all.map((client) => client.send(`${tail}authorization: bearer secret-of-replicas\r\n\r\n`)),
  );
  const statuses = await Promise.all(all.map((client) => client.status(20_000)));
  assertEquals(statuses.filter((status) => status !== 200), []);
  using stranger = await Client.open(master.url);
  await stranger.send(`${tail}\r\n`);
  assertEquals(await stranger.status(), 401);
});

it("feeds that one client holds open without a token leave half for others", async () => {
  await using master = await start("-rpc", "-threads=1");
  using all = await clients(master.url, 1100);
  const tail = "GET /rpc/log?offset=end HTTP/1.1\r\nhost: h\r\n\r\n";
  await Promise.all(all.map((client) => client.send(tail)));
  const statuses = await Promise.all(all.map((client) => client.status(20_000)));
  assertEquals(statuses.filter((status) => status === 200).length, 1024);
  assertEquals(statuses.filter((status) => status === 503).length, 76);
  using client = Deno.createHttpClient({ localAddress: "127.0.0.2" });
  const feed = await fetch(`${master.url}/rpc/log?offset=end`, { client });
  assertEquals(feed.status, 200);
  await feed.body?.cancel();
});

it("requests at the address of -admin are bounded by themselves, and probes always answered", async () => {
  await using house = new House();
  const answer = adminHandler(await house.master(), () => Promise.resolve("metrics"));
  const never = { remoteAddr: { hostname: "127.0.0.1" }, completed: new Promise<void>(() => {}) };
  const ask = async (path: string) => {
    return (await answer(new Request(`http://localhost/${path}`), never)).status;
  };
  for (let i = 0; i < CLIENT_BYTES / REQUEST_BYTES; i++) assertEquals(await ask("metrics"), 200);
  assertEquals(await ask("metrics"), 503);
  assertEquals(await ask("readyz"), 200);
  assertEquals(await ask("healthz"), 200);
});
