import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Condition } from "../journal/condition.ts";
import { openFeed } from "../journal/feed.ts";
import { MAX_FOLLOWERS, Place } from "../journal/followers.ts";
import { Tail } from "../journal/tail.ts";
import { Window } from "../journal/window.ts";
import { StoreError } from "../links/errors.ts";
import { eventually, start, tempDir, within } from "./processes.ts";
import { random } from "./random.ts";
import { Client, clients, memoryOf } from "./sockets.ts";
import { works } from "./tools.ts";
import { House } from "./wire.ts";

const FEED = "GET /rpc/log HTTP/1.1\r\nhost: h\r\n\r\n";
const TAIL = "GET /rpc/log?offset=end HTTP/1.1\r\nhost: h\r\n\r\n";
const enough = await works("sh", "-c", "test $(ulimit -n) -gt 6000");

it("openFeed() takes so many followers, and others when these have gone", async () => {
  const window = new Window(0);
  window.append(new Uint8Array(100_000));
  const all = await Promise.all(Array.from({ length: MAX_FOLLOWERS }, () => openFeed(window, 0)));
  const refused = await assertRejects(() => openFeed(window, 0), StoreError, "too many followers");
  assertEquals(refused.kind, "unavailable");
  await all.pop()!.body.cancel();
  await all.pop()!.body.cancel();
  all.push(await openFeed(window, 0), await openFeed(window, 0));
  await assertRejects(() => openFeed(window, 0), StoreError, "too many followers");
  window.end();
  for (const { body } of all) assertEquals(await Array.fromAsync(body), []); // which leaves, too
  const place = new Place();
  assert(place.leave());
  assert(!place.leave());
});

it("a place is free again when what is followed can't be read", async () => {
  const window = new Window(0);
  window.append(new Uint8Array(10));
  window.check = () => Promise.reject(new Error("on purpose"));
  for (let i = 0; i <= MAX_FOLLOWERS; i++) {
    await assertRejects(() => openFeed(window), Error, "on purpose");
  }
});

it("a write is answered before all who follow have been told of it", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put("https://example.com/");
  let told = 0;
  const count = 2000;
  const streams = await Promise.all(Array.from({ length: count }, () => master.feed()));
  const readers = streams.map(({ body }) => body.getReader());
  const reads = readers.map((reader) => reader.read().then(({ value }) => (told++, value)));
  const { key } = await master.put("https://example.com/");
  assert(told < count / 4, `${told} of ${count} were told before`);
  for (const bytes of await within(10_000, "the followers", Promise.all(reads))) {
    assertMatch(new TextDecoder().decode(bytes), new RegExp(`^{"Key":"${key}".*\n$`));
  }
  for (const reader of readers) await reader.cancel();
});

it("Condition wakes all who wait, a few at a time, also those who come meanwhile", async () => {
  const condition = new Condition();
  const woken: number[] = [];
  const wait = (n: number) => condition.wait(60_000).then(() => void woken.push(n));
  const first = Array.from({ length: 100 }, (_, n) => wait(n));
  condition.notifyAll();
  assertEquals(woken, []);
  await first[0];
  await undefined;
  assert(woken.length < 50, `${woken.length} at once`);
  const second = Array.from({ length: 100 }, (_, n) => wait(100 + n));
  condition.notifyAll();
  condition.notifyAll();
  await within(10_000, "all", Promise.all([...first, ...second]));
  assertEquals(woken, Array.from({ length: 200 }, (_, n) => n));
  const began = performance.now();
  await condition.wait(20);
  assert(performance.now() - began >= 15);
});

it("Tail.read() gives what was appended, and one copy to all who ask for the same", () => {
  const { seed, pick } = random();
  for (let round = 0; round < 50; round++) {
    const kept = 1 + pick(100);
    const start = pick(1000);
    const tail = new Tail(kept, start);
    const all = Array.from({ length: start }, () => 0);
    for (let i = 0; i < 50; i++) {
      const bytes = Array.from({ length: pick(3 * kept) }, () => pick(256));
      tail.append(Uint8Array.from(bytes));
      all.push(...bytes);
      const what = `seed ${seed}, round ${round}, ${i}`;
      assertEquals(tail.end, all.length, what);
      assert(tail.end - tail.start >= Math.min(kept, all.length - start), what);
      assert(tail.end - tail.start <= 2 * kept, what);
      const at = tail.start + pick(tail.end - tail.start + 1);
      const most = pick(2 * kept);
      const read = tail.read(at, most);
      assertEquals([...read], all.slice(at, at + most), what);
      assertEquals(tail.read(at, most) === read, true, what);
    }
  }
});

it("followers that never read hold little", async () => {
  using dir = tempDir();
  const line = (_: unknown, n: number) =>
    `{"Key":"k${n}","URL":"https://example.com/${"x".repeat(3970)}"}\n`;
  const lines = Array.from({ length: 5000 }, line).join("");
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, lines);
  await using master = await start({ cwd: dir.path }, "-rpc");
  const before = await memoryOf(master);
  using all = await clients(master.url, 300);
  for (const client of all) {
    await client.send(FEED);
    assertEquals(await client.status(), 200);
  }
  // Each was sent what it will ever be sent when one that reads has been sent everything.
  const response = await fetch(`${master.url}/rpc/log`);
  let size = 0;
  for await (const chunk of response.body!) if ((size += chunk.length) >= lines.length) break;
  const grown = await memoryOf(master) - before;
  assert(grown < 400, `it took ${grown} MB`); // 750 MB, where 1 MiB was read at once
});

it("so many follow a server: 503 past it, until some have gone", { ignore: !enough }, async () => {
  // Those who bear the token may come from one address.
  await using master = await start("-rpc", "-rpc-token=secret-of-replicas");
  const tail = TAIL.replace("host: h", "host: h\r\nauthorization: bearer secret-of-replicas");
  {
    using all = await clients(master.url, MAX_FOLLOWERS + 20);
    await Promise.all(all.map((client) => client.send(tail)));
    const statuses = await Promise.all(all.map((client) => client.status(20_000)));
    assertEquals(statuses.filter((status) => status === 503).length, 20);
    assertEquals(statuses.filter((status) => status === 200).length, MAX_FOLLOWERS);
  }
  await eventually(async () => {
    using client = await Client.open(master.url);
    await client.send(tail);
    return await client.status() === 200;
  });
});
