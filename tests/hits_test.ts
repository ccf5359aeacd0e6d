import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Counts, today } from "../hits/counts.ts";
import { Hits } from "../hits/hits.ts";
import { formatLine, type Line, parseLine } from "../hits/lines.ts";
import { isPreview } from "../hits/previews.ts";
import { Senders } from "../hits/senders.ts";
import { Sums } from "../hits/sums.ts";
import { Tally } from "../hits/tally.ts";
import { DAYS } from "../hits/traffic.ts";
import { Waiting } from "../hits/waiting.ts";
import { Table } from "../links/table.ts";
import { add, start, tempDir, within } from "./processes.ts";
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
      tally.count(req, `k${n}`, n % 2 === 0 ? 0 : n);
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

it("Waiting gathers lines as they are otherwise made", () => {
  const { seed, pick } = random();
  const waiting = new Waiting();
  const edges = [0, 1, 9, 10, 99, 100, 2 ** 31, 2 ** 32 - 1];
  for (let round = 0; round < 20; round++) {
    const lines = Array.from({ length: pick(50) }, (): Line => {
      const numbers = Array.from(
        { length: 2 * pick(200) },
        () => edges[pick(edges.length)] + (pick(2) ? pick(1000) : 0),
      );
      if (pick(2)) return { day: DAY, hits: Uint32Array.from(numbers) };
      const keys = ["docs", "\u00e9\n", "\u{1f517}".repeat(pick(3000))];
      return { day: DAY, rows: [1, 2, 3], keys, hits: [...numbers, 2 ** 53 - 1], id: `a-${round}` };
    });
    for (const line of lines) waiting.add(line);
    const texts = new TextDecoder().decode(waiting.take()).split("\n");
    assertEquals(texts.pop(), "");
    assertEquals(
      texts.map(parseLine),
      lines.map((line) => parseLine(formatLine(line).trimEnd())),
      `seed ${seed}`,
    );
  }
});

describe("Hits", () => {
  it("keeps what was counted, and goes on with it", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    for (let round = 1; round <= 3; round++) {
      const hits = new Hits(path, tableOf(10));
      await hits.load();
      hits.add({ day: DAY + round, hits: [["k1", 2, 1], ["k2", 1, 0], ["unknown", 5, 5]] });
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
    const first = new Hits(path, tableOf(10));
    await first.load();
    await Promise.all([first.take(counts(1)), first.take(counts(1)), first.take(counts(2))]);
    await first.take(counts(2));
    assertEquals(await sum(first), 2);
    // It isn't closed: what was told is written.
    const second = new Hits(path, tableOf(10));
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
    const hits = new Hits(path, tableOf(10));
    await hits.load();
    hits.add({ day: DAY, hits: [["k1", 7, 7], ["k2", 1, 0]] });
    hits.forget("k1");
    hits.add({ day: DAY, hits: [["k1", 1, 0]] });
    await hits.close();
    const again = new Hits(path, tableOf(10));
    await again.load();
    assertEquals((await again.traffic("k1")).hits, 1);
    assertEquals((await again.traffic("k1")).previews, 0);
    assertEquals((await again.traffic("k2")).hits, 1);
    await again.close();
  });

  it("loads a file with a torn end, and with damaged lines, but for those", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const hits = new Hits(path, tableOf(10));
    await hits.load();
    for (const key of ["k1", "k2", "k3"]) await hits.take({ day: DAY, hits: [[key, 1, 0]] });
    await hits.close();
    const [name, one, two, three] = (await Deno.readTextFile(path)).split("\n");
    await Deno.writeTextFile(path, `${name}\n${one}\n${two.slice(5)}\n\n${three}\n{"Day":207`);
    const told: string[] = [];
    const events = (_level: string, message: string) => void told.push(message);
    const again = new Hits(path, tableOf(10), events);
    await again.load();
    const sums = ["k1", "k2", "k3"].map(async (key) => (await again.traffic(key)).hits);
    assertEquals(await Promise.all(sums), [1, 0, 1]);
    assertEquals(told, ["left out damaged hits"]);
    await again.take({ day: DAY, hits: [["k2", 1, 0]] });
    await again.close();
    assertMatch(
      await Deno.readTextFile(path),
      /\n\{"Day":20782,"Rows":\[4\],"Keys":\["k2"\],"Hits":\[4,1\]\}\n$/,
    );
  });

  it("writes its file anew when that has grown, and nothing is lost meanwhile", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links.hits`;
    const LINKS = 3000;
    const hits = new Hits(path, tableOf(LINKS));
    await hits.load();
    const sums = new Array<number>(LINKS).fill(0);
    let [name, anew] = ["", 0];
    for (let round = 0; anew < 2 && round < 1000; round++) {
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
      const { file } = (await hits.read("", 0))!;
      if (file !== name) anew++;
      name = file;
    }
    assertEquals(anew, 2, "it was not written anew");
    await hits.close();
    const again = new Hits(path, tableOf(LINKS));
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
          if (/"Hits":\[1,100\]/.test(text)) return;
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
  await disk.run("sh", "-c", "cat /dev/zero > full");
  await visit(master.url, "docs", 10);
  await master.waitForLog(({ msg }) => msg === "cannot save hits");
  const counts = JSON.stringify({ day: DAY, hits: [["docs", 3, 0]] });
  assertMatch((await rpc(master.url, "Store.Hits", counts, "name-1")).message, /^cannot save: /);
  await visit(master.url, "docs", 10);
  await disk.run("rm", "full");
  await master.waitForLog(({ msg }) => msg === "hits are saved again");
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
