import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Counts, today } from "../hits/counts.ts";
import { Gathered } from "../hits/gathered.ts";
import { loadHits } from "../hits/file.ts";
import type { Hits } from "../hits/hits.ts";
import { formatLine, type Line, makeLines, MAX_LINE, parseLine } from "../hits/lines.ts";
import { HitsState, type LinksLog } from "../hits/state.ts";
import { isPreview } from "../hits/previews.ts";
import { Senders } from "../hits/senders.ts";
import { Sums } from "../hits/sums.ts";
import { Tally } from "../hits/tally.ts";
import { DAYS } from "../hits/traffic.ts";
import { MaybeSavedError } from "../journal/appender.ts";
import type { Log } from "../journal/log.ts";
import { Window } from "../journal/window.ts";
import { StoreError } from "../links/errors.ts";
import { Table } from "../links/table.ts";
import { hitsAt, hitsOn } from "./counting.ts";
import { add, type LogEvent, start, tempDir, within } from "./processes.ts";
import { random } from "./random.ts";
import { canMount, smallDisk } from "./tools.ts";
import { counted, rpc, visit } from "./traffic.ts";

const DAY = 20782;

/** A table with so many links: `k0`, `k1`, ... */
function tableOf(links: number): Table {
  const table = new Table();
  for (let i = 0; i < links; i++) table.set({ key: `k${i}`, url: `https://example.com/${i}` });
  return table;
}

describe("Sums", () => {
  it("adds up as plain maps do, and knows the last 90 days", () => {
    const { seed, pick } = random();
    const sums = new Sums();
    const model = new Map<number, { days: Map<number, number>; previews: number }>();
    let day = DAY;
    for (let step = 0; step < 200_000; step++) {
      if (pick(500) === 0) day += pick(20) + 1;
      if (pick(20) === 0) model.set(sums.newRow(), { days: new Map(), previews: 0 });
      if (model.size === 0) continue;
      const row = pick(Math.min(model.size, 40)) + 1;
      const link = model.get(row)!;
      if (pick(2000) === 0) {
        sums.reset(row);
        link.days.clear();
        link.previews = 0;
        continue;
      }
      const late = Math.max(DAY, day - pick(pick(4) === 0 ? 120 : 2));
      const [hits, previews] = [pick(3) * pick(100), pick(2)];
      sums.add(row, late, hits, previews);
      if (hits > 0) link.days.set(late, (link.days.get(late) ?? 0) + hits);
      link.previews += previews;
    }
    for (const [row, { days, previews }] of model) {
      const sorted = [...days].sort(([a], [b]) => a - b);
      const hits = sorted.reduce((sum, [, count]) => sum + count, 0);
      const last = sorted.at(-1)?.[0];
      assertEquals(sums.trafficOf(row), {
        hits,
        previews,
        ...(last === undefined ? {} : { last }),
        days: sorted.filter(([at]) => at > day - DAYS),
      }, `seed ${seed}, row ${row}`);
    }
  });

  it("counts beyond 32 bits, in all and on a day", () => {
    const sums = new Sums();
    const row = sums.newRow();
    for (let i = 0; i < 3; i++) sums.add(row, DAY, 2 ** 32 - 1, 2 ** 32 - 1);
    sums.add(row, DAY + 1, 1);
    const most = 3 * (2 ** 32 - 1);
    assertEquals(sums.trafficOf(row), {
      hits: most + 1,
      previews: most,
      last: DAY + 1,
      days: [[DAY, most], [DAY + 1, 1]],
    });
  });

  it("keeps the sums where there is no room for more days, and days again later", () => {
    const sums = new Sums(400);
    const rows = Array.from({ length: 50 }, () => sums.newRow());
    const last = DAY + 300;
    for (let day = DAY; day <= last; day++) for (const row of rows) sums.add(row, day, 1);
    for (const row of rows) {
      const { hits, days } = sums.trafficOf(row);
      assertEquals([hits, days.at(-1)], [301, [last, 1]]);
      assert(days.length >= 1 && days.length <= 9, `${days.length} days`);
    }
    // One link alone then has all of its days.
    for (let day = last + 1; day <= last + 200; day++) sums.add(rows[0], day, 1);
    assertEquals(sums.trafficOf(rows[0]).days.length, DAYS);
  });

  it("takes no more memory the longer it goes on", () => {
    const sums = new Sums();
    const rows = Array.from({ length: 1000 }, () => sums.newRow());
    let [after, day] = [0, DAY];
    for (; day < DAY + 600; day++) {
      for (const row of rows) sums.add(row, day, 1);
      if (day === DAY + 2 * DAYS) after = sums.bytes;
    }
    assertEquals(sums.bytes, after);
  });
});

