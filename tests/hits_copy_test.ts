import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseCounts } from "../hits/counts.ts";
import { hitsOf, loadHits } from "../hits/file.ts";
import type { Hits, OpenHits } from "../hits/hits.ts";
import { Tally } from "../hits/tally.ts";
import { takeUnsent, Unsent, unsentOf } from "../hits/unsent.ts";
import { JournalError } from "../journal/file.ts";
import { Journal } from "../journal/journal.ts";
import type { Log } from "../journal/log.ts";
import { StoreError } from "../links/errors.ts";
import { Table } from "../links/table.ts";
import { FeedConnection } from "../replica/follower.ts";
import { Masters } from "../replica/masters.ts";
import { Mirror } from "../replica/mirror.ts";
import { SentHits } from "../replica/hits.ts";
import type { Transport } from "../replica/transport.ts";
import { serveRPC } from "../rpc.ts";
import { URLStore } from "../store.ts";
import { hitsAt, hitsOn } from "./counting.ts";
import { add, eventually, follow, start, tempDir } from "./processes.ts";
import { ready } from "./replicas.ts";
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
  const hits = hitsAt(path, links, { events: (_level, msg) => told.push(msg) });
  await hits.load();
  return Object.assign(hits, { told, [Symbol.asyncDispose]: () => hits.close() });
}

let sent = 0;
/** Has hits counted, and written. */
const take = (hits: Pick<Hits, "take">, key: string, count: number) =>
  hits.take({ day: DAY, hits: [[key, count, 0]], id: `test-${(sent++).toString(36)}` });

const all = (of: { traffic(key: string): Promise<{ hits: number } | undefined> }) =>
  Promise.all(KEYS.map(async (key) => (await of.traffic(key))?.hits));

/** A master at `path`, with links for all keys. */
async function master(path: string) {
  let log: Log | undefined;
  const journal = await Journal.open(path);
  const hits: OpenHits = async (state) => log = await loadHits(hitsOf(journal.path), state);
  const store = new URLStore(journal, { hits });
  await store.load();
  for (const key of KEYS) {
    if (!store.urls.get(key)) await store.put(`https://example.com/${key}`, key);
  }
  const compactHits = () => log!.compact();
  return Object.assign(store, { compactHits, [Symbol.asyncDispose]: () => store.close() });
}

/** The way to a store that is in this process. */
function wayTo(store: URLStore, feeds: string[], hold: () => Promise<void> | undefined): Transport {
  const call = serveRPC(store);
  return {
    address: "here",
    async call(text) {
      const { text: answer = "", position } = await call(text, undefined, true);
      return { text: answer, position };
    },
    async feed(offset, check, signal, log) {
      const stream = await store.feed(offset, check, log, signal);
      feeds.push(`${log} ${offset}: ${stream.offset}`);
      if (log === "hits") return stream;
      const gate = new TransformStream({
        async transform(bytes, to) {
          await hold();
          to.enqueue(bytes);
        },
      });
      return { ...stream, body: stream.body.pipeThrough(gate) };
    },
  };
}

/** A mirror at `path`, which follows a master until it has all of it. */
async function mirrorAt(path: string) {
  const told: string[] = [];
  const mirror = new Mirror(path, { events: (_level, msg) => told.push(msg) });
  await mirror.load();
  const follow = async (
    store: URLStore,
    feeds: string[] = [],
    hold: () => Promise<void> | undefined = () => undefined,
  ) => {
    const masters = new Masters([wayTo(store, feeds, hold)]);
    const closed = new AbortController();
    const connect = () => new FeedConnection(masters, closed.signal, () => {});
    const [links, hits] = [connect(), connect()];
    const ends = [mirror.follow(links).catch(() => {}).finally(() => mirror.lost())];
    await eventually(() => assert(mirror.live));
    ends.push(mirror.hits.follow(hits).catch((error) => void told.push(`${error}`)));
    const copied = async () => {
      const [ours, theirs] = await Promise.all(
        [path, store.log.name].map((path) => Deno.readTextFile(`${path}.hits`).catch(() => "")),
      );
      assertEquals(ours, theirs);
    };
    return {
      copied: () => eventually(copied),
      async [Symbol.asyncDispose]() {
        closed.abort();
        masters.close();
        await Promise.all(ends);
        links.end();
        hits.end();
      },
    };
  };
  const close = () => mirror.close();
  return Object.assign(mirror, { said: told, followed: follow, [Symbol.asyncDispose]: close });
}

