/** How often links are followed, in a database of this process, and in a service. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { it as test } from "@std/testing/bdd";
import { type Hit, today } from "../hits/counts.ts";
import { DAYS } from "../hits/traffic.ts";
import { ConnectDatabase } from "../kv/connect.ts";
import type { Database, Write } from "../kv/database.ts";
import { EmbeddedDatabase } from "../kv/embedded.ts";
import { KVHits } from "../kv/hits.ts";
import { dayKey, DAYS_KEPT, hitsKey, lastKey, linkKey } from "../kv/layout.ts";
import { KVStore } from "../kv/store.ts";
import type { Link } from "../links/link.ts";
import type { Query } from "../links/query.ts";
import { DENOKV, Denokv, TOKEN } from "./denokv.ts";
import { eventually, tempDir } from "./processes.ts";

const URL1 = "https://example.com/1";
const DAY = today();
const serviceIt = (name: string, fn: () => Promise<void>) =>
  test(name, { ignore: DENOKV === undefined }, fn);

/** A test on an empty database: once on one of this process, and once on a service. */
function it(name: string, fn: (open: () => Promise<Database>) => Promise<void>) {
  test(name, async () => {
    using dir = tempDir();
    const database = await EmbeddedDatabase.open(`${dir.path}/links.db`);
    try {
      await fn(() => Promise.resolve(database));
    } finally {
      await database.close();
    }
  });
  serviceIt(`${name}: on a service`, async () => {
    await using service = await Denokv.start();
    await fn(() => Promise.resolve(new ConnectDatabase(service.url, TOKEN)));
  });
}

const signal = () => AbortSignal.timeout(10_000);

/** A database, of whose commits some are made without an answer. */
function losing(database: Database, loses: () => boolean): Database {
  const { address, exclusive, maxChecks, maxCommits } = database;
  return {
    address,
    exclusive,
    maxChecks,
    maxCommits,
    read: (keys, signal) => database.read(keys, signal),
    range: (range, signal) => database.range(range, signal),
    watch: (key, changed, signal) => database.watch(key, changed, signal),
    close: () => database.close(),
    async commit(write: Write, signal: AbortSignal) {
      const version = await database.commit(write, signal);
      if (loses()) throw new Error("the answer was lost");
      return version;
    },
  };
}

it("counts add up, by link and by day, with previews apart", async (open) => {
  const hits = new KVHits(await open());
  await hits.take({ day: DAY - 1, hits: [["docs", 3, 1], ["other", 1, 0]], id: "a-0" });
  await hits.take({ day: DAY, hits: [["docs", 2, 0], ["seen", 0, 7]], id: "a-1" });
  await hits.take({ day: DAY, hits: [["docs", 5, 0]], id: "b-0" });
  await hits.take({ day: DAY, hits: [["docs", 1, 0]] });
  const traffic = (key: string) => hits.traffic(key);
  assertEquals(await traffic("docs"), {
    hits: 11,
    previews: 1,
    last: DAY,
    days: [[DAY - 1, 3], [DAY, 8]],
  });
  assertEquals(await traffic("other"), {
    hits: 1,
    previews: 0,
    last: DAY - 1,
    days: [[DAY - 1, 1]],
  });
  assertEquals(await traffic("seen"), { hits: 0, previews: 7, days: [] });
  assertEquals(await traffic("none"), { hits: 0, previews: 0, days: [] });
  await hits.close();
});

it("a count goes beyond 32 bits", async (open) => {
  const hits = new KVHits(await open());
  const most = 2 ** 32 - 1;
  await hits.take({ day: DAY, hits: [["docs", most, most]], id: "a-0" });
  await hits.take({ day: DAY, hits: [["docs", most, 1]], id: "a-1" });
  assertEquals(await hits.traffic("docs"), {
    hits: 2 * most,
    previews: 2 ** 32,
    last: DAY,
    days: [[DAY, 2 * most]],
  });
  await hits.close();
});

it("a batch counts once, though it comes twice, late, and at several masters at once", async (open) => {
  const masters = [new KVHits(await open()), new KVHits(await open()), new KVHits(await open())];
  const [one, two] = masters;
  const batch = (n: number) => ({
    day: DAY,
    hits: [["docs", 1, 0]] satisfies Hit[],
    id: `a-${n.toString(36)}`,
  });
  for (let n = 0; n < 40; n++) {
    await Promise.all(masters.map((hits) => hits.take(batch(n))));
    await two.take(batch(n));
  }
  await one.take(batch(3)); // it was answered for long ago
  assertEquals((await two.traffic("docs")).hits, 40);
  await Promise.all(masters.map((hits) => hits.close()));
});