describe("Tally", () => {
  const request = (headers = {}, method = "GET") =>
    new Request("http://localhost/", { headers, method });

  it("counts each redirect once, by row or by key, however many there are", () => {
    const [byKey, byRow] = [new Map<string, number>(), new Map<number, number>()];
    const tally = new Tally(({ hits, rows = new Uint32Array() }) => {
      for (const [key, count] of hits) byKey.set(key, (byKey.get(key) ?? 0) + count);
      for (let i = 0; i < rows.length; i += 2) {
        byRow.set(rows[i], (byRow.get(rows[i]) ?? 0) + rows[i + 1]);
      }
    }, true);
    const req = request();
    for (let i = 0; i < 300_000; i++) {
      const n = i % 20_011;
      tally.count(req, `k${n}`, { counter: n % 2 === 0 ? 0 : n });
    }
    tally.close();
    for (let n = 0; n < 20_011; n++) {
      const expected = Math.ceil((300_000 - n) / 20_011);
      assertEquals(n % 2 === 0 ? byKey.get(`k${n}`) : byRow.get(n), expected, `${n}`);
    }
  });

  it("counts HEAD and the fetchers of previews apart", () => {
    const all: Counts[] = [];
    const tally = new Tally((counts) => all.push(counts));
    tally.count(request(), "a");
    tally.count(request({ "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0" }), "a");
    tally.count(request({ "user-agent": "Slackbot-LinkExpanding 1.0" }), "a");
    tally.count(request({}, "HEAD"), "a");
    tally.close();
    assertEquals(all.flatMap(({ hits }) => hits), [["a", 2, 0], ["a", 0, 2]]);
  });

  it("counts what a browser fetches ahead of a visit apart", () => {
    const ahead: Record<string, string>[] = [
      { "sec-purpose": "prefetch" },
      { "sec-purpose": "prefetch;prerender" },
      { "Sec-Purpose": "prefetch;anonymous-client-ip" },
      { purpose: "prefetch" },
      { "x-purpose": "preview" },
      { "x-moz": "prefetch" },
    ];
    const visits: Record<string, string>[] = [
      {},
      { "sec-purpose": "" },
      { purpose: "visit" },
      { "x-moz": "prefetched?" },
      { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" },
    ];
    const all: Counts[] = [];
    const tally = new Tally((counts) => all.push(counts));
    for (const headers of [...ahead, ...visits]) tally.count(request(headers), "a");
    tally.close();
    assertEquals(all.flatMap(({ hits }) => hits), [["a", visits.length, 0], [
      "a",
      0,
      ahead.length,
    ]]);
  });

  it("knows those that fetch previews from browsers, and from programs", () => {
    const fetchers = [
      "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
      "Twitterbot/1.0",
      "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
      "TelegramBot (like TwitterBot)",
      "WhatsApp/2.23.20.0",
      "LinkedInBot/1.0 (compatible; Mozilla/5.0; +http://www.linkedin.com)",
      "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    ];
    for (const agent of fetchers) assert(isPreview(agent), agent);
    const others = [
      null,
      "curl/8.5.0",
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    ];
    for (const agent of others) assert(!isPreview(agent), String(agent));
  });
});

it("Gathered adds up by link and day, and keeps the counts of a refusing disk's oldest days", () => {
  const { seed, pick } = random();
  const gathered = new Gathered();
  const model = new Map<string, number>();
  const sum = new Map<number, number>();
  for (let step = 0; step < 20_000; step++) {
    const [day, counter] = [DAY + pick(3), 1 + pick(3000)];
    const [hits, previews] = [pick(3), pick(2)];
    gathered.add(day, counter, hits, previews);
    const of = (kind: string) => `${day} ${counter} ${kind}`;
    model.set(of("hits"), (model.get(of("hits")) ?? 0) + hits);
    model.set(of("previews"), (model.get(of("previews")) ?? 0) + previews);
  }
  for (let taken; (taken = gathered.take());) {
    for (let i = 0; i < taken.counts.length; i += 3) {
      const [counter, hits, previews] = taken.counts.subarray(i, i + 3);
      for (const [kind, count] of [["hits", hits], ["previews", previews]] as const) {
        const of = `${taken.day} ${counter} ${kind}`;
        assertEquals(count, model.get(of), `seed ${seed}`);
        model.set(of, 0);
      }
    }
  }
  assert([...model.values()].every((count) => count === 0), `seed ${seed}`);
  for (let day = DAY; day < DAY + 30; day++) {
    gathered.add(day, 1, 1, 0);
    gathered.add(day, 2, 0, 1);
  }
  let days = 0;
  for (let taken; (taken = gathered.take()); days++) {
    for (let i = 0; i < taken.counts.length; i += 3) {
      const counter = taken.counts[i];
      sum.set(counter, (sum.get(counter) ?? 0) + taken.counts[i + 1] + taken.counts[i + 2]);
    }
  }
  assertEquals([days, sum.get(1), sum.get(2)], [7, 30, 30]);
});

it("makeLines makes lines that can be read again, none of them too long, whatever the keys", () => {
  const { seed, pick } = random();
  const keys = ["docs", "\u00e9\n", "\u{1f517}".repeat(300), 'a"b\\c', "\ud800", "x".repeat(300)];
  for (let n = 0; n < 5000; n++) keys.push(`k${n}`);
  const table = new Table();
  const rows = keys.map((key, i) => {
    table.set({
      key,
      url: "https://example.com/",
      created: i % 3 === 0 ? undefined : 1795600000 + i,
    });
    return table.counterFor(key, undefined, () => i + 1);
  });
  table.set({ key: "k0", url: "" }); // it has ended
  const edges = [0, 1, 9, 10, 99, 100, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1];
  const counts = Float64Array.from(
    rows.flatMap((row) => [row, edges[pick(edges.length)], pick(9)]),
  );
  let made = 0;
  const lines = makeLines(table, { day: DAY, counts }, 77, () => `a-${made++}`);
  const found = new Map<string, unknown[]>();
  for (const { text, id } of lines) {
    assert(new TextEncoder().encode(text).length <= MAX_LINE);
    const line = parseLine(text);
    assert(line, text);
    assertEquals(formatLine(line), text);
    assertEquals([line.day, line.at, line.id], [DAY, 77, id]);
    for (let i = 0; i < line.hits.length; i += 4) {
      found.set(String(line.hits[i]), line.hits.slice(i + 1, i + 4));
    }
  }
  assert(lines.length > 1);
  assertEquals(found.size, keys.length - 1);
  for (const [i, key] of keys.entries()) {
    if (key === "k0") continue;
    const created = i % 3 === 0 ? 0 : 1795600000 + i;
    assertEquals(
      found.get(key),
      [created, ...counts.subarray(3 * i + 1, 3 * i + 3)],
      `seed ${seed}`,
    );
  }
});

describe("Hits", () => {
  it("keeps what was counted, and goes on with it", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    for (let round = 1; round <= 3; round++) {
      const hits = hitsAt(path, tableOf(10));
      await hits.load();
      hits.add({ day: DAY + round, hits: [["k1", 2, 1], ["k2", 1, 0], ["unknown", 5, 5]] });
      await hits.append();
      const { days, ...traffic } = await hits.traffic("k1");
      assertEquals(traffic, { hits: 2 * round, previews: round, last: DAY + round });
      assertEquals(days, Array.from({ length: round }, (_, i) => [DAY + i + 1, 2]));
      assertEquals((await hits.traffic("k3")).hits, 0);
      await hits.close();
    }
  });

  it("counts what another server sends once, however often it comes, and after a restart", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const counts = (n: number): Counts => ({ day: DAY, hits: [["k1", 1, 0]], id: `name-${n}` });
    const sum = async (hits: Hits) => (await hits.traffic("k1")).hits;
    const first = hitsAt(path, tableOf(10));
    await first.load();
    await Promise.all([first.take(counts(1)), first.take(counts(1)), first.take(counts(2))]);
    await first.take(counts(2));
    assertEquals(await sum(first), 2);
    // It isn't closed: what was told is written.
    await Deno.copyFile(path, `${path}.copy`);
    const second = hitsAt(`${path}.copy`, tableOf(10));
    await second.load();
    await second.take(counts(1));
    await second.take(counts(2));
    assertEquals(await sum(second), 2);
    await second.take(counts(3));
    assertEquals(await sum(second), 3);
    await second.close();
    await first.close();
  });

  it("forgets what was counted of a link that has ended, and counts anew for its key", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const table = tableOf(10);
    const hits = hitsAt(path, table);
    await hits.load();
    const [url, created] = ["https://example.com/", 1795600000];
    const all = async (of: Hits) => {
      const { hits, previews } = await of.traffic("k1");
      return [hits, previews, (await of.traffic("k2")).hits];
    };
    hits.add({ day: DAY, hits: [["k1", 7, 7], ["k2", 1, 0]] });
    await hits.append();
    const row = table.counterOf("k1");
    hits.add({ day: DAY, hits: [["k1", 5, 5]] });
    table.set({ key: "k1", url: "" });
    hits.add({ day: DAY, hits: [["k1", 3, 3]] }); // late
    table.set({ key: "k1", url, created });
    // Still later, from a thread, another server, and one that doesn't know better.
    hits.add({ day: DAY, hits: [["k1", 9, 9, 0]], rows: Uint32Array.of(row, 9) });
    await hits.take({ day: DAY, hits: [["k1", 9, 9, 0], ["k1", 9, 9, created - 1]], id: "a-1" });
    hits.add({ day: DAY, hits: [["k1", 1, 0, created]] });
    await hits.take({ day: DAY, hits: [["k1", 1, 0, created], ["k1", 1, 0]], id: "a-2" });
    await hits.append();
    assertEquals(await all(hits), [3, 0, 1]);
    table.set({ key: "k1", url: `${url}changed`, created });
    assertEquals(await all(hits), [3, 0, 1]);
    await hits.close();
    const links = tableOf(10);
    links.set({ key: "k1", url, created });
    const again = hitsAt(path, links);
    await again.load();
    assertEquals(await all(again), [3, 0, 1]);
    await again.close();
  });

  it("goes on with the counts of links that were loaded into another table", async () => {
    using dir = tempDir();
    const table = tableOf(10);
    const hits = hitsAt(`${dir.path}/links.hits`, table);
    await hits.load();
    hits.add({ day: DAY, hits: [["k1", 7, 1], ["k2", 1, 0], ["k3", 2, 0]] });
    await hits.append();
    hits.add({ day: DAY, hits: [["k1", 1, 0]] });
    const rows = Uint32Array.of(table.counterOf("k2"), 1, table.counterOf("k3"), 1);
    const other = new Table();
    for (const key of ["k2", "k1"]) other.set({ key, url: "https://example.com/" });
    other.set({ key: "k3", url: "https://example.com/", created: 1795600000 });
    hits.use(other);
    hits.add({ day: DAY, hits: [], rows });
    await hits.append();
    const sums = ["k1", "k2", "k3"].map(async (key) => (await hits.traffic(key)).hits);
    assertEquals(await Promise.all(sums), [8, 2, 0]);
    await hits.close();
  });

  it("takes in what others appended once the links are there that it was made of", async () => {
    using dir = tempDir();
    const [path, table] = [`${dir.path}/links.hits`, tableOf(2)];
    const feed = new Window(0);
    const links: LinksLog = { feed, catchUp() {} };
    const state = new HitsState(table, links);
    const log = (await loadHits(path, state))!;
    const line = (id: string, at: number, hits: Line["hits"]) =>
      new TextEncoder().encode(formatLine({ hits, days: [], day: DAY, at, id }));
    const read = (bytes: Uint8Array) => state.read(bytes, () => {}, () => {});
    read(line("a-1", 5, ["new", 9, 3, 0]));
    read(line("a-2", 0, ["k1", 0, 2, 0]));
    read(line("a-2", 0, ["k1", 0, 2, 0]));
    table.set({ key: "new", url: "https://example.com/", created: 9 });
    feed.append(new TextEncoder().encode("line\n"));
    state.reach();
    assertEquals([(await state.traffic("new")).hits, (await state.traffic("k1")).hits], [3, 2]);
    await log.close();
  });

  it("appends what a log refuses later, once, also what was counted meanwhile", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    let log: Log;
    const hits = hitsOn(path, tableOf(3), (opened) => log = opened);
    await hits.load(true);
    const { append } = log!;
    let tried = 0;
    log!.append = async (lines) => {
      // It is there, though nobody knows, or isn't.
      if (tried++ % 2 === 0) await append.call(log, lines);
      throw new MaybeSavedError("the disk refuses");
    };
    for (let n = 0; n < 4; n++) {
      hits.add({ day: DAY, hits: [["k1", 1, 0]] });
      await hits.append();
      assertEquals((await hits.traffic("k1")).hits, 0);
      const taken = hits.take({ day: DAY, hits: [["k2", 1, 0]], id: "name-1" });
      await assertRejects(() => taken, StoreError, "may have been saved");
    }
    log!.append = append;
    await hits.append();
    await hits.take({ day: DAY, hits: [["k2", 1, 0]], id: "name-1" });
    assertEquals((await hits.traffic("k1")).hits, 4);
    await hits.close();
    const again = hitsAt(path, tableOf(3));
    await again.load();
    assertEquals([(await again.traffic("k1")).hits, (await again.traffic("k2")).hits], [4, 1]);
    await again.close();
  });

  it("sets aside a file of an earlier form, and says so", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const text = '{"File":"abcdefghij"}\n{"Day":20782,"Rows":[1],"Keys":["k1"],"Hits":[1,5]}\n';
    const told: string[] = [];
    const events = (_level: string, message: string) => void told.push(message);
    for (const expected of ["set aside what is no log of hits", "cannot load hits"]) {
      await Deno.writeTextFile(path, text);
      const hits = hitsAt(path, tableOf(2), { events });
      await hits.load();
      assertEquals(told.splice(0), [expected]);
      assertEquals(await Deno.readTextFile(`${path}.bad`), text);
      // What can't be read doesn't pass for nothing.
      const { kind, hits: sum } = await hits.traffic("k1").catch((error) => error);
      assertEquals(kind ?? sum, expected === "cannot load hits" ? "unavailable" : 0);
      hits.add({ day: DAY, hits: [["k1", 1, 0]] });
      await hits.close();
    }
    assertEquals(await Deno.readTextFile(path), text); // there was no room for it
  });

  it("loads a file with a torn end, and with damaged lines, but for those", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const hits = hitsAt(path, tableOf(10));
    await hits.load();
    for (const key of ["k1", "k2", "k3"]) await hits.take({ day: DAY, hits: [[key, 1, 0]] });
    await hits.close();
    const [name, one, two, three] = (await Deno.readTextFile(path)).split("\n");
    await Deno.writeTextFile(path, `${name}\n${one}\n${two.slice(5)}\n\n${three}\n{"Hits":["k`);
    const told: string[] = [];
    const events = (_level: string, message: string) => void told.push(message);
    const again = hitsAt(path, tableOf(10), { events });
    await again.load();
    const sums = ["k1", "k2", "k3"].map(async (key) => (await again.traffic(key)).hits);
    assertEquals(await Promise.all(sums), [1, 0, 1]);
    assertEquals(
      told,
      ["left out damaged hits", "cut off a torn last line"].sort(
        (a, b) => told.indexOf(a) - told.indexOf(b),
      ),
    );
    await again.take({ day: DAY, hits: [["k2", 1, 0]] });
    await again.close();
    assertMatch(
      await Deno.readTextFile(path),
      /\n\{"Hits":\["k2",0,1,0\],"Day":20782,"At":0,"ID":"\w+-0"\}\n$/,
    );
  });

  it("is compacted to its sums, and nothing is lost meanwhile", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const LINKS = 3000;
    let log: Log;
    const hits = hitsOn(path, tableOf(LINKS), (opened) => log = opened);
    await hits.load();
    const sums = new Array<number>(LINKS).fill(0);
    let compaction: Promise<unknown> = Promise.resolve(true);
    for (let round = 0; round < 60; round++) {
      const rows = new Map<number, number>();
      for (let n = 0; n < LINKS; n++) {
        sums[n]++;
        rows.set(n, 1);
      }
      const counted = Array.from(rows, ([n]): [string, number, number] => [`k${n}`, 1, 0]);
      // Some is counted here, and the rest elsewhere.
      const day = DAY + Math.floor(round / 10);
      const half = LINKS / 2;
      hits.add({ day, hits: counted.slice(0, half) });
      await hits.take({ day, hits: counted.slice(half), id: `name-${round.toString(36)}` });
      if (round % 20 !== 10) continue;
      assert(await compaction !== undefined);
      compaction = log!.compact();
    }
    assert(await compaction !== undefined);
    const before = (await Deno.stat(path)).size;
    await log!.compact();
    await hits.close();
    assert((await Deno.stat(path)).size < before);
    const again = hitsAt(path, tableOf(LINKS));
    await again.load();
    for (const n of [0, 1, LINKS / 2 - 1, LINKS / 2, LINKS - 1]) {
      assertEquals((await again.traffic(`k${n}`)).hits, sums[n], `k${n}`);
    }
    await again.take({ day: DAY, hits: [["k0", 1, 0]], id: "name-0" });
    assertEquals((await again.traffic("k0")).hits, sums[0]);
    await again.close();
  });
});