describe("Mirror", () => {
  it("copies hits anew where another server went on from a shorter log", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a`, `${dir.path}/b`];
    {
      await using first = await master(a);
      await take(first.hits!, "w", 5);
      await using mirror = await mirrorAt(b);
      {
        await using following = await mirror.followed(first);
        await following.copied();
      }
      await take(first.hits!, "x", 1); // which the mirror doesn't get
    }
    await using second = await master(b);
    await second.log.promote();
    for (let n = 0; n < 20; n++) await take(second.hits!, "y", 1);
    {
      await using back = await mirrorAt(a);
      await using following = await back.followed(second);
      await following.copied();
      await eventually(async () => assertEquals(await all(back.hits), [5, 0, 20]));
      await take(second.hits!, "w", 1);
      await following.copied();
      await eventually(async () => assertEquals(await all(back.hits), await all(second)));
    }
    await using again = await master(a);
    assertEquals(await all(again), [6, 0, 20]);
  });

  it("goes on with hits where its master was started again, or was compacted", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a`, `${dir.path}/b`];
    const feeds: string[] = [];
    for (let run = 1; run <= 4; run++) {
      await using store = await master(a);
      for (let n = 0; n < 20; n++) await take(store.hits!, "w", 1);
      await using mirror = await mirrorAt(b);
      await using following = await mirror.followed(store, feeds);
      if (run < 3) await following.copied();
      await eventually(async () => assertEquals(await all(mirror.hits), [20 * run, 0, 0]));
      if (run === 2) assert(await store.compactHits());
    }
    const hits = feeds.filter((feed) => feed.startsWith("hits"));
    assertEquals(hits.filter((feed) => feed.endsWith(": 0")).length, 1, hits.join());
  });

  it("copies hits anew where its copy is damaged, or changed, and lists links meanwhile", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a`, `${dir.path}/b`];
    const damages = [
      (text: string) => text.replace('"x",', '"x,"'),
      (text: string) => text.replace('"x"', '"y"'),
      () => "damaged\n",
      () => '{"File":"abcdefghij"}\n{"Day":20782,"Rows":[1],"Keys":["w"],"Hits":[1,5]}\n',
    ];
    await using store = await master(a);
    for (const key of KEYS) await take(store.hits!, key, 2);
    {
      await using mirror = await mirrorAt(b);
      await using following = await mirror.followed(store);
      await following.copied();
    }
    for (const damage of damages) {
      await Deno.writeTextFile(`${b}.hits`, damage(await Deno.readTextFile(`${b}.hits`)));
      await using mirror = await mirrorAt(b);
      assertEquals((await mirror.list()).links.length, KEYS.length);
      await using following = await mirror.followed(store);
      await following.copied();
      await eventually(async () => assertEquals(await all(mirror.hits), [2, 2, 2]));
    }
  });

  it("keeps its hits where the master has none, and copies them as soon as it has", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a`, `${dir.path}/b`];
    {
      await using store = await master(a);
      await take(store.hits!, "w", 5);
      await using mirror = await mirrorAt(b);
      await using following = await mirror.followed(store);
      await following.copied();
    }
    await Deno.remove(`${a}.hits`);
    await using store = await master(a);
    await using mirror = await mirrorAt(b);
    {
      await using _following = await mirror.followed(store);
      await eventually(() => assertEquals(mirror.said, ["Error: nothing is counted"]));
      assertEquals(await all(mirror.hits), [5, 0, 0]);
    }
    await take(store.hits!, "x", 1);
    await using following = await mirror.followed(store);
    await following.copied();
    await eventually(async () => assertEquals(await all(mirror.hits), [0, 1, 0]));
  });

  it("whose hits can't be read keeps nobody from listing links", async () => {
    using dir = tempDir();
    const [a, b] = [`${dir.path}/a`, `${dir.path}/b`];
    await using store = await master(a);
    await Deno.mkdir(`${b}.hits`);
    await using mirror = await mirrorAt(b);
    await using _following = await mirror.followed(store);
    assertEquals((await mirror.list()).links.length, KEYS.length);
    await eventually(() => assert(mirror.said.includes("cannot load hits")));
    await assertRejects(() => all(mirror.hits), StoreError, "hits can't be read");
    assertEquals((await mirror.list()).links[0].hits, undefined); // it is not known to be 0
    assert(mirror.whole);
  });

  it("keeps hits beside the journal itself, also where that is named by a link", async () => {
    using dir = tempDir();
    await Deno.mkdir(`${dir.path}/data`);
    await using store = await master(`${dir.path}/a`);
    await take(store.hits!, "w", 5);
    await Deno.copyFile(`${dir.path}/a`, `${dir.path}/data/real`);
    assert((await tool("ln", "-s", "data/real", `${dir.path}/links`)).success);
    {
      await using mirror = await mirrorAt(`${dir.path}/links`);
      await using _following = await mirror.followed(store);
      await eventually(async () => assertEquals(await all(mirror.hits), [5, 0, 0]));
    }
    await using promoted = await master(`${dir.path}/links`);
    assertEquals((await promoted.traffic("w"))?.hits, 5);
  });

  it("takes hits in once it has the links that were followed, and none of those before", async () => {
    using dir = tempDir();
    await using store = await master(`${dir.path}/a`);
    await take(store.hits!, "w", 5);
    await using mirror = await mirrorAt(`${dir.path}/b`);
    const gate = Promise.withResolvers<void>();
    let isShut = false;
    const hold = () => isShut ? gate.promise : undefined;
    await using following = await mirror.followed(store, [], hold);
    await eventually(async () => assertEquals(await all(mirror.hits), [5, 0, 0]));
    isShut = true; // from now on nothing of the links comes
    const { created } = await store.link("w");
    await store.delete("w");
    await store.put("https://example.com/new", "w");
    await take(store.hits!, "w", 3);
    await store.hits!.take({ day: DAY, hits: [["w", 9, 0, created]], id: "late-1" });
    await following.copied();
    assertEquals(await all(mirror.hits), [5, 0, 0]);
    gate.resolve();
    await eventually(async () => assertEquals(await all(mirror.hits), [3, 0, 0]));
  });
});

