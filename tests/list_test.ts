import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { hitsAt } from "./counting.ts";
import { StoreError } from "../links/errors.ts";
import { type Query, readQuery } from "../links/query.ts";
import { Table } from "../links/table.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, type Goto, start, tempDir } from "./processes.ts";
import { random } from "./random.ts";
import { change, journal, ready } from "./replicas.ts";

const urlOf = (n: number) => `https://example.com/${n}`;

/** All pages of a list, as keys. */
async function keys(table: Table, query: Query = {}): Promise<string[]> {
  const found = [];
  let { after } = query;
  do {
    const { links, next } = await table.list({ ...query, after });
    found.push(...links.map(({ key }) => key));
    after = next;
  } while (after !== undefined);
  return found;
}

it("a list has the newest links first, each once, in pages", async () => {
  const table = new Table();
  for (let i = 0; i < 3000; i++) table.set({ key: `k${i}`, url: urlOf(i) });
  const all = Array.from({ length: 3000 }, (_, i) => `k${2999 - i}`);
  for (const limit of [7, 50, 999, 1000]) assertEquals(await keys(table, { limit }), all);
  const { links, count } = await table.list();
  assertEquals([links.length, links[0], count], [50, { key: "k2999", url: urlOf(2999) }, 3000]);
  assertEquals(await keys(table, { limit: 1000, order: "written" }), all.toReversed());
  assertEquals(await new Table().list(), { links: [], next: undefined, count: 0 });
});

it("a list in which one takes another's place goes on on the next page", async () => {
  const table = new Table();
  for (const created of [300, 200, 100]) {
    table.set({ key: `k${created}`, url: urlOf(created), created });
  }
  assertEquals(await keys(table, { limit: 2 }), ["k300", "k200", "k100"]);
  assertEquals(await keys(table, { limit: 1 }), ["k300", "k200", "k100"]);
});

it("a list leaves out what is deleted, hidden, superseded, or not shown yet", async () => {
  const table = new Table();
  for (const key of ["a", "b", "c", "d"]) table.set({ key, url: urlOf(1) });
  table.set({ key: "a", url: urlOf(2) });
  table.set({ key: "b", url: "" });
  table.hide("c");
  const entry = table.add({ key: "e", url: urlOf(3) });
  assertEquals((await table.list()).links, [
    { key: "d", url: urlOf(1) },
    { key: "a", url: urlOf(2) },
  ]);
  table.show(entry);
  assertEquals(await keys(table, { limit: 1 }), ["e", "d", "a"]);
  table.hide("c", false);
  assertEquals(await keys(table, { limit: 1 }), ["e", "d", "c", "a"]);
});

it("a list holds what a map would, through changes, deletions and moves of memory", async () => {
  const { pick } = random(14);
  const table = new Table({ segmentBits: 16 });
  const model = new Map<string, string>();
  for (let i = 0; i < 40_000; i++) {
    const key = `k${pick(3000)}`;
    const url = pick(5) === 0 ? "" : `https://example.com/${"x".repeat(pick(40))}/${i}`;
    table.set({ key, url });
    model.delete(key);
    if (url !== "") model.set(key, url);
    if (i % 8000 !== 7999) continue;
    const sorted = [...model.keys()].sort();
    assertEquals((await keys(table, { limit: 100 })).sort(), sorted);
    assertEquals((await keys(table, { limit: 100, order: "written" })).sort(), sorted);
    const digits = `${i}`.slice(0, 2);
    const holds = sorted.filter((key) => `${key}\n${model.get(key)}`.includes(digits));
    assertEquals((await keys(table, { limit: 100, q: digits })).sort(), holds);
  }
});

