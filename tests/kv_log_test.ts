/** The log in a database, as its masters, mirrors and commands see it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it as test } from "@std/testing/bdd";
import { DENOKV, Denokv } from "./denokv.ts";
import { add, eventually, follow, type Goto, run, start, tempDir } from "./processes.ts";
import { agree, change, following, freePort, ready, where } from "./replicas.ts";
import { counted, visit } from "./traffic.ts";

const it = (name: string, fn: () => Promise<void>) =>
  test(name, { ignore: DENOKV === undefined }, fn);
const url = (name: string | number) => `https://example.com/${name}`;

/** Waits until a mirror has all that its master has. */
async function upToDate(mirror: Goto, master: Goto) {
  await eventually(async () => {
    const { complete, position, reason } = await ready(mirror.url);
    const end = (await ready(master.url)).position;
    assertEquals([complete, position, reason], [true, end, undefined]);
  });
}

test("a database is backed up, compacted and promoted by commands", async () => {
  using dir = tempDir();
  const cwd = dir.path;
  await using master = await start({ cwd }, "-kv=links.db", "-rpc");
  for (let i = 0; i < 30; i++) await add(master.url, url(i));
  for (let i = 0; i < 300; i++) await change(master.url, "7", url(`7/${i}`));
  const asked = await run("-compact", `-master=${master.url}`);
  assertEquals(asked.code, 0, asked.stderr);
  assertMatch(asked.stdout, / 331 lines, .* before; \d\d lines, .* after\n$/);
  const { term, position } = await ready(master.url);
  await master.stop();

  const backup = await run({ cwd }, "-backup=backup.jsonl", "-kv=links.db");
  assertEquals([backup.code, backup.stderr], [0, ""]);
  assertMatch(backup.stdout, /^backup\.jsonl: 30 links, /);
  const compacted = await run({ cwd }, "-compact", "-kv=links.db");
  assertEquals([compacted.code, compacted.stderr], [0, ""]);
  for (const flag of ["-compact", "-export", "-backup=none.jsonl", "-promote"]) {
    const { code, stderr } = await run({ cwd }, flag, "-kv=none.db");
    const hint = flag === "-promote" ? ": -promote takes over with a database that is there" : "";
    assertEquals([code, stderr], [1, `goto: none.db: No such file${hint}\n`]);
  }
  const left = Array.from(Deno.readDirSync(cwd), ({ name }) => name).filter((name) =>
    name.startsWith("none")
  );
  assertEquals(left, []);

  await using promoted = await start({ cwd }, "-kv=links.db", "-rpc", "-promote");
  const now = await ready(promoted.url);
  assert(now.term > term && now.position > position);
  assertEquals(await where(promoted.url, "7"), url("7/299"));
  assertEquals(await add(promoted.url, url("new")), "u");
  await using restored = await start({ cwd }, "-file=backup.jsonl");
  assertEquals(await where(restored.url, "7"), url("7/299"));
});

