import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { handler } from "../handlers.ts";
import { json } from "../http/answer.ts";
import { MAX_ANSWERS, Room } from "../http/answers.ts";
import { MAX_BATCH_ANSWER, NO_ROOM } from "../jsonrpc/server.ts";
import { StoreError } from "../links/errors.ts";
import { serveRPC } from "../rpc.ts";
import { add, eventually, start, tempDir } from "./processes.ts";
import { Client, clients, JSON_TYPE, memoryOf, post } from "./sockets.ts";
import { page } from "../web/page.ts";
import { caughtUp, House, Wire } from "./wire.ts";

const LONG = `https://example.com/${"x".repeat(8000)}`;

/** A batch of calls, as it goes over the wire. */
function batch(count: number, method: string, ...params: string[]): string {
  const calls = Array.from(
    { length: count },
    (_, id) => JSON.stringify({ jsonrpc: "2.0", method, params, id }),
  );
  return `[${calls}]`;
}

/** Whether there is room for all that may be held. */
function isFree(): boolean {
  try {
    new Room(MAX_ANSWERS).give();
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.kind === "unavailable") return false;
    throw error;
  }
}

it("a batch's answer is bounded: what there is no room for says so, and changes are always told of", async () => {
  await using master = await start("-rpc");
  const key = await add(master.url, LONG);
  const ask = async (body: string) => {
    const init = { method: "POST", headers: { "content-type": JSON_TYPE }, body };
    const response = await fetch(`${master.url}/rpc`, init);
    assertEquals(response.status, 200);
    return await response.text();
  };
  const text = await ask(batch(9000, "Store.Get", key));
  assert(text.length > MAX_BATCH_ANSWER - 10_000, `${text.length}`);
  assert(text.length < 1.5 * MAX_BATCH_ANSWER, `${text.length}`);
  const answers: { id: number; result?: string; error?: { code: number } }[] = JSON.parse(text);
  assertEquals(answers.map(({ id }) => id), Array.from(answers.keys()));
  assertEquals(answers.length, 9000);
  const got = answers.findIndex(({ result }) => result !== LONG);
  assertEquals(got, Math.floor(MAX_BATCH_ANSWER / JSON.stringify(answers[0]).length));
  assert(answers.slice(got).every(({ error }) => error?.code === NO_ROOM));
  // A change among them is made, and its answer there.
  const put = `{"jsonrpc":"2.0","method":"Store.Put","params":["${LONG}","last"],"id":"put"}`;
  const mixed = JSON.parse(await ask(`${batch(1000, "Store.Get", key).slice(0, -1)},${put}]`));
  assertEquals(mixed.at(-1), { jsonrpc: "2.0", id: "put", result: "last" });
  assertEquals(mixed.at(-2).error.code, NO_ROOM);
});

it("a replica asks again for what a batch's answer had no room for", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  const urls = Array.from({ length: 600 }, (_, n) => `${LONG}${n}`);
  const links = await Promise.all(urls.map((url) => master.put(url)));
  const found = await Promise.all(links.map(({ key }) => replica.get(key)));
  assertEquals(found.findIndex((url, n) => url !== urls[n]), -1);
});