describe("Hits", () => {
  it("goes on with a log that can't be compacted", async () => {
    using dir = tempDir();
    const path = `${dir.path}/a.hits`;
    let log: Log;
    const hits = hitsOn(path, table(), (opened) => log = opened);
    await hits.load();
    for (let n = 0; n < 20; n++) await take(hits, "w", 1);
    await Deno.mkdir(`${path}.tmp/in the way`, { recursive: true });
    await assertRejects(() => log.compact(), JournalError);
    await take(hits, "w", 1);
    await Deno.remove(`${path}.tmp`, { recursive: true });
    const { size } = await Deno.stat(path);
    assert(await log!.compact());
    await take(hits, "w", 1);
    assert((await Deno.stat(path)).size < size);
    await hits.close();
    await using again = await owner(path);
    assertEquals(await all(again), [22, 0, 0]);
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

it("says how much of what a mirror could not send is damaged, and sends the rest", async () => {
  using dir = tempDir();
  const path = unsentOf(`${dir.path}/a`);
  const good = { day: DAY, hits: [["w", 7, 0] as [string, number, number]] };
  await Deno.writeTextFile(
    path,
    `${JSON.stringify(good)}\n{"day":${DAY},"hits":[["w",-1,0]]}\n{"day`,
  );
  const told: unknown[] = [];
  const left = await new Unsent(path, (...event) => told.push(event)).load();
  assertEquals(left, [good]);
  assertEquals(told, [["warn", "left out damaged hits", { file: path, lines: 2 }]]);
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
  using dir = tempDir();
  const path = `${dir.path}/a.hits`;
  const links = table();
  let log: Log;
  const hits = hitsOn(path, links, (opened) => log = opened);
  await hits.load();
  for (let n = 0; n < 20; n++) {
    await hits.take({ day: DAY, hits: [["w", 2 ** 53 - 1, 0], ["x", 1, 0]] });
  }
  assert(await log!.compact());
  await hits.close();
  await using again = await owner(path);
  assertEquals(await all(again), [2 ** 53 - 1, 20, 0]);
  assertEquals(again.told, []);
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

it("a mirror has the first hits that its master ever counted, if that is stopped right after them", async () => {
  await using master = await start("-rpc");
  const key = await add(master.url, "https://example.com/");
  await using mirror = await start(`-master=${master.url}`, "-file=mirror.jsonl");
  await eventually(async () => assertEquals((await ready(mirror.url)).complete, true));
  await new Promise((resolve) => setTimeout(resolve, 4000)); // what is not there is looked for less and less often
  await follow(master.url, key);
  await master.stop();
  await eventually(async () => {
    const answer = await fetch(`${mirror.url}/api/links/${key}/hits`);
    assertEquals((await answer.json()).hits, 1);
  }, 2000);
});