it("a search finds text in keys and URLs, whatever the case, and nowhere else", async () => {
  const table = new Table();
  const links = {
    Docs: "https://example.com/Handbuch",
    m: "https://example.com/m%C3%BCnchen?q={path}",
    ab: "cd://",
    long: `https://example.com/${"y".repeat(70_000)}/END`,
  };
  for (const [key, url] of Object.entries(links)) table.set({ key, url });
  const found: [q: string, keys: string[]][] = [
    ["docs", ["Docs"]],
    ["HANDBUCH", ["Docs"]],
    ["  handbuch ", ["Docs"]],
    ["münchen", ["m"]],
    ["MÜNCHEN", ["m"]],
    ["{path}", ["m"]],
    ["example.com", ["Docs", "long", "m"]],
    ["bcd", []], // the end of a key and the beginning of a URL
    ["ab", ["ab"]],
    ["cd", ["ab"]],
    ["/end", ["long"]],
    ["\0", []],
    ["", ["Docs", "long", "ab", "m"]],
    ["\ud800", []],
  ];
  for (const [q, expected] of found) assertEquals(await keys(table, { q }), expected, q);
  // Where a character needs two bytes, all are looked at one by one.
  table.set({ key: "straße", url: "https://example.com/日本" });
  for (const [q, expected] of found.slice(0, 6)) {
    assertEquals(await keys(table, { q }), expected, q);
  }
  assertEquals(await keys(table, { q: "日本" }), ["straße"]);
  assertEquals(await keys(table, { q: "STRASSE" }), ["straße"]);
  assertEquals(await keys(table, { q: "STRAßE" }), ["straße"]);
});

it("while a list is asked for page after page, each comes once that is changed", async () => {
  const table = new Table({ segmentBits: 16 });
  const { pick } = random(3);
  for (let i = 0; i < 2000; i++) table.set({ key: `k${i}`, url: urlOf(i) });
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const { links, next } = await table.list({ limit: 10, order: "written", after });
    for (const { key } of links) seen.push(key);
    for (let i = 0; i < 5; i++) {
      table.set({ key: `k${pick(2000)}`, url: urlOf(pick(10)) });
    }
    after = next;
  } while (after !== undefined);
  assertEquals([seen.length, new Set(seen).size], [2000, 2000]);
});

it("a search leaves room for others, and finds what is changed or moved meanwhile", async () => {
  const table = new Table({ segmentBits: 22 });
  for (let i = 0; i < 600_000; i++) table.set({ key: `k${i}`, url: urlOf(i) });
  table.set({ key: "first", url: urlOf(0) });
  let turns = 0;
  let done = false;
  const search = keys(table, { q: "k1234", limit: 1000 }).then((found) => {
    done = true;
    return found;
  });
  while (!done) {
    // Others are at work: all memory moves, and what is searched is changed.
    for (let i = 0; i < 1000; i++) table.set({ key: `k${turns * 1000 + i}`, url: urlOf(i) });
    table.set({ key: "k1234", url: urlOf(turns++) });
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert(turns > 1);
  const expected = Array.from({ length: 600_000 }, (_, i) => `k${i}`)
    .filter((key) => key.includes("k1234")).sort();
  assertEquals([...new Set(await search)].sort(), expected);
});

it("the most followed come first, the newest of those that are followed alike, in pages", async () => {
  using dir = tempDir();
  const { seed, pick } = random();
  const table = new Table({ segmentBits: 16 });
  const hits = hitsAt(`${dir.path}/l.hits`, table);
  await hits.load();
  const model = new Map<string, { created: number; hits: number }>();
  for (let n = 0; n < 3000; n++) {
    const created = 1000 + n;
    model.set(`k${n}`, { created, hits: 0 });
    table.set({ key: `k${n}`, url: urlOf(n), created });
  }
  const follow = (times: number) => {
    for (let i = 0; i < times; i++) {
      const key = `k${pick(pick(3) === 0 ? 30 : 1500)}`;
      const count = pick(4) === 0 ? 2 ** 32 + pick(3) : pick(3);
      model.get(key)!.hits += count;
      hits.add({ day: 20782, hits: [[key, count, 1]] });
    }
  };
  const check = async (what: string) => {
    await hits.append();
    const sorted = [...model].sort(([, a], [, b]) => b.hits - a.hits || b.created - a.created);
    for (const [limit, q] of [[7, ""], [100, ""], [1000, ""], [20, "k12"]] as const) {
      const expected = sorted.map(([key]) => key).filter((key) => key.includes(q));
      assertEquals(
        await keys(table, { order: "hits", limit, q }),
        expected,
        `${what}, seed ${seed}`,
      );
    }
    const { links } = await table.list({ order: "hits", limit: 1000 });
    for (const { key, hits } of links) assertEquals(hits, model.get(key)!.hits);
    const { links: newest } = await table.list({ limit: 1000 });
    for (const { key, hits } of newest) assertEquals(hits, model.get(key)!.hits);
  };
  await check("none is followed");
  follow(300);
  await check("few are followed");
  follow(5000);
  await check("most are followed");
  for (const [key, { created }] of model) {
    if (pick(2) === 0) table.set({ key, url: urlOf(pick(9)), created });
  }
  await check("some were changed since");
  await hits.close();
});

it("while links are followed, no page has one twice, and each that is followed no more comes", async () => {
  using dir = tempDir();
  const { seed, pick } = random();
  const table = new Table();
  const hits = hitsAt(`${dir.path}/l.hits`, table);
  await hits.load();
  for (let n = 0; n < 2000; n++) {
    table.set({ key: `k${n}`, url: urlOf(n), created: 1000 + n });
    hits.add({ day: 20782, hits: [[`k${n}`, pick(50), 0]] });
  }
  await hits.append();
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const { links, next } = await table.list({ order: "hits", limit: 50, after });
    for (const { key } of links) seen.push(key);
    for (let i = 0; i < 20; i++) {
      hits.add({ day: 20782, hits: [[`k${2 * pick(1000)}`, 1 + pick(60), 0]] });
    }
    await hits.append();
    after = next;
  } while (after !== undefined);
  assertEquals(new Set(seen).size, seen.length, `seed ${seed}`);
  const still = seen.filter((key) => Number(key.slice(1)) % 2 === 1);
  assertEquals(still.length, 1000, `seed ${seed}`);
  await hits.close();
});