it("Senders remembers the last marks, of so many who send", () => {
  const senders = new Senders(2);
  for (const id of ["a-1", "b-z", "a-3", "c-5"]) senders.note(id);
  assertEquals(["a-3", "a-2", "a-4", "b-1", "c-5"].map((id) => senders.has(id)), [
    true,
    true,
    false,
    false,
    true,
  ]);
  assertEquals([...senders], ["a-3", "c-5"]);
});

for (const [threads, signal] of [[1, "SIGTERM"], [3, "SIGTERM"], [1, "SIGHUP"]] as const) {
  it(`-threads=${threads}: every redirect is counted, and ${signal} loses none`, async () => {
    using dir = tempDir();
    const flags = ["-rpc", `-threads=${threads}`, `-file=${dir.path}/l.jsonl`, "-suffix"];
    {
      await using master = await start(...flags);
      await add(master.url, "https://example.com/", "docs");
      await visit(master.url, "docs", 500);
      await visit(master.url, "docs/more?x=1", 20);
      for (let n = 0; n < 30; n++) {
        const head = await fetch(`${master.url}/docs`, { method: "HEAD", redirect: "manual" });
        assertEquals(head.status, 302);
      }
      await counted(master, 520);
      await visit(master.url, "docs", 300);
      master.kill(signal);
      assertEquals((await master.status).code, 0);
    }
    await using master = await start(...flags);
    const { hits, previews, last, days } = await rpc(master.url, "Store.Traffic", "docs");
    assertEquals({ hits, previews }, { hits: 820, previews: 30 });
    assert(Math.abs(last - today()) <= 1);
    assertEquals(days.reduce((sum: number, [, count]: number[]) => sum + count, 0), 820);
  });
}

