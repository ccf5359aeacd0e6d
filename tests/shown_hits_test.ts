/** How often links are followed, as it is told to whoever asks. */
import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { formatDay, today } from "../hits/counts.ts";
import { add, eventually, follow, type Goto, run, start, tempDir } from "./processes.ts";
import { keep, ready } from "./replicas.ts";

const HTML = { accept: "text/html" };

async function get({ url }: Goto, path: string, headers: HeadersInit = {}) {
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(`${url}${path}`, { headers, signal });
  return { status: response.status, text: await response.text() };
}

async function json(goto: Goto, path: string) {
  const { status, text } = await get(goto, path);
  return { status, ...JSON.parse(text) };
}

/** Follows a link so many times, and makes so many previews of it. */
async function visit({ url }: Goto, key: string, hits: number, previews = 0): Promise<void> {
  for (let i = 0; i < hits; i++) assertEquals((await follow(url, key)).status, 302);
  for (let i = 0; i < previews; i++) {
    const response = await fetch(`${url}/${key}`, { method: "HEAD", redirect: "manual" });
    assertEquals(response.status, 302);
  }
}

/** Waits until a server knows that a link was followed so often. */
async function counted(goto: Goto, key: string, hits: number): Promise<void> {
  await eventually(async () => assertEquals((await json(goto, `/api/links/${key}`)).hits, hits));
}

for (const threads of [1, 2]) {
  it(`-threads=${threads}: the API tells how often a link was followed, and on which days`, async () => {
    await using master = await start(`-threads=${threads}`);
    await add(master.url, "https://example.com/", "docs");
    await add(master.url, "https://example.com/", "none");
    // That comes first, so that a server which it ended would be missed below.
    const missing = await json(master, "/api/links/missing/hits");
    assertEquals([missing.status, missing.detail], [404, "key not found"]);
    const before = formatDay(today());
    await visit(master, "docs", 12, 3);
    await counted(master, "docs", 12);
    await eventually(async () => assertEquals((await json(master, "/api/links/docs")).previews, 3));
    const { key, hits, previews, lastHit } = await json(master, "/api/links/docs");
    assertEquals({ key, hits, previews }, { key: "docs", hits: 12, previews: 3 });
    assert([before, formatDay(today())].includes(lastHit));
    const days = await json(master, "/api/links/docs/hits");
    assertEquals(days.days.reduce((sum: number, { hits }: { hits: number }) => sum + hits, 0), 12);
    assertEquals([days.hits, days.previews, days.lastHit, days.days.at(-1).day], [
      12,
      3,
      lastHit,
      lastHit,
    ]);
    assertEquals(await json(master, "/api/links/none/hits"), {
      status: 200,
      hits: 0,
      previews: 0,
      days: [],
    });
    const put = await fetch(`${master.url}/api/links/docs/hits`, { method: "PUT", body: "{}" });
    assertEquals([put.status, put.headers.get("allow")], [405, "GET, HEAD"]);
    await put.body?.cancel();
  });
}

