/** Masters whose links are in a database of their own process. */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, eventually, follow, run, start, tempDir } from "./processes.ts";
import { agree, change, following, ready, where } from "./replicas.ts";

const URL1 = "https://example.com/1";
const URL2 = "https://example.com/2";

it("a master on a database keeps its links, and makes no key twice, whatever ends it", async () => {
  await using master = await start("-kv=links.db");
  const keys = [await add(master.url, URL1)];
  await add(master.url, URL1, "docs");
  await change(master.url, "docs", URL2);
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    master.kill(signal);
    await master.status;
    await master.begin();
    assertEquals(master.links, keys.length + 1);
    keys.push(await add(master.url, URL1));
    for (const key of keys) assertEquals(await where(master.url, key), URL1);
    assertEquals(await where(master.url, "docs"), URL2);
  }
  assertEquals(new Set(keys).size, 3);
});

it("a replica below a master on a database follows its changes", async () => {
  await using master = await start("-kv=links.db", "-rpc");
  await using replica = await start(`-master=${master.url}`, "-rpc");
  await using below = await start(`-master=${replica.url}`, "-threads=2");
  const nodes = [master, replica, below];
  for (const node of nodes) await following(node);
  assertEquals(await add(below.url, URL1, "docs"), "docs");
  await agree(nodes, "docs", URL1);
  assertEquals(await change(replica.url, "docs", URL2), 200);
  await agree(nodes, "docs", URL2);
  assertEquals(await change(master.url, "docs"), 204);
  await agree(nodes, "docs", undefined);
});

it("replicas outlive a restart of a master on a database, and keep their cache", async () => {
  await using master = await start("-kv=links.db", "-rpc");
  await using replica = await start(`-master=${master.url}`);
  await add(replica.url, URL1, "docs");
  await following(replica);
  await eventually(async () => {
    await follow(replica.url, "docs");
    return (await ready(replica.url)).links === 1;
  });
  await master.restart();
  await following(replica);
  assertEquals((await ready(replica.url)).links, 1);
  assertEquals(replica.stderr.includes("dropping the cache"), false);
  assertEquals(await change(master.url, "docs", URL2), 200);
  await agree([replica], "docs", URL2);
});

it("a database in a file belongs to one process", async () => {
  using dir = tempDir();
  const place = `-kv=${dir.path}/links.db`;
  await using master = await start(place);
  await add(master.url, URL1, "docs");
  const { code, stderr } = await run(place);
  assertEquals(code, 1);
  assertEquals(stderr, `goto: ${dir.path}/links.db: Already in use by process ${master.pid}\n`);
  assertEquals(await where(master.url, "docs"), URL1);
});

it("a database that can't be used is one line", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/text`, "no database ".repeat(1000));
  for (
    const [place, reason] of [
      ["text", /^goto: text: .*not a database.*\n$/],
      ["nowhere/links.db", /^goto: nowhere\/links\.db: No such file or directory\n$/],
    ] as const
  ) {
    const { code, stderr } = await run({ cwd: dir.path }, `-kv=${place}`);
    assertEquals(code, 1);
    assertMatch(stderr, reason);
  }
});

it("flags that make no sense beside -kv are refused in a line", async () => {
  for (
    const flag of ["-master=localhost", "-repair", "-sync=none"]
  ) {
    const { code, stderr } = await run("-kv=links.db", flag);
    assertEquals(code, 2);
    assertMatch(stderr, /^goto: -kv and -\S+ don't go together: give one of them\n$/);
  }
  for (const place of ["ftp://example.com", ":memory:", "http://example.com?x"]) {
    const { code, stderr } = await run(`-kv=${place}`);
    assertEquals(code, 2);
    assertMatch(stderr, /^goto: -kv: .* is not allowed: use .*\n$/);
  }
  const { code, stderr } = await run("-kv=http://127.0.0.1:1");
  assertEquals(code, 2);
  assertMatch(stderr, /asks for a token: give it as GOTO_KV_TOKEN\n$/);
});

it("a mirror of a master on a database is its log, byte for byte, and can take its place", async () => {
  using dir = tempDir();
  const { cwd } = { cwd: dir.path };
  await using master = await start({ cwd }, "-kv=links.db", "-rpc");
  await using replica = await start(`-master=${master.url}`, "-rpc");
  await following(replica);
  for (let i = 0; i < 20; i++) await add(master.url, `https://example.com/${i}`);
  await using mirror = await start({ cwd }, `-master=${replica.url}`, "-rpc", "-file=mirror.jsonl");
  await eventually(async () => {
    const { complete, position } = await ready(mirror.url);
    assertEquals([complete, position], [true, (await ready(master.url)).position]);
  });
  const backup = await run({ cwd }, `-master=${master.url}`, "-backup=backup.jsonl");
  assertEquals([backup.code, backup.stderr], [0, ""]);
  await master.stop();
  await replica.stop();
  await mirror.stop();
  const links = (await Deno.readTextFile(`${cwd}/mirror.jsonl`)).trimEnd().split("\n").slice(1);
  assertEquals(links.map((line) => JSON.parse(line).URL), [
    ...Array.from({ length: 20 }, (_, i) => `https://example.com/${i}`),
  ]);
  await using promoted = await start({ cwd }, "-file=mirror.jsonl", "-promote");
  assertEquals(await where(promoted.url, "7"), "https://example.com/7");
  assertEquals(await add(promoted.url, "https://example.com/new"), "k");
});