it("a batch that takes many commits counts once, wherever answers are lost", async (open) => {
  // Keys of several lengths, so that both limits of a commit are met; a key that no database holds.
  const hits = Array.from({ length: 3000 }, (_, i): Hit => [
    `${i}${"x".repeat(i % 3 === 0 ? 60 : 0)}`,
    1 + i % 5,
    i % 2,
  ]);
  hits.splice(1000, 0, ["y".repeat(70_000), 1, 1]);
  let commits = 0;
  // One in three is lost, whichever master makes it.
  const databases = [
    losing(await open(), () => commits++ % 3 === 1),
    losing(await open(), () => commits++ % 3 === 1),
  ];
  const masters = databases.map((database) => new KVHits(database));
  let tries = 0;
  for (const id of ["a-0", "a-1"]) {
    await eventually(
      () => masters[tries++ % 2].take({ day: DAY, hits, id }).then(() => true),
      30_000,
    );
  }
  assert(commits > 10, `${commits} commits`);
  assert(tries > 4, `${tries} tries`);
  for (const at of [0, 1, 500, 999, 1001, 2000, 3000]) {
    const [key, count, previews] = hits[at];
    const { days: _, ...sums } = await masters[0].traffic(key);
    assertEquals(sums, { hits: 2 * count, previews: 2 * previews, last: DAY }, `${at}`);
  }
  await Promise.all(masters.map((hits) => hits.close()));
});

it("days are known for 90 days, then they are deleted; the sum and the last day stay", async (open) => {
  const database = await open();
  const before = new KVHits(database);
  const first = DAY - DAYS + 1;
  await before.take({ day: first, hits: [["docs", 1, 0], ["old", 4, 0]], id: "a-0" });
  await before.take({ day: first - 1, hits: [["docs", 10, 0]], id: "a-1" }); // by who was cut off
  await before.take({ day: DAY + 1000, hits: [["docs", 100, 0]], id: "a-2" }); // by a wrong clock
  assertEquals(await before.traffic("docs"), {
    hits: 111,
    previews: 0,
    last: DAY,
    days: [[first, 1], [DAY, 100]],
  });
  await before.close();
  // As it was counted long ago, of more links than are deleted at once.
  for (let i = 0; i < 3; i++) {
    const keys = Array.from({ length: 300 }, (_, n) => `${i}-${n}`);
    await database.commit({
      checks: [],
      mutations: keys.flatMap((key) => [
        { key: hitsKey(key), add: 1n },
        { key: dayKey(first - 1 - i, key), add: 1n },
        { key: dayKey(first - 5 - i, key), add: 1n },
      ]),
    }, signal());
  }
  const left = () =>
    database.range(
      { start: DAYS_KEPT, end: dayKey(first, ""), limit: 500 },
      signal(),
    );
  const hits = new KVHits(database);
  let n = 0;
  await eventually(async () => {
    await hits.take({ day: DAY, hits: [["docs", 1, 0]], id: `b-${(n++).toString(36)}` });
    assertEquals(await left(), []);
  }, 60_000); // each batch that is taken deletes some more
  assertEquals(await hits.traffic("2-7"), { hits: 1, previews: 0, last: first - 3, days: [] });
  assertEquals(await hits.traffic("old"), {
    hits: 4,
    previews: 0,
    last: first,
    days: [[first, 4]],
  });
  await hits.close();
});

it("the counts of a link go with it, and a new one with its key begins at 0", async (open) => {
  const database = await open();
  const store = new KVStore(database);
  await store.load();
  const keep = (n: number) =>
    store.hits.take({ day: DAY, hits: [["docs", 5, 2]], id: `a-${n}` }).then(() =>
      store.hits.take({ day: DAY - 1, hits: [["docs", 5, 2]], id: `b-${n}` })
    );
  const nothing = { hits: 0, previews: 0, days: [] };
  await store.put(URL1, "docs");
  await keep(0);
  assertEquals((await store.traffic("docs"))?.hits, 10);
  await store.update("docs", "https://example.com/2");
  assertEquals((await store.traffic("docs"))?.hits, 10);
  await store.delete("docs");
  await assertRejects(() => store.traffic("docs"), Error, "key not found");
  const range = { start: ["goto", "day"], end: ["goto", "hits\0"], limit: 10 };
  assertEquals(
    (await database.range(range, signal())).filter(({ key }) => key.includes("docs")),
    [],
  );
  await keep(1); // somebody was late
  await store.put(URL1, "docs");
  assertEquals(await store.traffic("docs"), nothing);
  await keep(2);
  assertEquals((await store.traffic("docs"))?.hits, 10);
  // One whose time is over.
  await store.update("docs", URL1, { expires: Math.floor(Date.now() / 1000) + 1 });
  await eventually(() => assertRejects(() => store.link("docs"), Error, "link expired"));
  await assertRejects(() => store.traffic("docs"), Error, "link expired");
  await store.put(URL1, "docs");
  assertEquals(await store.traffic("docs"), nothing);
  assertEquals(await database.read([lastKey("docs")], signal()), [undefined]);
  await store.finish();
});

