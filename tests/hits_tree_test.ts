import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { parseCounts } from "../hits/counts.ts";
import type { Client } from "../jsonrpc/client.ts";
import { StoreError } from "../links/errors.ts";
import { Table } from "../links/table.ts";
import { SentHits } from "../replica/hits.ts";
import { hitsAt } from "./counting.ts";
import { add, breathe, eventually, follow, start, tempDir, within } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { agree, keep, ready } from "./replicas.ts";
import { copied, counted, hitsOf, visit } from "./traffic.ts";

const LONG = 20_000; // ms

it("what is followed anywhere in a tree is counted once, and shown everywhere", async () => {
  using dir = tempDir();
  const file = `-file=${dir.path}/m.jsonl`;
  await using master = await start("-rpc", "-threads=2");
  await add(master.url, "https://example.com/", "docs");
  await using cache = await start(`-master=${master.url}`, "-rpc", "-threads=2");
  await using mirror = await start(`-master=${master.url}`, "-rpc", "-threads=2", file);
  await using below = await start(`-master=${mirror.url}`, "-rpc");
  await using leaf = await start(`-master=${cache.url}`, "-rpc");
  const servers = [master, cache, mirror, below, leaf];
  await agree(servers, "docs", "https://example.com/"); // which counts, too
  const before = await eventually(async () => {
    const hits = await hitsOf(master);
    assert(hits >= servers.length);
    return hits;
  }, LONG);
  let sent = 0;
  await Promise.all(servers.map(async ({ url }, i) => {
    sent += 100 + i;
    await visit(url, "docs", 100 + i);
  }));
  await counted(master, before + sent);
  for (const server of servers) await counted(server, before + sent);
  // A clean end sends what is left.
  await visit(leaf.url, "docs", 50);
  await leaf.stop();
  await visit(below.url, "docs", 50);
  await below.stop();
  await counted(master, before + sent + 100);
});

it("what was sent counts once, though the answer was lost, and before the rest", async () => {
  using dir = tempDir();
  const table = new Table();
  table.set({ key: "docs", url: "https://example.com/" });
  const owner = hitsAt(`${dir.path}/links.hits`, table);
  await owner.load();
  const marks: string[] = [];
  const client: Client = {
    down: false,
    async call(_method, [counts = "", id = ""]) {
      marks.push(id);
      await owner.take({ ...parseCounts(counts), id });
      // Every other answer doesn't come back.
      if (marks.length % 2 === 1) throw new StoreError("unavailable", "lost");
      return { result: true, position: { from: 0, to: 0 } };
    },
  };
  const sender = new SentHits(client);
  for (let n = 1; n <= 3; n++) {
    sender.add({ day: 20782, hits: [["docs", n, 0]] });
    await eventually(() => assertEquals(marks.length, 2 * n));
  }
  assertEquals((await owner.traffic("docs")).hits, 6);
  assertEquals(new Set(marks).size, 3);
  await sender.close();
  await owner.close();
});

it("what can't be sent is kept, and sent later", async () => {
  await using master = await start("-rpc");
  await add(master.url, "https://example.com/", "docs");
  await using link = new Proxy(master.url);
  await using replica = await start(`-master=${link.url}`, "-rpc");
  await keep(replica, "docs");
  await visit(replica.url, "docs", 20);
  const before = await eventually(async () => {
    const hits = await hitsOf(master);
    assert(hits >= 20);
    return hits;
  }, LONG);
  for (let round = 1; round <= 3; round++) {
    link.refuses = true;
    link.cut();
    await visit(replica.url, "docs", 30);
    await replica.waitForLog(({ msg }) => msg === "lost the master");
    link.refuses = false;
    await visit(replica.url, "docs", 10);
    await counted(master, before + 40 * round);
  }
});

