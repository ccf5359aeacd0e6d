import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { clientOf, networkOf } from "../http/client.ts";
import { Rate } from "../http/rate.ts";
import { type Here, startHere } from "./here.ts";
import { add, follow, type Goto, start } from "./processes.ts";

it("Rate gives so many a minute, at once at first and one after the other then", () => {
  let now = 1000;
  const rate = new Rate(4, () => now);
  const take = () => rate.take("a");
  assertEquals([take(), take(), take(), take()], [0, 0, 0, 0]);
  assertEquals([take(), take()], [15, 15]);
  assertEquals(rate.take("b"), 0, "others have their own");
  now += 14_000;
  assertEquals(take(), 1);
  now += 1000;
  assertEquals([take(), take()], [0, 15]);
  rate.giveBack("a");
  assertEquals([take(), take()], [0, 15]);
  now += 600_000;
  assertEquals(
    [take(), take(), take(), take(), take()],
    [0, 0, 0, 0, 15],
    "no more than a minute's",
  );
});

it("Rate takes back what was given, and no more", () => {
  const rate = new Rate(60_000, () => 0);
  for (let i = 0; i < 60_000; i++) assertEquals(rate.take("a"), 0);
  assertEquals(rate.take("a"), 1);
  rate.giveBack("unknown");
  assertEquals(rate.size, 1);
});

it("Rate remembers 65,536 clients, those who took last, and none that has everything again", () => {
  let now = 0;
  const rate = new Rate(1, () => now);
  for (let i = 0; i < 70_000; i++) rate.take(`${i}`);
  assertEquals(rate.size, 65_536);
  assertEquals([rate.take("69999"), rate.take("4464")], [60, 60]);
  assertEquals(rate.take("0"), 0, "forgotten");
  for (let i = 0; i < 65_536; i++) {
    now += 6000;
    assertEquals(rate.take(`new ${i % 10}`), 0);
  }
  assert(rate.size <= 10, `${rate.size}`);
});

it("clientOf() believes as many proxies as there are, from the right", () => {
  const ask = (proxies: number, forwarded?: string, hostname = "10.0.0.1") => {
    const headers = forwarded === undefined ? undefined : { "x-forwarded-for": forwarded };
    const req = new Request("http://localhost/", { headers });
    return clientOf(req, { remoteAddr: { hostname } }, proxies);
  };
  assertEquals(ask(0, "1.1.1.1"), "10.0.0.1");
  assertEquals(ask(1), "10.0.0.1");
  assertEquals(ask(1, "1.1.1.1"), "1.1.1.1");
  assertEquals(ask(1, "6.6.6.6, 1.1.1.1"), "1.1.1.1");
  assertEquals(ask(2, "6.6.6.6, 1.1.1.1,10.0.0.9"), "1.1.1.1");
  assertEquals(ask(3, "1.1.1.1, 10.0.0.9"), "1.1.1.1", "one of the proxies was not asked");
  for (const odd of ["", "unknown", "_hidden", "1.1.1.1, ", "a:b", "::g", "[::1", "1.2.3"]) {
    assertEquals(ask(1, odd), "10.0.0.1", odd);
  }
  assertEquals(ask(1, "192.0.2.7:51234"), "192.0.2.7");
  assertEquals(ask(1, "[2001:DB8::0:1]:443"), "2001:db8::1");
  assertEquals(ask(1, "2001:db8::1"), "2001:db8::1");
  assertEquals(ask(0, undefined, "::ffff:127.0.0.1"), "127.0.0.1");
  assertEquals(ask(0, undefined, "fe80::1%eth0"), "fe80::1");
});

it("networkOf() takes the 64 bits of an IPv6 address that one customer has for one client", () => {
  assertEquals(networkOf("192.0.2.7"), "192.0.2.7");
  const same = ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", "2001:db8:1:2:ffff::"];
  for (const address of same) assertEquals(networkOf(address), "2001:db8:1:2");
  assertEquals(networkOf("2001:db8::1"), "2001:db8:0:0");
  assertEquals(networkOf("2001:db8::2:3:4:5:6"), "2001:db8:0:2");
  assertEquals(networkOf("::1"), "0:0:0:0");
});

/** Adds links until one is refused, at most 20, and gives the statuses. */
async function addAll(server: Goto | Here, path: string, client?: string) {
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) {
    const url = `https://example.com/${i}`;
    const api = path.startsWith("api");
    const headers = new Headers();
    if (api) headers.set("content-type", "application/json");
    if (client !== undefined) headers.set("x-forwarded-for", client);
    const body = api ? JSON.stringify({ url }) : new URLSearchParams({ url });
    const response = await fetch(`${server.url}/${path}`, { method: "POST", headers, body });
    const text = await response.text();
    statuses.push(response.status);
    if (response.status !== 429) continue;
    const seconds = Number(response.headers.get("retry-after"));
    assert(seconds >= 1 && seconds <= 60, `${seconds}`);
    assertMatch(text, new RegExp(`too many new links; try again in ${seconds} s`));
    return statuses;
  }
  return statuses;
}