it("pages go on after a restart, in every order", async () => {
  for (const created of [(n: number) => 1000 + (n >> 2), () => 0]) {
    using dir = tempDir();
    const open = async () => {
      const table = new Table();
      const hits = hitsAt(`${dir.path}/l.hits`, table);
      for (let n = 0; n < 40; n++) table.set({ key: `k${n}`, url: urlOf(n), created: created(n) });
      await hits.load();
      return { table, hits };
    };
    const first = await open();
    for (let n = 0; n < 20; n++) first.hits.add({ day: 20782, hits: [[`k${n}`, n >> 1, 0]] });
    await first.hits.append();
    const orders = ["newest", "hits", "written"] as const;
    const before = await Promise.all(orders.map(async (order) => {
      const { next } = await first.table.list({ order, limit: 13 });
      return { order, all: await keys(first.table, { order }), after: next };
    }));
    await first.hits.close();
    const again = await open();
    for (const { order, all, after } of before) {
      assertEquals(await keys(again.table, { order, after }), all.slice(13));
    }
    await again.hits.close();
  }
});

it("a page goes on behind any key, also one that nobody can choose", async () => {
  const table = new Table();
  const odd = [".", "a b", "straße", "日本", "\ud800", "x\ny", "-", "~", "k-1-2", "%", "a/b?c=d&e"];
  for (const key of odd) table.set({ key, url: urlOf(1) });
  for (const order of ["newest", "written"] as const) {
    const found = await keys(table, { order, limit: 1 });
    assertEquals(found.toSorted(), odd.toSorted());
    const { next = "" } = await table.list({ order, limit: 3 });
    assertEquals(encodeURIComponent(next), next);
  }
});