test("a command whose database doesn't answer says which, and that", async () => {
  const port = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const place = `http://127.0.0.1:${port.addr.port}`;
  port.close(); // nobody listens there
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/in.jsonl`, `{"Key":"docs","URL":"${url(1)}"}\n`);
  const options = { cwd: dir.path, env: { GOTO_KV_TOKEN: "some-token" } };
  for (const flag of ["-compact", "-export", "-backup=out.jsonl", "-import=in.jsonl"]) {
    const { code, stderr } = await run(options, flag, `-kv=${place}`);
    const last = stderr.trimEnd().split("\n").at(-1);
    assertEquals([code, last], [1, `goto: ${place}: the database is out of reach`], flag);
  }
});

test("a master that hears of a later term takes no more changes", async () => {
  for (const place of ["-file=links.jsonl", "-kv=links.db"]) {
    using dir = tempDir();
    const cwd = dir.path;
    await using old = await start({ cwd }, place, "-rpc");
    await add(old.url, url(1), "docs");
    await using mirror = await start({ cwd }, `-master=${old.url}`, "-rpc", "-file=mirror.jsonl");
    await upToDate(mirror, old);
    await mirror.stop();
    await using other = await start({ cwd }, "-file=mirror.jsonl", "-rpc", "-promote");
    // Until somebody tells it, the old one can't know.
    assertEquals(await change(old.url, "docs", url(2)), 200);
    await using both = await start(
      { cwd },
      `-master=${old.url},${other.url}`,
      "-file=both.jsonl",
    );
    await upToDate(both, other);
    await both.restart();
    await upToDate(both, other);
    const terms = [(await ready(other.url)).term, (await ready(old.url)).term];
    const reason = `another master took over: its term is ${terms[0]}, and this one's ${terms[1]}`;
    await eventually(async () => {
      const { status, writable, reason: told } = await ready(old.url);
      assertEquals([status, writable, told], [200, false, reason]);
    });
    assertEquals(await change(old.url, "docs", url(3)), 503);
    assertEquals(await where(old.url, "docs"), url(2));
  }
});

it("a service that was restored is noticed: all masters and replicas show what it has, and one is promoted", async () => {
  await using service = await Denokv.start();
  const begin = (...flags: string[]) => start(service.options, ...flags);
  await using one = await begin(`-kv=${service.url}`, "-rpc");
  await using two = await begin(`-kv=${service.url}`, "-rpc", "-threads=2");
  using dir = tempDir();
  await using below = await start(`-master=${two.url}`);
  await using mirror = await start({ cwd: dir.path }, `-master=${one.url}`, "-file=mirror.jsonl");
  await add(one.url, url("kept"), "docs");
  await agree([one, two, below, mirror], "docs", url("kept"));
  const path = `${service.folder}/links.sqlite`;
  await service.stop();
  const files = ["", "-wal", "-shm"];
  const copyAll = async (from: string, to: string) => {
    for (const suffix of files) {
      await Deno.remove(to + suffix).catch(() => {});
      await Deno.copyFile(from + suffix, to + suffix).catch(() => {});
    }
  };
  await copyAll(path, `${dir.path}/copy`);
  await service.begin();
  for (const master of [one, two]) {
    await eventually(async () => assertEquals((await ready(master.url)).writable, true));
  }
  assertEquals(await change(one.url, "docs", url("lost")), 200);
  await add(two.url, url("lost"), "lost");
  await agree([one, two, below, mirror], "docs", url("lost"));
  await upToDate(mirror, one);

  await service.stop();
  await copyAll(`${dir.path}/copy`, path);
  await service.begin();
  for (const master of [one, two]) {
    await master.waitForLog(({ msg }) => msg === "the links are loaded", 20_000);
    assertEquals(await where(master.url, "docs"), url("kept"));
    await eventually(async () => assertEquals((await follow(master.url, "lost")).status, 404));
  }
  await eventually(async () => assertEquals(await where(below.url, "docs"), url("kept")));
  // The mirror keeps what it has, until somebody says that the shorter log is the right one.
  await mirror.waitForLog(({ msg }) => msg === "refused the master");
  await eventually(async () => assertEquals(await where(mirror.url, "docs"), url("lost")));
  await using promoted = await begin(`-kv=${service.url}`, "-rpc", "-promote");
  await agree([promoted, one, two, below, mirror], "docs", url("kept"));
  assertEquals(await change(two.url, "docs", url("new")), 200);
  await agree([promoted, one, two, below, mirror], "docs", url("new"));
  await following(below);
});