it("a replica that ends while its master is being restarted waits for it, for three seconds at most", async () => {
  await using master = await start("-rpc");
  await add(master.url, "https://example.com/", "docs");
  await using link = new Proxy(master.url);
  await using replica = await start(`-master=${link.url}`);
  await keep(replica, "docs");
  const end = async () => {
    const before = await hitsOf(master);
    link.refuses = true;
    link.cut();
    await visit(replica.url, "docs", 30);
    await replica.waitForLog(({ msg }) => msg === "lost the master");
    replica.kill("SIGTERM");
    await replica.waitForLog(({ msg }) => msg === "shutting down");
    return before;
  };
  const before = await end();
  link.refuses = false;
  assertEquals((await replica.status).code, 0);
  assert(await hitsOf(master) >= before + 30);
  assert(!replica.logs.some(({ msg }) => msg.startsWith("hits are lost")));

  await replica.begin();
  await keep(replica, "docs");
  const after = await end();
  const { code } = await within(10_000, "the replica's end", replica.status);
  assertEquals(code, 0);
  const lost = replica.logs.find(({ msg }) => msg.startsWith("hits are lost"));
  assertEquals(lost?.msg, "hits are lost: the master is out of reach");
  assert(await hitsOf(master) < after + 30);
});

it("a mirror keeps what it could not send when it ends, and sends it when it is back", async () => {
  using dir = tempDir();
  const file = `${dir.path}/m.jsonl`;
  await using master = await start("-rpc");
  await add(master.url, "https://example.com/", "docs");
  await using link = new Proxy(master.url);
  await using mirror = await start(`-master=${link.url}`, "-rpc", `-file=${file}`);
  await eventually(async () => assertEquals((await ready(mirror.url)).complete, true));
  link.refuses = true;
  link.cut();
  await visit(mirror.url, "docs", 30);
  await mirror.stop();
  await mirror.begin();
  await visit(mirror.url, "docs", 5);
  // Killed, it has what it counted two seconds before, and the master is still away.
  await eventually(async () => {
    const text = await Deno.readTextFile(`${file}.hits.unsent`);
    const hits = text.split("\n").filter(Boolean).map((line) => JSON.parse(line).hits[0][1]);
    assertEquals(hits.reduce((sum, count) => sum + count), 35);
  }, LONG);
  mirror.kill("SIGKILL");
  await mirror.status;
  link.refuses = false;
  await mirror.begin();
  await counted(master, 35);
  await eventually(() => {
    const files = Array.from(Deno.readDirSync(dir.path), ({ name }) => name);
    assert(!files.includes("m.jsonl.hits.unsent"), files.join());
  }, LONG);
});

it("a mirror that takes the master's place goes on counting", async () => {
  using dir = tempDir();
  using home = tempDir();
  const file = `${dir.path}/m.jsonl`;
  await using master = await start({ cwd: home.path }, "-rpc");
  await add(master.url, "https://example.com/", "docs");
  await add(master.url, "https://example.com/2", "more");
  await using mirror = await start(`-master=${master.url}`, "-rpc", `-file=${file}`);
  await eventually(async () => assertEquals((await ready(mirror.url)).complete, true));
  await visit(master.url, "docs", 40);
  await visit(mirror.url, "docs", 2);
  await visit(master.url, "more", 7);
  await counted(master, 42);
  // The copy has come as far.
  await copied(file, `${home.path}/store.jsonl`);
  master.kill("SIGKILL");
  await master.status;
  await mirror.waitForLog(({ msg }) => msg === "lost the master", LONG);
  assertEquals([await hitsOf(mirror), await hitsOf(mirror, "more")], [42, 7]); // what it has
  await visit(mirror.url, "docs", 8); // which nobody can take
  await mirror.stop();
  await using promoted = await start("-rpc", "-promote", `-file=${file}`);
  await counted(promoted, 50);
  await visit(promoted.url, "docs", 1);
  await counted(promoted, 51);
});