it("the page of a link and the list of all show hits, the most followed first if asked", async () => {
  await using master = await start();
  for (let n = 0; n < 60; n++) await add(master.url, `https://example.com/${n}`, `k${n}`);
  const times = { k7: 9, k3: 5, k55: 2 };
  for (const [key, hits] of Object.entries(times)) await visit(master, key, hits, 1);
  for (const [key, hits] of Object.entries(times)) await counted(master, key, hits);
  const detail = await get(master, "/.detail/k7", HTML);
  assertMatch(detail.text, /<dt>Followed<\/dt><dd>9 times, the last time on <time datetime="20/);
  assertMatch(detail.text, /<dt>Previewed<\/dt><dd>once<\/dd>/);
  assertMatch(detail.text, /<svg role="img" aria-label="9 hits in 90 days, the most on 20/);
  const untouched = await get(master, "/.detail/k8", HTML);
  assertMatch(untouched.text, /<dt>Followed<\/dt><dd>not yet<\/dd>/);
  assertFalse(untouched.text.includes("<svg"));

  const shown = (text: string) =>
    [...text.matchAll(/class="key" [^>]*>(\w+)<.*?([\d,]+) hits?</g)].map(([, k, n]) =>
      `${k} ${n}`
    );
  const newest = await get(master, "/.all", HTML);
  assertEquals(shown(newest.text).slice(0, 5), ["k59 0", "k58 0", "k57 0", "k56 0", "k55 2"]);
  const [, most] = /href="([^"]*)">Most followed</.exec(newest.text)!;
  const first = await get(master, most.replaceAll("&#38;", "&"), HTML);
  assertEquals(shown(first.text).slice(0, 4), ["k7 9", "k3 5", "k55 2", "k59 0"]);
  const [, less] = /href="([^"]*)" rel="next">Less followed</.exec(first.text)!;
  const second = await get(master, less.replaceAll("&#38;", "&"), HTML);
  const all = [...shown(first.text), ...shown(second.text)].map((words) => words.split(" ")[0]);
  assertEquals([all.length, new Set(all).size], [60, 60]);
  const found = await get(master, "/.all?q=5&order=hits", HTML);
  assertEquals(shown(found.text).slice(0, 2), ["k55 2", "k59 0"]);
  assertMatch(found.text, /<input type="hidden" name="order" value="hits">/);
  assertMatch(found.text, /href="\/\.all\?q=5">Newest</);
  const { links } = await json(master, "/api/links?order=hits&limit=3");
  assertEquals(links.map(({ key, hits }: { key: string; hits: number }) => `${key} ${hits}`), [
    "k7 9",
    "k3 5",
    "k55 2",
  ]);
});

it("an export has the hits, which an import passes over", async () => {
  using dir = tempDir();
  await using master = await start("-rpc");
  for (const key of ["a", "b"]) await add(master.url, "https://example.com/", key);
  await visit(master, "b", 3);
  await counted(master, "b", 3);
  const { text } = await get(master, "/.export");
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ Key, Hits }) => [Key, Hits]), [["a", undefined], ["b", 3]]);
  assertEquals((await run("-export", `-master=${master.url}`)).stdout, text);
  await Deno.writeTextFile(`${dir.path}/in.jsonl`, text);
  const { stdout } = await run(`-import=${dir.path}/in.jsonl`, `-file=${dir.path}/store.jsonl`);
  assertEquals(stdout, `${dir.path}/in.jsonl: 2 rows: 2 new\n`);
  assertFalse((await Deno.readTextFile(`${dir.path}/store.jsonl`)).includes("Hits"));
  await using other = await start({ cwd: dir.path });
  assertEquals((await json(other, "/api/links/b")).hits, 0);
  assertEquals((await get(other, "/.export")).text, text.replace(`,"Hits":3`, ""));
});