it("a master starts from its copy while the service is away, and goes on with the service once it is there", async () => {
  await using service = await Denokv.start();
  const begin = (...flags: string[]) => start({ cwd: dir.path, ...service.options }, ...flags);
  using dir = tempDir();
  await using one = await begin(`-kv=${service.url}`, "-rpc", "-file=copy.jsonl");
  await using two = await begin(`-kv=${service.url}`, "-rpc");
  for (let i = 0; i < 20; i++) await add(one.url, url(i));
  await add(two.url, url("docs"), "docs");
  const same = async () => {
    const { position } = await ready(two.url);
    await eventually(async () => assertEquals((await ready(one.url)).position, position));
    const feed = await fetch(`${two.url}/rpc/log?offset=0`);
    const reader = feed.body!.getReader();
    const log = new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    await eventually(async () =>
      assertEquals(await Deno.readTextFile(`${dir.path}/copy.jsonl`), log)
    );
  };
  await same();
  await visit(two.url, "docs", 3);
  await counted(two, 3);
  await one.stop();
  await service.stop();
  await one.begin();
  const { status, writable, reason, links } = await ready(one.url);
  assertEquals(
    [status, writable, reason, links],
    [200, false, "the database is out of reach", 21],
  );
  assertEquals(await where(one.url, "docs"), url("docs"));
  assertEquals((await follow(one.url, "unknown")).status, 503);
  assertEquals(await change(one.url, "docs", url("no")), 503);
  // The copy has no hits: nothing is said of them, once in a line, and not that there were none.
  await one.waitForLog(({ msg }) => msg === "cannot load hits");
  const get = async (path: string) => {
    const response = await fetch(`${one.url}/api/links${path}`);
    const { detail, hits, links } = await response.json();
    return [response.status, detail ?? hits, links?.[0].hits];
  };
  assertEquals(await get("/docs"), [200, undefined, undefined]);
  assertEquals(await get("/docs/hits"), [503, "hits can't be read", undefined]);
  assertEquals(await get(""), [200, undefined, undefined]);
  assertEquals(await get("?order=hits"), [503, "hits can't be read", undefined]);
  await visit(one.url, "docs", 4);
  await new Promise((resolve) => setTimeout(resolve, 2500)); // it is tried again meanwhile
  assertEquals(one.stderr.split("cannot load hits").length, 2, one.stderr);
  await service.begin();
  await one.waitForLog(({ msg }) => msg === "the hits are loaded", 20_000);
  await counted(one, 8); // with the one above
  assertEquals((await get("?order=hits"))[2], 8);
  await eventually(async () => assertEquals(await change(two.url, "docs", url("two")), 200));
  await agree([one, two], "docs", url("two"));
  await eventually(async () => assertEquals(await change(one.url, "docs", url("one")), 200));
  await agree([one, two], "docs", url("one"));
  await same();

  // Compacted while the copy was away, it is copied anew.
  await one.stop();
  for (let i = 0; i < 200; i++) await change(two.url, "docs", url(i));
  assertEquals((await run("-compact", `-master=${two.url}`)).code, 0);
  await one.begin();
  await eventually(async () => assertEquals(await where(one.url, "docs"), url(199)));
  await same();
});

test("a file that is no copy of the database's log is refused, and left as it is", async () => {
  using dir = tempDir();
  const cwd = dir.path;
  const copy = `${cwd}/copy.jsonl`;
  {
    await using master = await start({ cwd }, "-kv=links.db", "-file=copy.jsonl");
    await add(master.url, url(1), "docs");
    await eventually(async () => assert((await Deno.readTextFile(copy)).includes("docs")));
  }
  await Deno.copyFile(`${cwd}/links.db`, `${cwd}/older.db`);
  for (const text of [`{"Key":"mine","URL":"${url("mine")}"}\n`, "no journal\n"]) {
    await Deno.writeTextFile(`${cwd}/other.jsonl`, text);
    const { code, stderr } = await run({ cwd }, "-kv=links.db", "-file=other.jsonl");
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^goto: other\.jsonl:.* it is no copy of .*\n$/,
    );
    assertEquals(await Deno.readTextFile(`${cwd}/other.jsonl`), text);
  }
  {
    await using master = await start({ cwd }, "-kv=links.db", "-file=copy.jsonl");
    await change(master.url, "docs", url(2));
    await eventually(async () => assert((await Deno.readTextFile(copy)).includes(url(2))));
  }
  // An older database: the copy reaches further.
  const text = await Deno.readTextFile(copy);
  const { code, stderr } = await run({ cwd }, "-kv=older.db", "-file=copy.jsonl");
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^goto: copy\.jsonl: it reaches to \d+, and the log in older\.db to \d+: .*-promote/,
  );
  assertEquals(await Deno.readTextFile(copy), text);
  await using promoted = await start({ cwd }, "-kv=older.db", "-file=copy.jsonl", "-promote");
  assertEquals(await where(promoted.url, "docs"), url(1));
  const { old } = await promoted.waitForLog(({ msg }) => msg === "the copy is complete");
  assertEquals(await Deno.readTextFile(`${cwd}/${old}`), text);
});