it("after a clean stop of the master under load, the mirror that takes its place has every hit", async () => {
  using dir = tempDir();
  using home = tempDir();
  const file = `${dir.path}/m.jsonl`;
  await using master = await start({ cwd: home.path }, "-rpc", "-threads=2");
  await add(master.url, "https://example.com/", "docs");
  await using mirror = await start(`-master=${master.url}`, "-rpc", `-file=${file}`);
  await eventually(async () => assertEquals((await ready(mirror.url)).complete, true));
  await visit(master.url, "docs", 20);
  await counted(master, 20);
  let followed = 20;
  let stop = false;
  /** Follows the link until nobody answers, or it is enough. */
  const load = async ({ url }: { url: string }) => {
    while (!stop) {
      const answer = await follow(url, "docs").catch(() => undefined);
      if (answer?.status !== 302) return;
      followed++;
      if (followed % 10 === 0) await breathe();
    }
  };
  const load1 = Promise.all(Array.from({ length: 8 }, () => load(master)));
  const load2 = Promise.all(Array.from({ length: 4 }, () => load(mirror)));
  await eventually(() => followed > 1000, LONG);
  assertEquals((await master.stop()).code, 0);
  await load1;
  const before = followed;
  await eventually(() => followed > before + 100, LONG); // which the mirror keeps
  stop = true;
  await load2;
  assertEquals((await mirror.stop()).code, 0);
  await using promoted = await start("-rpc", "-promote", `-file=${file}`);
  await counted(promoted, followed);
});

it("a mirror copies the master's counts anew where they are in another file", async () => {
  using dir = tempDir();
  using home = tempDir();
  const file = `${dir.path}/m.jsonl`;
  await using master = await start({ cwd: home.path }, "-rpc");
  await add(master.url, "https://example.com/", "docs");
  await visit(master.url, "docs", 3);
  await counted(master, 3);
  await using mirror = await start(`-master=${master.url}`, "-rpc", `-file=${file}`);
  await eventually(async () => assert((await Deno.stat(`${file}.hits`)).size > 0), LONG);
  await master.stop();
  await Deno.remove(`${home.path}/store.jsonl.hits`);
  await master.begin();
  await visit(master.url, "docs", 5);
  await counted(master, 5);
  await copied(file, `${home.path}/store.jsonl`);
  master.kill("SIGKILL");
  await master.status;
  await mirror.waitForLog(({ msg }) => msg === "lost the master", LONG);
  await counted(mirror, 5);
});

it("a mirror that can't read its counts says so, and copies them as soon as it can", async () => {
  using dir = tempDir();
  const [theirs, ours] = [`${dir.path}/master.jsonl`, `${dir.path}/mirror.jsonl`];
  await using master = await start("-rpc", `-file=${theirs}`);
  await add(master.url, "https://example.com/", "docs");
  await visit(master.url, "docs", 3);
  await counted(master, 3);
  await Deno.mkdir(`${ours}.hits`);
  await using mirror = await start(`-master=${master.url}`, "-rpc", `-file=${ours}`);
  await mirror.waitForLog(({ msg }) => msg === "cannot load hits", LONG);
  await Deno.remove(`${ours}.hits`);
  await copied(ours, theirs);
});

it("a replica that is killed loses what it counted in the last two seconds at most", async () => {
  await using master = await start("-rpc");
  await add(master.url, "https://example.com/", "docs");
  await using replica = await start(`-master=${master.url}`, "-rpc");
  await keep(replica, "docs");
  let sent = 0;
  const marks: { time: number; sent: number }[] = [];
  const end = performance.now() + 5000;
  const before = await hitsOf(master);
  while (performance.now() < end) {
    await visit(replica.url, "docs", 4);
    sent += 4;
    marks.push({ time: performance.now(), sent });
  }
  replica.kill("SIGKILL");
  const killed = performance.now();
  await replica.status;
  // A busy machine may have been late with all of it.
  const sure = marks.findLast(({ time }) => time < killed - 4000)?.sent ?? 0;
  assert(sure > 0);
  await eventually(async () => assert(await hitsOf(master) >= before + sure), LONG);
  assert(await hitsOf(master) <= before + sent + 10);
});