it("answers that nobody takes are bounded together: 503 past it, before anything is done", async () => {
  await using master = await start("-rpc", "-rpc-token=secret"); // whose bearers have no quota of their own
  const key = await add(master.url, LONG);
  const before = await memoryOf(master);
  const body = batch(9000, "Store.Get", key);
  const request = post("/rpc", JSON_TYPE, body.length, body, "authorization: bearer secret\r\n");
  const most = MAX_ANSWERS / MAX_BATCH_ANSWER; // 16
  {
    using all = await clients(master.url, 4 * most);
    for (const client of all) await client.send(request);
    const read = await Promise.all(
      all.map((client) => client.read((text) => /\r\n\r\n[^]*[{n]/.test(text), 60_000)),
    );
    const refused = read.filter((text) => / 503 [^]*too many answers wait/.test(text)).length;
    assert(refused > most, `${refused} of ${all.length} were refused`);
    assert(read.some((text) => text.includes(" 200 ")));
    const grown = await memoryOf(master) - before;
    assert(grown < 800, `it took ${grown} MB`); // 1.2 GB, if all of each answer waited
    // Short answers need little room, redirects none.
    using other = await Client.open(master.url);
    await other.send(`GET /${key} HTTP/1.1\r\nhost: h\r\n\r\n`);
    assertEquals(await other.status(), 302);
  }
  // What they held is there again.
  using client = await Client.open(master.url);
  for (let i = 0; i < most; i++) {
    await client.send(request);
    assertMatch(await client.readTo("\r\n0\r\n\r\n", 60_000), / 200 /);
  }
});

it("a call takes no room for an answer that it doesn't get", async () => {
  await using house = new House();
  const master = await house.master();
  const answer = handler({
    store: master,
    base: "https://go.example",
    rpc: { call: serveRPC(master), feed: master.feed.bind(master) },
  });
  const notify = '{"jsonrpc":"2.0","method":"Store.Get","params":["0"]}'.padEnd(
    MAX_BATCH_ANSWER / 4,
  );
  const headers = { "content-type": JSON_TYPE };
  for (const body of [notify, "[]", "?"]) {
    const init = { method: "POST", headers, body };
    const response = await answer(new Request("https://go.example/rpc", init));
    await response.body?.cancel();
    assert(isFree(), body.trim());
  }
});

it("Room.hold() gives a text as it is, in parts", async () => {
  for (const text of ["short", "ä😀".repeat(100_000), "x".repeat(64 << 10), "x".repeat(200_001)]) {
    assertEquals(await new Response(new Room(10).hold(text)).text(), text);
    assert(isFree());
  }
});

it("Room.hold() gives its room back when a client leaves, or takes nothing for too long", async () => {
  const left = new Room(0).hold("x".repeat(1_000_000));
  assert(left instanceof ReadableStream && !isFree());
  await left.cancel();
  assert(isFree());
  const stalled = new Room(0).hold("x".repeat(1_000_000), 20);
  assert(stalled instanceof ReadableStream && !isFree());
  await eventually(isFree);
  await assertRejects(() => new Response(stalled).bytes(), Error, "cut off");
});

it("lists, pages and exports that nobody takes are bounded together, too, and taken whole", async () => {
  using dir = tempDir();
  const lines = Array.from({ length: 2000 }, (_, n) => `{"Key":"k${n}","URL":"${LONG}${n}"}\n`);
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, lines.join(""));
  await using master = await start({ cwd: dir.path }, "-rpc");
  const list = await (await fetch(`${master.url}/api/links?limit=1000`)).json();
  assert(list.links.length > 100, `${list.links.length} links`);
  assertEquals(await (await fetch(`${master.url}/.export`)).text(), lines.join(""));
  const head = await fetch(`${master.url}/api/links?limit=1000`, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
  const before = await memoryOf(master);
  for (const path of ["/.export", "/api/links?limit=1000", "/.all?limit=1000"]) {
    using all = await clients(master.url, 80);
    // Each asks so often that its connection can't swallow what comes.
    const request = `GET ${path} HTTP/1.1\r\nhost: h\r\n\r\n`.repeat(4);
    await Promise.all(all.map((client) => client.send(request)));
    const statuses = await Promise.all(all.map((client) => client.status(60_000)));
    assert(statuses.every((status) => status === 200 || status === 503), `${statuses}`);
    using other = await Client.open(master.url);
    await other.send("GET /k1 HTTP/1.1\r\nhost: h\r\n\r\n");
    assertEquals(await other.status(60_000), 302);
  }
  const grown = await memoryOf(master) - before;
  assert(grown < 800, `it took ${grown} MB`);
});

it("json() and page() hold what is large in the room that all answers share", async () => {
  const large = "x".repeat((1 << 20) - 100);
  for (const make of [() => json(large), () => page(200, large)]) {
    const held = Array.from({ length: MAX_ANSWERS >> 20 }, make);
    assertThrows(make, StoreError, "too many answers");
    assertEquals((await json("short").text()).trim(), '"short"');
    await held.pop()!.body!.cancel();
    held.push(make());
    assertThrows(make, StoreError, "too many answers");
    const texts = await Promise.all(held.map((response) => response.text()));
    assert(texts.every((text) => text.includes(large)));
    assert(isFree());
  }
});