it("a master that was not given the right copy goes on with the database alone once that is there", async () => {
  await using service = await Denokv.start();
  using dir = tempDir();
  const begin = (...flags: string[]) =>
    start({ cwd: dir.path, ...service.options }, `-kv=${service.url}`, ...flags);
  await using right = await begin();
  await add(right.url, url("right"), "docs");
  await right.stop();
  await service.stop();
  const text = `{"Key":"docs","URL":"${url("wrong")}"}\n{"Key":"0","URL":"${url("wrong")}"}\n`;
  await Deno.writeTextFile(`${dir.path}/copy.jsonl`, text);
  await using master = await begin("-file=copy.jsonl");
  assertEquals(await where(master.url, "docs"), url("wrong"));
  await master.stop(); // with code 0, or this fails
  await master.begin();
  await service.begin();
  const { reason } = await master.waitForLog(({ msg }) => msg === "the copy is kept no more");
  assert(reason.includes("it is no copy of"), reason);
  await eventually(async () => assertEquals(await where(master.url, "docs"), url("right")));
  assertEquals(await add(master.url, url("new")), "1"); // a counter of two links would go on with 2
  assertEquals(await change(master.url, "docs", url("changed")), 200);
  assertEquals(await Deno.readTextFile(`${dir.path}/copy.jsonl`), text);
  await master.stop();
  await using again = await begin();
  assertEquals(await where(again.url, "docs"), url("changed"));
});

it("a master that could not read its database yet doesn't pass for an empty one", async () => {
  using dir = tempDir();
  const cwd = dir.path;
  const env = { GOTO_KV_TOKEN: "a-token-of-nobody" };
  await using master = await start({ env }, `-kv=http://127.0.0.1:${freePort()}`, "-rpc");
  for (const path of ["/api/links", "/.all", "/.export", "/rpc/log?offset=0", "/rpc/log"]) {
    const answer = await fetch(master.url + path);
    await answer.body?.cancel();
    assertEquals(answer.status, 503, path);
  }
  for (const command of ["-export", "-backup=backup.jsonl"]) {
    const { code, stdout } = await run({ cwd }, command, `-master=${master.url}`);
    assertEquals([code, stdout], [1, ""], command);
  }
  assertEquals([...Deno.readDirSync(cwd)], []);
  // Nor does a mirror say that its copy should be replaced.
  await Deno.writeTextFile(`${cwd}/mirror.jsonl`, `{"Key":"docs","URL":"${url("docs")}"}\n`);
  await using mirror = await start({ cwd }, `-master=${master.url}`, "-file=mirror.jsonl");
  await eventually(async () => {
    const { status, reason } = await ready(mirror.url);
    assertEquals([status, reason], [200, "the feed is not at hand"]);
  });
  assertEquals(mirror.logs.filter(({ msg }) => msg === "refused the master"), []);
  assertEquals(await where(mirror.url, "docs"), url("docs"));
});
