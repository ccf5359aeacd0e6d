/** Who is the master, when several could be. */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, eventually, type Goto, run, start, tempDir } from "./processes.ts";
import { agree, change, following, freePort, journal, ready, where } from "./replicas.ts";

const A = "https://example.com/a";
const B = "https://example.com/b";

/** Waits until a mirror lacks nothing. */
async function upToDate(mirror: Goto) {
  await eventually(async () => {
    const { reason, lagBytes } = await ready(mirror.url);
    assertEquals([reason, lagBytes], [undefined, 0]);
  });
}

it("-promote takes over with a mirror's file, in one line, and with nothing else", async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(file, journal(3));
  let begun: unknown;
  {
    await using master = await start({ cwd: dir.path }, "-promote", `-file=${file}`);
    const { term } = await master.waitForLog(({ msg }) => msg === "took over as the master");
    assert(typeof term === "number" && Math.abs(term / 256 - Date.now()) < 60_000, `${term}`);
    assertEquals(master.links, 3);
    const line = `{"Key":"","URL":"","Term":${term}}\n`;
    assertEquals(await Deno.readTextFile(file), journal(3) + line);
    assertEquals((await ready(master.url)).term, term);
    assertEquals(await add(master.url, A), "3");
    begun = term;
  }
  // A later start keeps the term.
  await using again = await start({ cwd: dir.path }, `-file=${file}`);
  assertEquals((await ready(again.url)).term, begun);
  assertEquals(await where(again.url, "3"), A);

  const refused: [flags: string[], code: number, text: string][] = [
    [["-promote", "-master=localhost:1"], 2, "-promote makes a master: leave -master out"],
    [["-promote", `-file=${dir.path}/none.jsonl`], 1, "none.jsonl: No such file: -promote takes"],
  ];
  for (const [flags, code, text] of refused) {
    const result = await run("-http=127.0.0.1:0", ...flags);
    assertEquals(result.code, code, result.stderr);
    assertStringIncludes(result.stderr, text);
    assertEquals(result.stderr.trim().split("\n").length, 1);
  }
});

it("a master that comes back after another took over takes no replica with it", async () => {
  using dir = tempDir();
  const ports = [freePort(), freePort(), freePort()];
  const [toOld, toNew, toTree] = ports.map((port) => `-http=127.0.0.1:${port}`);
  const list = `-master=${ports.slice(0, 2).map((port) => `127.0.0.1:${port}`).join(",")}`;
  const oldFlags = [toOld, "-rpc", `-file=${dir.path}/old.jsonl`];
  const old = await start({ cwd: dir.path }, ...oldFlags);
  await add(old.url, A, "k");
  const file = `${dir.path}/new.jsonl`;
  const toBe = await start({ cwd: dir.path }, toNew, "-rpc", list, `-file=${file}`);
  await using cache = await start({ cwd: dir.path }, list);
  await using mirror = await start({ cwd: dir.path }, list, `-file=${dir.path}/copy.jsonl`);
  await using tree = await start({ cwd: dir.path }, toTree, "-rpc", list);
  const below = `-master=127.0.0.1:${ports[2]},127.0.0.1:${ports[0]}`;
  await using leaf = await start({ cwd: dir.path }, below, `-file=${dir.path}/leaf.jsonl`);
  const all = [cache, mirror, tree, leaf];
  for (const replica of [toBe, ...all]) await following(replica);
  await upToDate(toBe);

  await old.stop();
  await toBe.stop();
  const promoted = await start({ cwd: dir.path }, toNew, "-rpc", "-promote", `-file=${file}`);
  const { term } = await ready(promoted.url);
  await promoted.stop();
  await using master = await start({ cwd: dir.path }, toNew, "-rpc", `-file=${file}`);
  for (const replica of all) await following(replica);
  assertEquals(await change(master.url, "k", B), 200);
  await agree(all, "k", B);

  await using back = await start({ cwd: dir.path }, ...oldFlags);
  assertEquals(await where(back.url, "k"), A);
  // The new one is away for as long as a restart takes, and then for longer.
  for (const ms of [300, 1500]) {
    const seen = all.map(({ logs }) => logs.length);
    master.kill("SIGKILL");
    await master.status;
    await new Promise((resolve) => setTimeout(resolve, ms));
    for (const { url } of all) assert(await where(url, "k").catch(() => "503") !== A);
    await master.restart();
    for (const replica of all) await following(replica);
    const key = await add(cache.url, `https://example.com/${ms}`);
    await agree([master, ...all], key, `https://example.com/${ms}`);
    for (const [i, { logs }] of all.entries()) {
      const refused = logs.slice(seen[i]).filter(({ msg }) => msg === "refused the master");
      assertLess(refused.length, 2);
      for (const { reason } of refused) {
        assertStringIncludes(reason, `its term is 1, and term ${term}`);
      }
    }
  }
  assert(all.some(({ logs }) => logs.some(({ msg }) => msg === "refused the master")));

  // It comes back as what it may be, and its own file stays.
  await back.stop();
  await using mirrored = await start(
    { cwd: dir.path },
    `-master=${master.url}`,
    `-file=${dir.path}/old.jsonl`,
  );
  await agree([mirrored], "k", B);
});

