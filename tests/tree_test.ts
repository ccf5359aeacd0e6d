import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { startHere } from "./here.ts";
import { add, eventually, follow, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { agree, change, journal, keep, ready, where } from "./replicas.ts";

it("a replica of a replica writes through it, and hears of every change", async () => {
  await using master = await start("-rpc");
  await using middle = await start(`-master=${master.url}`, "-rpc");
  await using leaf = await start(`-master=${middle.url}`);
  const key = await add(leaf.url, "https://example.com/0");
  for (let i = 1; i <= 10; i++) {
    await agree([leaf, middle], key, `https://example.com/${i - 1}`);
    // From above, from the side and from below.
    const { url } = [master, middle, leaf][i % 3];
    assertEquals(await change(url, key, `https://example.com/${i}`), 200);
    assertEquals(await where(url, key), `https://example.com/${i}`);
  }
  assertEquals(await change(leaf.url, key), 204);
  await agree([master, middle, leaf], key, undefined);
});

it("a replica of a replica hears of what was changed while it was cut off", async () => {
  await using master = await startHere("-rpc");
  await using top = new Proxy(master.url);
  await using middle = await startHere(`-master=${top.url}`, "-rpc");
  await using link = new Proxy(middle.url);
  await using leaf = await startHere(`-master=${link.url}`);
  const key = await add(master.url, "https://example.com/");
  for (const [round, proxies] of [[link], [top], [top, link]].entries()) {
    await agree(
      [leaf, middle],
      key,
      round ? `https://example.com/${round - 1}` : "https://example.com/",
    );
    for (const proxy of proxies) {
      proxy.refuses = true;
      proxy.cut();
    }
    assertEquals(await change(master.url, key, `https://example.com/${round}`), 200);
    for (const proxy of proxies) proxy.refuses = false;
    await agree([leaf, middle], key, `https://example.com/${round}`);
  }
});

it("when the master's file is another one, every replica below drops its links", async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(file, journal(200));
  await using master = await start({ cwd: dir.path }, "-rpc");
  await using middle = await start(`-master=${master.url}`, "-rpc");
  await using leaf = await start(`-master=${middle.url}`);
  await agree([leaf], "7", "https://example.com/7");
  master.kill("SIGKILL");
  await master.status;
  await Deno.writeTextFile(file, journal(200).replaceAll("example.com", "example.org"));
  await master.restart();
  await agree([middle, leaf], "7", "https://example.org/7");
});

it("a replica that restarts doesn't leave those below with old links", async () => {
  await using master = await start("-rpc");
  await using middle = await start(`-master=${master.url}`, "-rpc");
  await using leaf = await start(`-master=${middle.url}`);
  const key = await add(master.url, "https://example.com/old");
  await keep(leaf, key);
  middle.kill("SIGKILL");
  await middle.status;
  assertEquals(await change(master.url, key, "https://example.com/new"), 200);
  assertEquals(await where(leaf.url, key), "https://example.com/old"); // all that it can know
  await middle.restart();
  await agree([leaf], key, "https://example.com/new");
});

it("a mirror behind a replica has the master's bytes, and a replica behind it its links", async () => {
  using dir = tempDir();
  const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
  await Deno.writeTextFile(file, journal(50_000));
  await using master = await start({ cwd: dir.path }, "-rpc");
  await using middle = await start(`-master=${master.url}`, "-rpc");
  await using mirror = await start(`-master=${middle.url}`, `-file=${copy}`, "-rpc");
  await using leaf = await start(`-master=${mirror.url}`);
  for (let i = 0; i < 10; i++) await add(leaf.url, `https://example.com/new/${i}`);
  await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
  assertEquals(await Deno.readTextFile(copy), await Deno.readTextFile(file));

  master.kill("SIGKILL");
  middle.kill("SIGKILL");
  await Promise.all([master.status, middle.status]);
  await agree([leaf], "49999", "https://example.com/49999");
  assertEquals((await follow(leaf.url, "unknown")).status, 404);
});

it("a replica says so when the one above it has lost the master, and stays ready", async () => {
  await using master = await start("-rpc");
  await using middle = await start(`-master=${master.url}`, "-rpc");
  await using leaf = await start(`-master=${middle.url}`);
  await eventually(async () => assertEquals((await ready(leaf.url)).status, 200));
  master.kill("SIGKILL");
  await middle.waitForLog(({ msg }) => msg === "lost the master");
  const { status, reason, writable } = await ready(leaf.url);
  const told = { status: 200, reason: "master out of reach", writable: false };
  assertEquals({ status, reason, writable }, told);
});