it("a link that was made in the meantime keeps what was counted of it", async (open) => {
  const database = await open();
  const store = new KVStore(database);
  await store.put(URL1, "docs");
  await store.hits.take({ day: DAY, hits: [["docs", 5, 0]], id: "a-0" });
  await store.hits.clear("docs"); // which is there
  assertEquals((await store.traffic("docs")).hits, 5);
  await store.delete("docs");
  await store.hits.take({ day: DAY, hits: [["docs", 5, 0]], id: "a-1" });
  // Between the look and the deletion, another master gives the key away, and its link is followed.
  const slow = new KVHits({
    ...losing(database, () => false),
    async commit(write, signal) {
      await store.put(URL1, "docs");
      await store.hits.take({ day: DAY, hits: [["docs", 3, 0]], id: "a-2" });
      return await database.commit(write, signal);
    },
  });
  await slow.clear("docs");
  assertEquals((await store.traffic("docs")).hits, 3);
  assert((await database.read([linkKey("docs")], signal()))[0]);
  await store.finish();
});

it("lists tell how often links were followed, the most followed first if asked", async (open) => {
  const store = new KVStore(await open());
  await store.load();
  const keys = Array.from({ length: 130 }, (_, i) => `k${i}`);
  for (const key of keys) await store.put(`https://example.com/${key}`, key);
  // Two in three were followed, several of them alike; one only looked at, and one is gone.
  const hitsOf = (i: number) => i % 3 === 0 ? 0 : i % 7 + 1;
  const hits = keys.map((key, i): Hit => [key, hitsOf(i), key === "k3" ? 1 : 0]);
  await store.hits.take({ day: DAY, hits: [...hits, ["gone", 99, 0]], id: "a-0" });
  const expected = new Map(keys.map((key, i) => [key, hitsOf(i)]));
  const all = async (query: Query) => {
    const links: Link[] = [];
    let after: string | undefined;
    do {
      const page = await store.list({ limit: 7, ...query, after });
      links.push(...page.links);
      after = page.next;
    } while (after !== undefined);
    return links;
  };
  for (const order of ["newest", "written", "hits"] as const) {
    for (const query of [{ order }, { order, limit: 1000 }, { order, q: "K1" }]) {
      const links = await all(query);
      const wanted = keys.filter((key) => key.includes(query.q?.toLowerCase() ?? ""));
      assertEquals(links.map(({ key }) => key).sort(), wanted.sort());
      for (const { key, hits } of links) assertEquals(hits, expected.get(key), key);
      if (order !== "hits") continue;
      const counts = links.map(({ hits = 0 }) => hits);
      assertEquals(counts, counts.toSorted((a, b) => b - a));
    }
  }
  // Those that nobody followed are there as well, the newest first.
  const last = (await all({ order: "hits" })).slice(-3).map(({ key }) => key);
  assertEquals(last, ["k6", "k3", "k0"]);
  await assertRejects(
    () => store.list({ order: "hits", after: "nonsense" }),
    Error,
    '"after" is no "next" of a page',
  );
  await store.finish();
});

test("more links than can be sorted are refused in a line", async () => {
  using dir = tempDir();
  const store = new KVStore(await EmbeddedDatabase.open(`${dir.path}/links.db`));
  const hits = Array.from({ length: 100_001 }, (_, i): Hit => [`k${i}`, 1, 0]);
  await store.hits.take({ day: DAY, hits, id: "a-0" });
  await assertRejects(
    () => store.list({ order: "hits" }),
    Error,
    `"order" can't be hits: more than 100,000 links were followed`,
  );
  assertEquals((await store.list()).links, []);
  await store.close();
});