it("a list that can't be is refused in a line", async () => {
  const table = new Table();
  for (let i = 0; i < 3; i++) table.set({ key: `k${i}`, url: urlOf(i) });
  for (const limit of ["0", "1001", "-1", "1.5", "x", ""]) {
    const error = assertThrows(() => readQuery({ limit }), StoreError);
    assertEquals(error.message, `"limit" must be a number from 1 to 1000`);
  }
  assertThrows(() => readQuery({ order: "oldest" }), StoreError, "newest, hits or written");
  await assertRejects(() => table.list({ order: "hits" }), StoreError, "not counted");
  await assertRejects(() => table.list({ after: "x" }), StoreError, `"after" is no "next"`);
  await assertRejects(() => table.list({ q: "x".repeat(201) }), StoreError, "at most 200");
  const { next } = await table.list({ limit: 1, order: "written" });
  const other = () => table.list({ after: next });
  await assertRejects(other, StoreError, `"after" is no "next"`);
  const many = Array.from({ length: 101 }, () => table.list());
  await assertRejects(() => many[100], StoreError, "too many searches");
  await Promise.all(many.slice(0, 100));
});

async function list({ url }: Goto | Here, query = "") {
  const response = await fetch(`${url}/api/links${query}`, { signal: AbortSignal.timeout(10_000) });
  return { status: response.status, ...await response.json() };
}

async function exported({ url }: Goto | Here) {
  const response = await fetch(`${url}/.export`, { signal: AbortSignal.timeout(20_000) });
  return { status: response.status, text: await response.text() };
}

it("every server lists, searches and exports all links: it asks the master", async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(file, journal(2500));
  await using master = await start({ cwd: dir.path }, "-rpc", "-threads=2");
  await using replica = await start(`-master=${master.url}`, "-threads=2", "-rpc");
  await using mirror = await start(`-master=${master.url}`, `-file=${dir.path}/mirror.jsonl`);
  await using leaf = await start(`-master=${replica.url}`);
  await add(leaf.url, "https://example.com/new", "new");
  await change(leaf.url, "0", "https://example.com/changed");
  const expected = await list(master, "?q=new&limit=3");
  for (const goto of [master, replica, mirror, leaf]) {
    for (let i = 0; i < 3; i++) { // another thread may answer
      const { status, links, count } = await list(goto, "?q=new&limit=3");
      assertEquals([status, links[0].key, links.length, count], [200, "new", 1, 2501]);
      assertEquals(links[0].short.endsWith("/new"), true);
    }
    const { text } = await exported(goto);
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    const links = new Map(lines.map(({ Key, URL }) => [Key, URL]));
    assertEquals([links.size, links.get("0"), links.get("7")], [
      2501,
      "https://example.com/changed",
      "https://example.com/7",
    ]);
    assertEquals((await list(goto, "?limit=0")).status, 400);
    assertEquals((await list(goto, "?after=x")).detail, `"after" is no "next" of a page`);
  }
  assertEquals(expected.links.length, 1);

  await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
  master.kill("SIGKILL");
  await master.status;
  await eventually(async () => assertEquals((await list(replica)).status, 503));
  assertEquals((await exported(replica)).status, 503);
  assertEquals((await list(mirror, "?q=new")).links.length, 1);
  assertEquals((await exported(mirror)).text.trimEnd().split("\n").length, 2501);
});

it("what is exported can be imported", async () => {
  using dir = tempDir();
  await using master = await startHere();
  for (let i = 0; i < 20; i++) await add(master.url, urlOf(i), `key.${i}`);
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, (await exported(master)).text);
  await using other = await startHere({ cwd: dir.path });
  assertEquals(await exported(other), await exported(master));
  await using empty = await startHere();
  assertEquals(await exported(empty), { status: 200, text: "" });
});

it("the newest are those that were created last, also where others were changed since", async () => {
  const { pick } = random(7);
  const table = new Table({ segmentBits: 16 });
  const created = new Map<string, number>();
  for (let i = 0; i < 3000; i++) {
    const key = `k${i}`;
    created.set(key, pick(50) === 0 ? pick(1000) : 1000 + i);
    table.set({ key, url: urlOf(i), created: created.get(key) });
  }
  for (let i = 0; i < 3000; i++) {
    const key = `k${pick(3000)}`;
    table.set({ key, url: urlOf(i), created: created.get(key) });
  }
  const all = await keys(table, { limit: 100 });
  assertEquals(all.length, 3000);
  for (let i = 1; i < all.length; i++) assert(created.get(all[i - 1])! >= created.get(all[i])!);
});