for (const threads of [1, 2]) {
  it(`-threads=${threads}: a link that takes the key of one before begins at 0, though it is the same second`, async () => {
    using dir = tempDir();
    const flags = ["-rpc", `-threads=${threads}`, `-file=${dir.path}/l.jsonl`];
    await using master = await start(...flags);
    await using replica = await start(`-master=${master.url}`, `-threads=${threads}`);
    const remove = async () => {
      const removed = await fetch(`${master.url}/api/links/docs`, { method: "DELETE" });
      assertEquals(removed.status, 204);
      await removed.body?.cancel();
    };
    for (let round = 0; round < 3; round++) {
      await add(master.url, "https://example.com/", "docs");
      await visit(master.url, "docs", 20);
      await visit(replica.url, "docs", 20);
      await remove();
    }
    await add(master.url, "https://example.com/", "docs");
    await visit(master.url, "docs", 5);
    await visit(replica.url, "docs", 3);
    await counted(master, 8);
    await add(master.url, "https://example.com/", "other");
    await visit(replica.url, "other", 2);
    await counted(master, 2, "other"); // all that the replica counted before has come
    await counted(master, 8);
    await replica.stop();
    await master.restart();
    await counted(master, 8);
  });
}

it("kill -9 loses what was counted in the last two seconds at most", async () => {
  using dir = tempDir();
  const flags = ["-rpc", `-file=${dir.path}/l.jsonl`];
  {
    await using master = await start(...flags);
    await add(master.url, "https://example.com/", "docs");
    await visit(master.url, "docs", 100);
    // It is in memory within a second, and one second later in the file.
    await within(
      10_000,
      "hits in the file",
      (async () => {
        for (;;) {
          const text = await Deno.readTextFile(`${dir.path}/l.jsonl.hits`).catch(() => "");
          const found = [...text.matchAll(/"Hits":\["docs",\d+,(\d+),0\]/g)];
          if (found.reduce((sum, [, count]) => sum + Number(count), 0) === 100) return;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })(),
    );
    await master.kill("SIGKILL");
  }
  await using master = await start(...flags);
  await counted(master, 100);
});

it("goes on while the disk is full, and saves all that it counted as soon as there is room", {
  ignore: !canMount,
}, async () => {
  using dir = tempDir();
  await using disk = await smallDisk(dir.path, "1m");
  await using master = await start({ through: disk.through }, "-rpc", "-file=l.jsonl");
  await add(master.url, "https://example.com/", "docs");
  await visit(master.url, "docs", 10);
  await counted(master, 10);
  // More than there is room for behind the end of a file.
  const keys = Array.from({ length: 100 }, (_, n) => `${"x".repeat(60)}${n}`);
  for (const key of keys) await add(master.url, "https://example.com/", key);
  await disk.run("sh", "-c", "cat /dev/zero > full");
  await visit(master.url, "docs", 10);
  const ofHits = (msg: string) => (line: LogEvent) =>
    line.msg === msg && line.file === "l.jsonl.hits";
  const hits = ["docs", ...keys].map((key) => [key, 3, 0]);
  const counts = JSON.stringify({ day: DAY, hits });
  assertMatch((await rpc(master.url, "Store.Hits", counts, "name-1")).message, /^cannot save: /);
  await master.waitForLog(ofHits("cannot write"));
  await visit(master.url, "docs", 10);
  await disk.run("rm", "full");
  await master.waitForLog(ofHits("writing again"));
  assertEquals(await rpc(master.url, "Store.Hits", counts, "name-1"), true);
  assertEquals(await rpc(master.url, "Store.Hits", counts, "name-1"), true);
  await master.kill("SIGKILL");
  await master.status;
  await master.begin();
  await counted(master, 33);
});

it("-hits=false counts nothing, and keeps no file", async () => {
  using dir = tempDir();
  await using master = await start("-rpc", "-hits=false", `-file=${dir.path}/l.jsonl`);
  await add(master.url, "https://example.com/", "docs");
  await visit(master.url, "docs", 10);
  assertEquals(await rpc(master.url, "Store.Traffic", "docs"), null);
  await master.stop();
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["l.jsonl"]);
});
