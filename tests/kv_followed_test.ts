/** Redirects of masters on a database, counted. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it as test } from "@std/testing/bdd";
import { today } from "../hits/counts.ts";
import { DENOKV, Denokv } from "./denokv.ts";
import { add, eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { random } from "./random.ts";
import { change, following, keep } from "./replicas.ts";
import { canMount, smallDisk } from "./tools.ts";
import { counted, hitsOf, rpc, visit } from "./traffic.ts";

const URL1 = "https://example.com/1";
const LONG = 30_000; // ms
const it = (name: string, fn: () => Promise<void>) =>
  test(name, { ignore: DENOKV === undefined }, fn);

test("a master on a database of its own counts redirects, its threads', and those below", async () => {
  await using master = await start("-kv=links.db", "-rpc", "-threads=2");
  await add(master.url, URL1, "docs");
  await using replica = await start(`-master=${master.url}`, "-rpc", "-threads=2");
  await keep(replica, "docs");
  const before = await eventually(async () => {
    const hits = await hitsOf(master);
    assert(hits > 0);
    return hits;
  }, LONG);
  await Promise.all([visit(master.url, "docs", 100), visit(replica.url, "docs", 50)]);
  await counted(master, before + 150);
  await counted(replica, before + 150);
  const { days, last } = await rpc(replica.url, "Store.Traffic", "docs");
  assertEquals(
    days.reduce((sum: number, [, hits]: [number, number]) => sum + hits, 0),
    before + 150,
  );
  assertEquals(last, today());
  // A clean end loses nothing, below and here.
  await visit(replica.url, "docs", 20);
  await replica.stop();
  await visit(master.url, "docs", 20);
  await master.restart();
  await counted(master, before + 190);
  // With the link its counts are gone.
  assertEquals(await change(master.url, "docs"), 204);
  await add(master.url, URL1, "docs");
  assertEquals(await hitsOf(master), 0);
});

test("with -hits=false a master on a database counts nothing, and what was counted stays", async () => {
  using dir = tempDir();
  const place = `-kv=${dir.path}/links.db`;
  await using master = await start(place, "-rpc");
  await add(master.url, URL1, "docs");
  await visit(master.url, "docs", 5);
  await counted(master, 5);
  await master.stop();
  {
    await using other = await start(place, "-rpc", "-hits=false");
    await visit(other.url, "docs", 5);
    assertEquals(await rpc(other.url, "Store.Traffic", "docs"), null);
    const days = await fetch(`${other.url}/api/links/docs/hits`);
    assertEquals(days.status, 404, await days.text());
  }
  await using again = await start(place, "-rpc");
  await counted(again, 5);
});

test("pages, lists and exports of a master on a database show hits", async () => {
  await using master = await start("-kv=links.db", "-rpc", "-threads=2");
  for (const [n, key] of ["a", "b", "c"].entries()) {
    await add(master.url, `https://example.com/${key}`, key);
    await visit(master.url, key, 4 * n);
  }
  await counted(master, 8, "c");
  await counted(master, 4, "b");
  await using replica = await start(`-master=${master.url}`);
  for (const { url } of [master, replica]) {
    const get = async (path: string) =>
      await (await fetch(`${url}${path}`, { headers: { accept: "text/html" } })).text();
    const { hits, days } = JSON.parse(await get("/api/links/c/hits"));
    assertEquals([hits, days.length > 0], [8, true]);
    const { links } = JSON.parse(await get("/api/links?order=hits"));
    assertEquals(links.map(({ key, hits }: { key: string; hits: number }) => [key, hits]), [
      ["c", 8],
      ["b", 4],
      ["a", 0],
    ]);
    assertMatch(await get("/.detail/c"), /<dt>Followed<\/dt><dd>8 times/);
    assertMatch(await get("/.all?order=hits"), /\/\.detail\/c[^]*\/\.detail\/b[^]*\/\.detail\/a/);
    assertMatch(await get("/.export"), /"Key":"c".*"Hits":8/);
  }
});

test("what can't be written to a full disk is counted once there is room", {
  ignore: !canMount,
}, async () => {
  using dir = tempDir();
  await using disk = await smallDisk(dir.path, "8m");
  await using master = await start({ through: disk.through }, "-kv=links.db", "-rpc");
  await add(master.url, URL1, "docs");
  await visit(master.url, "docs", 10);
  await counted(master, 10);
  const keys = Array.from({ length: 200 }, (_, i) => `${"x".repeat(60)}${i}`);
  for (const key of keys) await add(master.url, URL1, key);
  await disk.run("sh", "-c", "cat /dev/zero > fill");
  // Until the database has no room left in what it has of the disk.
  const hits = keys.map((key) => [key, 1, 0]);
  let sent = 0;
  await eventually(async () => {
    const counts = JSON.stringify({ day: today(), hits });
    const { message } = await rpc(
      master.url,
      "Store.Hits",
      counts,
      `test-${(sent++).toString(36)}`,
    );
    assertMatch(message ?? "", /^cannot save/);
  }, LONG);
  await visit(master.url, "docs", 25);
  await disk.run("rm", "fill");
  await counted(master, 35);
});

it("counts add up at three masters on one service: cut, stopped, killed", async () => {
  const { seed, pick } = random();
  await using service = await Denokv.start();
  await using link = new Proxy(service.url);
  const begin = (url: string) => start(service.options, `-kv=${url}`, "-rpc", "-threads=2");
  await using one = await begin(service.url);
  await using two = await begin(link.url); // which can be cut off
  await using three = await begin(service.url);
  const masters = [one, two, three];
  await add(one.url, URL1, "docs");
  let sent = 0;
  for (const master of masters) {
    await following(master);
    await eventually(async () => {
      const { status } = await follow(master.url, "docs");
      if (status === 302) sent++;
      assertEquals(status, 302);
    });
  }
  const send = async (master: Goto, times: number) => {
    await visit(master.url, "docs", times);
    sent += times;
  };
  const all = () => Promise.all(masters.map((master) => counted(master, sent)));
  await Promise.all(masters.map((master, i) => send(master, 100 + i)));
  await all();
  // The database is out of one's reach for a while; redirects go on, and are counted later.
  for (let round = 0; round < 3; round++) {
    link.refuses = true;
    link.cut();
    await Promise.all(masters.map((master) => send(master, 40)));
    await two.waitForLog(({ msg }) => msg === "lost the database");
    await counted(one, sent - 40);
    link.refuses = false;
    await send(two, 10);
    await all();
  }
  // Answers are lost: a batch may be there already when it is sent again.
  for (let round = 0; round < 8; round++) {
    await send(two, 30);
    await eventually(async () => {
      link.cutAfter(1 + pick(1500));
      assertEquals(await hitsOf(one), sent, `seed ${seed}`);
    }, LONG);
  }
  link.cutAfter(Infinity);
  await all();
  // The service hangs while batches are on their way, which it takes when nobody waits for them any more.
  for (const master of masters) await send(master, 20);
  service.kill("SIGSTOP");
  for (const master of masters) await send(master, 20);
  await one.waitForLog(({ msg }) => msg === "lost the database");
  service.kill("SIGCONT");
  await all();
  // The service is killed and started again.
  const followed = Promise.all(masters.map((master) => send(master, 60)));
  service.kill();
  await service.stop();
  await service.begin();
  await followed;
  await all();
  // One is stopped: it loses nothing.
  await send(three, 50);
  await three.restart();
  await all();
  // One is killed: it loses what it counted in the last two seconds at most.
  await send(two, 70);
  await counted(one, sent);
  const sure = sent;
  await send(two, 20);
  two.kill();
  await two.status;
  await send(one, 1);
  await eventually(async () => assert(await hitsOf(one) >= sure + 1), LONG);
  assert(await hitsOf(one) <= sent);
});