it("replicas ask the master for hits; without it a link is still shown, and a mirror tells what it has", async () => {
  using dir = tempDir();
  await using master = await start("-rpc");
  for (const key of ["a", "docs"]) await add(master.url, "https://example.com/", key);
  await using replica = await start(`-master=${master.url}`, "-threads=2");
  await using mirror = await start(`-master=${master.url}`, `-file=${dir.path}/mirror.jsonl`);
  await keep(replica, "docs");
  await visit(replica, "docs", 4);
  await visit(master, "docs", 3);
  // To have it kept there, it was followed, too.
  await eventually(async () => assert((await json(master, "/api/links/docs")).hits > 7));
  await eventually(async () => {
    const { hits } = await json(master, "/api/links/docs");
    for (const goto of [replica, mirror]) {
      assertEquals((await json(goto, "/api/links/docs")).hits, hits);
      assertEquals((await json(goto, "/api/links/docs/hits")).hits, hits);
      const { links } = await json(goto, "/api/links?order=hits");
      assertEquals(links.map(({ key }: { key: string }) => key), ["docs", "a"]);
      assertMatch((await get(goto, "/.detail/docs", HTML)).text, /<svg role="img"/);
    }
  });
  const { hits } = await json(master, "/api/links/docs");
  await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
  // The mirror copies what is counted a little later than the links.
  await eventually(async () => {
    const text = await Deno.readTextFile(`${dir.path}/mirror.jsonl.hits`);
    assertMatch(text, /"Hits":\["docs"/);
  });
  master.kill("SIGKILL");
  await master.status;
  await eventually(async () => assertEquals((await json(replica, "/api/links?q=x")).status, 503));
  const { status, url, hits: unknown } = await json(replica, "/api/links/docs");
  assertEquals([status, url, unknown], [200, "https://example.com/", undefined]);
  assertEquals((await json(replica, "/api/links/docs/hits")).status, 503);
  const page = await get(replica, "/.detail/docs", HTML);
  assertEquals([page.status, page.text.includes("<dt>Followed")], [200, false]);
  assert((await json(mirror, "/api/links/docs")).hits <= hits);
  assertEquals((await json(mirror, "/api/links?order=hits")).links[0].key, "docs");
});

it("a database's links are shown with their hits, the most followed first if asked", async () => {
  await using master = await start("-kv=links.db");
  for (const key of ["docs", "b"]) await add(master.url, "https://example.com/", key);
  await visit(master, "docs", 3);
  await counted(master, "docs", 3);
  const { links } = await json(master, "/api/links?order=hits");
  assertEquals(links.map(({ key, hits }: { key: string; hits: number }) => `${key} ${hits}`), [
    "docs 3",
    "b 0",
  ]);
  const { text } = await get(master, "/.all?order=hits", HTML);
  assertMatch(text, /aria-current="true">Most followed<[^]* 3 hits<[^]* 0 hits</);
  assertMatch((await get(master, "/.detail/docs", HTML)).text, /aria-label="3 hits in 90 days/);
  assertMatch((await get(master, "/.export")).text, /,"Hits":3\}\n/);
});

it("-hits=false: nothing of hits is shown", async () => {
  await using master = await start("-hits=false");
  await add(master.url, "https://example.com/", "docs");
  await visit(master, "docs", 3);
  const { status: _, ...link } = await json(master, "/api/links/docs");
  assertEquals(Object.keys(link), ["key", "url", "short", "created"]);
  const { links } = await json(master, "/api/links");
  assertEquals(Object.keys(links[0]), ["key", "url", "short", "created"]);
  const days = await json(master, "/api/links/docs/hits");
  assertEquals([days.status, days.detail], [404, "hits are not counted"]);
  const order = await json(master, "/api/links?order=hits");
  assertEquals([order.status, order.detail], [
    400,
    `"order" can't be hits: they are not counted`,
  ]);
  for (const path of ["/.detail/docs", "/.all", "/.export", "/metrics"]) {
    const { text } = await get(master, path, HTML);
    assertFalse(/goto_hits|goto_previews|Hits|Followed|Most followed|\d hit/.test(text), path);
  }
});

it("/metrics counts what was followed here, on all threads, on a replica, too", async () => {
  await using master = await start("-rpc", "-threads=2");
  const key = await add(master.url, "https://example.com/");
  await using replica = await start(`-master=${master.url}`, "-threads=2");
  await keep(replica, key);
  const of = async (goto: Goto, name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, "m").exec((await get(goto, "/metrics")).text)?.[1]);
  const there = await eventually(async () => {
    const hits = await of(replica, "goto_hits_total");
    assert(hits > 0);
    return hits;
  });
  await visit(replica, key, 10, 2);
  await visit(master, key, 5, 1);
  await eventually(async () => {
    assertEquals(await of(replica, "goto_previews_total"), 2);
    assertEquals(await of(master, "goto_previews_total"), 1);
    assertEquals(await of(master, "goto_hits_total"), 5);
    assert(await of(replica, "goto_hits_total") >= there + 10);
  });
});
