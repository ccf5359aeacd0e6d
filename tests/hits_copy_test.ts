import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HitsCopy } from "../hits/copy.ts";
import type { Counting } from "../hits/counting.ts";
import { parseCounts } from "../hits/counts.ts";
import { Hits } from "../hits/hits.ts";
import { parseLine } from "../hits/lines.ts";
import { HitsState } from "../hits/state.ts";
import { Tally } from "../hits/tally.ts";
import { takeUnsent, Unsent, unsentOf } from "../hits/unsent.ts";
import { Journal } from "../journal/journal.ts";
import { StoreError } from "../links/errors.ts";
import { Table } from "../links/table.ts";
import { SentHits } from "../replica/hits.ts";
import { Mirror } from "../replica/mirror.ts";
import { URLStore } from "../store.ts";
import { eventually, tempDir } from "./processes.ts";
import { tool } from "./tools.ts";

const DAY = 20782;
const KEYS = ["w", "x", "y"];

function table(): Table {
  const table = new Table();
  for (const key of KEYS) table.set({ key, url: `https://example.com/${key}` });
  return table;
}

/** What a server keeps at `path`, and what it told of that. */
async function owner(path: string, links = table()) {
  const told: string[] = [];
  const hits = new Hits(path, links, (_level, msg) => told.push(msg));
  await hits.load();
  return Object.assign(hits, { told, [Symbol.asyncDispose]: () => hits.close() });
}

async function copyAt(path: string, links = table()) {
  const told: string[] = [];
  const copy = new HitsCopy(path, links, (_level, msg) => told.push(msg));
  await copy.load();
  return Object.assign(copy, { told, [Symbol.asyncDispose]: () => copy.close() });
}

let sent = 0;
/** Has hits counted, and written. */
const take = (hits: Counting, key: string, count: number) =>
  hits.take({ day: DAY, hits: [[key, count, 0]], id: `test-${(sent++).toString(36)}` });

const all = (of: { traffic(key: string): Promise<{ hits: number }> }) =>
  Promise.all(KEYS.map(async (key) => (await of.traffic(key)).hits));