it("a replica that starts while two masters answer follows the one of the later term", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/new.jsonl`, `{"Key":"k","URL":"${B}"}\n`);
  await using old = await start("-rpc");
  await add(old.url, A, "k");
  await using master = await start({ cwd: dir.path }, "-rpc", "-promote", "-file=new.jsonl");
  await using replica = await start(`-master=${old.url},${master.url}`);
  // It may have begun with the one that answered, where the other took too long to.
  await agree([replica], "k", B, 20_000);
  assertEquals((await ready(replica.url)).master, master.url);
});

it("a server skips itself in the list of masters, by whatever name", async () => {
  const [a, b] = [freePort(), freePort()];
  for (const name of ["127.0.0.1", "localhost"]) {
    using dir = tempDir();
    const list = `-master=127.0.0.1:${a},${name}:${b}`;
    await using master = await start({ cwd: dir.path }, `-http=127.0.0.1:${a}`, "-rpc");
    await using replica = await start(`-http=127.0.0.1:${b}`, "-rpc", list, "-file=copy.jsonl");
    await add(replica.url, A, "k");
    await upToDate(replica);
    for (let outage = 0; outage < 2; outage++) {
      master.kill("SIGKILL");
      await master.status;
      await eventually(async () => (await ready(replica.url)).reason !== undefined);
      await eventually(() => replica.logs.some(({ msg }) => msg === "skipping an own address"));
      // One that comes while a master is looked for may wait.
      await eventually(async () => {
        const began = performance.now();
        assertEquals(await change(replica.url, "k", B), 503);
        assertLess(performance.now() - began, 1000, "it is known that there is no master");
      });
      assertEquals(await where(replica.url, "k"), A);
      assertEquals((await ready(replica.url)).reason, "master out of reach");
      await master.restart();
      await upToDate(replica);
    }
    const skips = replica.logs.filter(({ msg }) => msg === "skipping an own address");
    assertEquals(skips.map(({ master }) => master), [`http://${name}:${b}`]);
  }
});

it("servers that share a list of masters don't follow each other round in a circle", async () => {
  const ports = [freePort(), freePort(), freePort()];
  const list = `-master=${ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
  await using master = await start(`-http=127.0.0.1:${ports[0]}`, "-rpc");
  await using one = await start(`-http=127.0.0.1:${ports[1]}`, "-rpc", list, "-file=one.jsonl");
  await using two = await start(`-http=127.0.0.1:${ports[2]}`, "-rpc", list, "-file=two.jsonl");
  await add(two.url, A, "k");
  for (const replica of [one, two]) await upToDate(replica);
  master.kill("SIGKILL");
  await master.status;
  // One may follow the other, which then has nobody to ask.
  await eventually(async () => {
    const began = performance.now();
    const statuses = await Promise.all([one, two].map(({ url }) => change(url, "k", B)));
    assertEquals(statuses, [503, 503]);
    assertLess(performance.now() - began, 1000);
  });
  for (const { url } of [one, two]) assertEquals(await where(url, "k"), A);
  await master.restart();
  for (const replica of [one, two]) await upToDate(replica);
  await eventually(async () => assertEquals(await change(one.url, "k", B), 200));
  await agree([master, one, two], "k", B);
  const told = [...one.logs, ...two.logs].filter(({ msg }) => msg === "refused the master");
  assert(told.length <= 6, `${told.length} lines`);
});