for (const flags of [[], ["-threads=3"]]) {
  it(`-rate limits how many links a client adds ${flags.join() || "with one thread"}`, async () => {
    await using server = await start("-rate=3", ...flags);
    assertEquals(await addAll(server, "add"), [200, 200, 200, 429]);
    assertEquals(await addAll(server, "api/links"), [429]);
    // What changes nothing goes on.
    assertEquals((await follow(server.url, "0")).status, 302);
    for (const path of ["/", "/.all", "/api/links", "/api/links/0", "/.detail/0"]) {
      const response = await fetch(server.url + path);
      await response.body?.cancel();
      assertEquals(response.status, 200, path);
    }
  });
}

it("-rate counts changes and deletions, by the API and by the page of a link", async () => {
  const json = { "content-type": "application/json" };
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const changes: [path: string, init: RequestInit][] = [
    ["api/links/docs", { method: "PUT", headers: json, body: '{"url":"https://example.com/2"}' }],
    ["api/links/docs", { method: "DELETE" }],
    [".detail/docs", { method: "POST", headers: form, body: "url=https://example.com/3" }],
    [".detail/docs", { method: "POST", headers: form, body: "action=delete" }],
  ];
  for (const [path, init] of changes) {
    await using server = await startHere("-rate=2");
    await add(server.url, "https://example.com/", "docs");
    const change = async () => {
      const response = await fetch(`${server.url}/${path}`, { ...init, redirect: "manual" });
      return { status: response.status, text: await response.text() };
    };
    assert((await change()).status < 400, path);
    const { status, text } = await change();
    assertEquals(status, 429, `${init.method} ${path}`);
    assertMatch(text, /too many changes; try again in \d+ s/);
    assertEquals(await addAll(server, "add"), [429]);
  }
});

it("-rate doesn't count what was refused", async () => {
  await using server = await startHere("-rate=2");
  for (let i = 0; i < 5; i++) {
    const body = new URLSearchParams({ url: "ftp://example.com/" });
    const response = await fetch(`${server.url}/add`, { method: "POST", body });
    await response.body?.cancel();
    assertEquals(response.status, 400);
  }
  assertEquals(await addAll(server, "add"), [200, 200, 429]);
});

it("-rate takes clients for those whom a believed proxy names, IPv6 by /64", async () => {
  await using server = await startHere("-rate=1", "-proxy=1");
  assertEquals(await addAll(server, "add", "192.0.2.1"), [200, 429]);
  assertEquals(await addAll(server, "add", "192.0.2.2"), [200, 429]);
  assertEquals(await addAll(server, "add", "192.0.2.3, 192.0.2.1"), [429], "what a client claims");
  assertEquals(await addAll(server, "add", "2001:db8::1"), [200, 429]);
  assertEquals(await addAll(server, "add", "2001:db8::2:0:0:1"), [429]);
  assertEquals(await addAll(server, "add", "2001:db8:0:1::1"), [200, 429]);
  await using plain = await startHere("-rate=1");
  assertEquals(await addAll(plain, "add", "192.0.2.1"), [200, 429]);
  assertEquals(
    await addAll(plain, "add", "192.0.2.2"),
    [429],
    "no proxy is believed unless told to",
  );
});

it("-access names the client, and the key that was created", async () => {
  for (const threads of [1, 2]) {
    await using server = await start("-access", "-proxy=1", `-threads=${threads}`);
    const headers = { "x-forwarded-for": "192.0.2.1" };
    const body = new URLSearchParams({ url: "https://example.com/", key: "docs" });
    const response = await fetch(`${server.url}/add`, { method: "POST", headers, body });
    await response.body?.cancel();
    const event = await server.waitForLog(({ msg }) => msg === "request");
    const { method, status, client, key } = event;
    assertEquals([method, status, client, key], ["POST", 200, "192.0.2.1", "docs"]);
    const json = { "content-type": "application/json" };
    const init = { method: "POST", headers: json, body: '{"url":"https://example.com/"}' };
    await (await fetch(`${server.url}/api/links`, init)).body?.cancel();
    const made = await server.waitForLog(({ url }) => url?.endsWith("/api/links"));
    assertEquals([made.client, made.status, made.key], ["127.0.0.1", 201, "0"]);
    await follow(server.url, "docs");
    const followed = await server.waitForLog(({ status }) => status === 302);
    assertEquals("key" in followed, false);
  }
});

it("a bad -rate or -proxy says what is allowed", async () => {
  const { parseFlags } = await import("../cli/flags.ts");
  for (const arg of ["-rate=-1", "-rate=60001", "-rate=x", "-proxy=17", "-proxy=1.2.3.4"]) {
    try {
      parseFlags([arg], () => undefined);
    } catch (error) {
      assertMatch(`${error}`, /is not allowed: use a number from 0 to (60000|16)$/);
      continue;
    }
    throw new Error(`${arg} was taken`);
  }
  await using server = await startHere("-rate=0");
  for (let i = 0; i < 30; i++) await add(server.url, "https://example.com/");
});