describe("HitsCopy", () => {
  it("is made anew where another server went on from a shorter one", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a.hits`, `${dir.path}/b.hits`];
    {
      await using first = await owner(a);
      await take(first, "w", 5);
      await using copy = await copyAt(b);
      await copy.copy(first);
      await take(first, "x", 1); // which the copy doesn't get
    }
    {
      await using second = await owner(b); // which was promoted
      for (let n = 0; n < 20; n++) await take(second, "y", 1);
      await using back = await copyAt(a);
      await back.copy(second);
      assertEquals(await all(back), [5, 0, 20]);
      await take(second, "w", 1);
      await back.copy(second);
      assertEquals(await all(back), await all(second));
    }
    assertEquals(await Deno.readTextFile(a), await Deno.readTextFile(b));
    await using again = await owner(a);
    assertEquals(await all(again), [6, 0, 20]);
  });

  it("goes on where its server was started again", async () => {
    using dir = tempDir();
    const reads: number[] = [];
    const from = (hits: Hits) => ({
      read: (file: string, offset: number) => {
        reads.push(offset);
        return hits.read(file, offset);
      },
    });
    await using copy = await copyAt(`${dir.path}/copy.hits`);
    for (let run = 1; run <= 3; run++) {
      await using hits = await owner(`${dir.path}/a.hits`);
      await take(hits, "w", 1);
      await copy.copy(from(hits));
      assertEquals(await all(copy), [run, 0, 0]);
    }
    assertEquals(reads.filter((offset) => offset === 0).length, 1);
  });

  it("leaves out what is no UTF-8, of which the owner makes its file anew", async () => {
    using dir = tempDir();
    const path = `${dir.path}/a.hits`;
    const line = '{"Day":20782,"Rows":[1],"Keys":["w"],"Hits":[1,5]}\n';
    const text = new TextEncoder().encode(`{"File":"abcdefghij"}\n${line}`);
    await Deno.writeFile(path, Uint8Array.of(...text, 0xff, 0x0a));
    await using hits = await owner(path);
    assertEquals(hits.told, ["left out damaged hits"]);
    await using copy = await copyAt(`${dir.path}/b.hits`);
    await copy.copy(hits);
    assertEquals(await all(copy), [5, 0, 0]);
    assertEquals(await Deno.readTextFile(`${dir.path}/b.hits`), await Deno.readTextFile(path));
  });

  it("is made anew where it is damaged", async () => {
    using dir = tempDir();
    const [path, own] = [`${dir.path}/a.hits`, `${dir.path}/b.hits`];
    await using hits = await owner(path);
    for (const key of KEYS) await take(hits, key, 2);
    await Deno.copyFile(path, own);
    const text = await Deno.readTextFile(own);
    await Deno.writeTextFile(own, text.replace('"Keys":["x"]', '"Keys":["x",'));
    await using copy = await copyAt(own);
    assertEquals(copy.told, ["left out damaged hits"]);
    await copy.copy(hits);
    assertEquals(await all(copy), [2, 2, 2]);
    assertEquals(await Deno.readTextFile(own), await Deno.readTextFile(path));
  });

  it("asks no more than twice for a file that is another one each time", async () => {
    using dir = tempDir();
    let asked = 0;
    await using copy = await copyAt(`${dir.path}/b.hits`);
    const from = {
      read: () => {
        asked++;
        return Promise.resolve({ file: `${asked}`, offset: 0, lines: `{"File":"${asked}"}\n` });
      },
    };
    await assertRejects(() => copy.copy(from), Error, "another file each time");
    assertEquals(asked, 2);
  });

  it("stays where the owner has no file", async () => {
    using dir = tempDir();
    const path = `${dir.path}/copy.hits`;
    const text = '{"File":"abcdefghij"}\n{"Day":20782,"Rows":[1],"Keys":["w"],"Hits":[1,5]}\n';
    await Deno.writeTextFile(path, text);
    await using hits = await owner(`${dir.path}/none.hits`);
    await using copy = await copyAt(path);
    await copy.copy(hits);
    assertEquals(await all(copy), [5, 0, 0]);
    assertEquals(await Deno.readTextFile(path), text);
  });

  it("that can't be read keeps nobody from listing links", async () => {
    using dir = tempDir();
    await Deno.mkdir(`${dir.path}/copy.hits`);
    const links = table();
    await using copy = await copyAt(`${dir.path}/copy.hits`, links);
    assertEquals(copy.told, ["cannot load hits"]);
    assertEquals((await links.list()).links.length, KEYS.length);
    assertEquals(await all(copy), [0, 0, 0]);
  });

  it("lies beside the journal itself, also where that is named by a link", async () => {
    using dir = tempDir();
    await Deno.mkdir(`${dir.path}/data`);
    await Deno.writeTextFile(
      `${dir.path}/data/real.jsonl`,
      '{"Key":"w","URL":"https://example.com/"}\n',
    );
    assert((await tool("ln", "-s", "data/real.jsonl", `${dir.path}/links.jsonl`)).success);
    await using hits = await owner(`${dir.path}/a.hits`);
    await take(hits, "w", 5);
    const mirror = new Mirror(`${dir.path}/links.jsonl`);
    await mirror.load();
    await mirror.hits?.copy(hits);
    await mirror.close();
    const promoted = new URLStore(await Journal.open(`${dir.path}/links.jsonl`));
    await promoted.load();
    assertEquals((await promoted.traffic("w"))?.hits, 5);
    await promoted.close();
  });
});

describe("Hits", () => {
  it("goes on with a file that can't be made anew", async () => {
    using dir = tempDir();
    const path = `${dir.path}/a.hits`;
    const line = '{"Day":20782,"Rows":[1],"Keys":["w"],"Hits":[1,1]}\n';
    const times = 1 + Math.ceil((17 << 20) / line.length);
    await Deno.writeTextFile(path, `{"File":"abcdefghij"}\n${line.repeat(times)}`);
    await Deno.mkdir(`${path}.tmp/in the way`, { recursive: true });
    {
      await using hits = await owner(path);
      for (let n = 0; n < 3; n++) await take(hits, "w", 1);
      assertEquals(hits.told, []);
    }
    await Deno.remove(`${path}.tmp`, { recursive: true });
    await using hits = await owner(path);
    assertEquals(await all(hits), [times + 3, 0, 0]);
    await take(hits, "w", 1);
    assert((await Deno.stat(path)).size < 1000);
  });

  it("takes nothing where its file can't be read", async () => {
    using dir = tempDir();
    const file = `${dir.path}/a`;
    await Deno.mkdir(`${file}.hits`);
    const text = '{"day":20782,"hits":[["w",7,0]],"id":"q-1"}\n';
    await Deno.writeTextFile(unsentOf(file), text);
    await using hits = await owner(`${file}.hits`);
    await assertRejects(() => take(hits, "w", 1), StoreError, "hits can't be read");
    const told: string[] = [];
    await takeUnsent(file, hits, (_level, msg) => told.push(msg));
    assertEquals(told, ["cannot take over hits"]);
    assertEquals(await Deno.readTextFile(unsentOf(file)), text);
  });

  it("takes over what a mirror could not send once, though it comes in parts", async () => {
    using dir = tempDir();
    const file = `${dir.path}/a`;
    await new Unsent(unsentOf(file)).save([
      { day: DAY, hits: [["w", 7, 0]] },
      { day: DAY, hits: [["x", 7, 0]], id: "q-1" },
    ]);
    await using hits = await owner(`${file}.hits`);
    let taken = 0;
    const part = {
      take: (...args: Parameters<Hits["take"]>) =>
        taken++ === 1 ? Promise.reject(new StoreError("full", "cannot save")) : hits.take(...args),
    };
    for (let start = 0; start < 2; start++) {
      await takeUnsent(file, Object.assign(Object.create(hits), part), () => {});
    }
    assertEquals(await all(hits), [7, 7, 0]);
    await assertRejects(() => Deno.stat(unsentOf(file)), Deno.errors.NotFound);
  });
});

it("SentHits leaves what it can't read where it is", async () => {
  using dir = tempDir();
  const path = `${dir.path}/m.hits.unsent`;
  await Deno.mkdir(path);
  const told: string[] = [];
  const answer = { result: true, position: { from: 0, to: 0 } };
  const client = { down: false, call: () => Promise.resolve(answer) };
  const sender = new SentHits(client, { path, events: (_level, msg) => told.push(msg) });
  await sender.load();
  sender.add({ day: DAY, hits: [["w", 1, 0]] });
  await sender.close();
  assertEquals(told, ["cannot load hits"]);
  assert((await Deno.stat(path)).isDirectory);
});

it("counts beyond reason are refused, and what adds up to that can be read again", async () => {
  assertThrows(
    () => parseCounts(`{"day":20782,"hits":[["w",${2 ** 53 - 1},0]]}`),
    StoreError,
    "invalid counts",
  );
  const state = new HitsState(table());
  for (let n = 0; n < 2; n++) {
    state.addUp(state.lineOf({ day: DAY, hits: [["w", 2 ** 53 - 1, 0], ["x", 1, 0]] }));
  }
  for await (const lines of state.lines()) {
    for (const text of lines.split("\n")) assert(text === "" || parseLine(text), text);
  }
});

it("Tally looks at who asks for a thousand redirects of a second, whatever they are for", async () => {
  let looked = 0;
  class Watched extends Request {
    override get headers() {
      looked++;
      return super.headers;
    }
  }
  let counted = 0;
  const tally = new Tally(({ hits }) => {
    for (const [, count] of hits) counted += count;
  });
  const req = new Watched("http://localhost/");
  let n = 0;
  const start = performance.now();
  for (; n < 20_000; n++) tally.count(req, `k${n}`);
  const seconds = Math.ceil((performance.now() - start) / 1000);
  tally.close();
  await eventually(() => assertEquals(counted, n));
  assert(looked <= 1000 * (1 + seconds), `looked at ${looked} of ${n}`);
});
