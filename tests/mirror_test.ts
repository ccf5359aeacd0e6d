import { assert, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import { add, breathe, eventually, follow, type Goto, run, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { random } from "./random.ts";
import { agree, change, freePort, journal, ready, where } from "./replicas.ts";

/** The bytes of a file; none, if it isn't there. */
async function bytes(path: string): Promise<Buffer> {
  return Buffer.from(await Deno.readFile(path).catch(() => new Uint8Array()));
}

/** Whether one file begins with the bytes of the other. */
async function isPrefix(path: string, of: string): Promise<boolean> {
  const [a, b] = [await bytes(path), await bytes(of)];
  return a.equals(b.subarray(0, a.length));
}

/** Fails unless two files have the same bytes. */
async function same(path: string, other: string, context?: string) {
  const [a, b] = [await bytes(path), await bytes(other)];
  assert(a.equals(b), context);
}

/** Waits until a mirror says that it is complete and lacks nothing. */
async function upToDate(mirror: Goto) {
  await eventually(async () => {
    const { status, complete, lagBytes, lagSeconds } = await ready(mirror.url);
    assertEquals({ status, complete, lagBytes, lagSeconds }, {
      status: 200,
      complete: true,
      lagBytes: 0,
      lagSeconds: 0,
    });
  });
}

it("a mirror that is killed again and again ends with the master's bytes", async () => {
  const { seed, pick } = random();
  using dir = tempDir();
  const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
  await Deno.writeTextFile(file, journal(50_000)); // 2.3 MiB
  await using master = await start({ cwd: dir.path }, "-rpc");
  await using link = new Proxy(master.url);
  const size = (await Deno.stat(file)).size;
  link.cutAfter(1 + pick(size / 4), true);
  await using mirror = await start({ cwd: dir.path }, `-master=${link.url}`, `-file=${copy}`);
  const kill = async () => {
    mirror.kill("SIGKILL");
    await mirror.status;
    assert(await isPrefix(`${copy}.part`, file), `FILE.part, seed ${seed}`);
    assert(await isPrefix(copy, file), `FILE, seed ${seed}`);
  };

  // While it copies.
  for (let part = 0; part < 3; part++) {
    await eventually(() => link.refuses);
    await kill();
    assertEquals(await bytes(copy), Buffer.of(), "FILE is there only when it is whole");
    link.cutAfter(1 + pick(size / 4), true);
    link.refuses = false;
    await mirror.restart();
  }
  assertGreater((await bytes(`${copy}.part`)).length, 0);
  link.cutAfter(Infinity);
  link.refuses = false;
  await upToDate(mirror);

  // While it follows.
  let adding = true;
  const posts = (async () => {
    for (let i = 0; adding; i++) {
      await add(master.url, `https://example.com/new/${i}`);
      if (i % 10 === 0) await breathe();
    }
  })();
  for (let part = 0; part < 3; part++) {
    const least = (await bytes(copy)).length + pick(5000);
    await eventually(async () => (await Deno.stat(copy)).size > least);
    await kill();
    await mirror.restart();
  }
  adding = false;
  await posts;
  await upToDate(mirror);
  await same(copy, file);
});

it("a mirror answers everything with the master gone, also after its own restart", async () => {
  await using master = await start("-rpc");
  const keys = await Promise.all(
    Array.from({ length: 20 }, (_, i) => add(master.url, `https://example.com/${i}`)),
  );
  assertEquals(await change(master.url, keys[0]), 204);
  await using mirror = await start(`-master=${master.url}`, "-file=mirror.jsonl");
  await upToDate(mirror);
  master.kill("SIGKILL");
  await master.status;
  for (const when of ["at once", "after a restart"]) {
    await mirror.waitForLog(({ msg }) => msg === "lost the master");
    await Promise.all(
      keys.map(async (key, i) =>
        assertEquals(await where(mirror.url, key), i ? `https://example.com/${i}` : undefined, when)
      ),
    );
    assertEquals((await follow(mirror.url, "unknown")).status, 404);
    assertEquals(await change(mirror.url, keys[1], "https://example.com/"), 503);
    const { status, complete, links, reason, lagBytes, lagSeconds } = await ready(mirror.url);
    assertEquals({ status, complete, links, lagBytes }, {
      status: 200,
      complete: true,
      links: 19,
      lagBytes: undefined, // who knows
    });
    assertEquals(reason, "master out of reach");
    assertGreater(lagSeconds, 0);
    await mirror.restart();
  }
});

it("a mirror's file from the future is no older than now", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/mirror.jsonl`, journal(3));
  await Deno.utime(`${dir.path}/mirror.jsonl`, new Date(), new Date(Date.now() + 3_600_000));
  const flags = [`-master=127.0.0.1:${freePort()}`, "-file=mirror.jsonl"];
  await using mirror = await start({ cwd: dir.path }, ...flags);
  await mirror.waitForLog(({ msg }) => msg === "lost the master");
  const { lagSeconds } = await ready(mirror.url);
  assert(lagSeconds >= 0 && lagSeconds < 60, `${lagSeconds} s`);
});

it("a mirror becomes the master when started without -master, and replicas find it", async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  const address = `-http=127.0.0.1:${freePort()}`;
  await using old = await start("-rpc");
  const before = await Promise.all(
    Array.from({ length: 20 }, (_, i) => add(old.url, `https://example.com/${i}`)),
  );
  const mirror = await start(address, "-rpc", `-master=${old.url}`, `-file=${file}`);
  await using replica = await start(`-master=${old.url},${mirror.url}`);
  await agree([replica], before[0], "https://example.com/0");
  await upToDate(mirror);

  old.kill("SIGKILL");
  await old.status;
  // The mirror is good for answers even before it is promoted.
  await agree([replica], before[1], "https://example.com/1");
  await mirror.stop();
  await using master = await start(address, "-rpc", `-file=${file}`);
  assertEquals(master.links, 20);
  const key = await eventually(() => add(replica.url, "https://example.com/new"));
  assert(!before.includes(key), `${key} was given out twice`);
  await agree([master, replica], key, "https://example.com/new");
  assertEquals(await change(master.url, before[0], "https://example.com/changed"), 200);
  await agree([replica], before[0], "https://example.com/changed");

  // The old master may only come back as a mirror of the new one.
  await using again = await start(`-master=${master.url}`, `-file=${dir.path}/again.jsonl`);
  await upToDate(again);
  await agree([again], before[0], "https://example.com/changed");
});

it("an unfinished copy is not taken for a master's file", async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(`${file}.part`, journal(10));
  const { code, stderr } = await run("-http=127.0.0.1:0", `-file=${file}`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `${file}: No such file, only ${file}.part, a copy of a master's`);
  assertEquals(stderr.trim().split("\n").length, 1);
});

it("a mirror starts over when the master's file is another one, and keeps what it had", async () => {
  using dir = tempDir();
  const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
  await Deno.writeTextFile(file, journal(1000));
  await using master = await start({ cwd: dir.path }, "-rpc");
  await using mirror = await start({ cwd: dir.path }, `-master=${master.url}`, `-file=${copy}`);
  await upToDate(mirror);
  const files = {
    compacted: async () => {
      await Deno.writeTextFile(file, journal(1000) + journal(1000));
      assertEquals((await run({ cwd: dir.path }, "-compact")).code, 0);
    },
    other: () => Deno.writeTextFile(file, journal(3000, 500)),
    longer: () => Deno.writeTextFile(file, journal(4000, 1)),
  };
  const kept: string[] = [];
  for (const [name, replace] of Object.entries(files)) {
    const had = await bytes(copy);
    master.kill("SIGKILL");
    await master.status;
    await replace();
    await master.restart();
    await eventually(() => same(copy, file, name));
    await upToDate(mirror);
    const olds = [...Deno.readDirSync(dir.path)].map(({ name }) => name)
      .filter((name) => /^copy\.jsonl\.old-/.test(name) && !kept.includes(name));
    assertEquals(olds.length, 1, name);
    kept.push(...olds);
    assert(had.equals(await bytes(`${dir.path}/${olds[0]}`)), name);
    const key = await add(master.url, `https://example.com/${name}`);
    await agree([mirror], key, `https://example.com/${name}`);
    await upToDate(mirror);
    await same(copy, file, name);
  }
});

it("a mirror resumes where a cut connection left it", async () => {
  const { seed, pick } = random();
  using dir = tempDir();
  const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
  await Deno.writeTextFile(file, journal(100_000)); // 5 MB
  await using master = await start({ cwd: dir.path }, "-rpc");
  await using link = new Proxy(master.url);
  link.cutAfter(1 + pick(4 << 20));
  await using mirror = await start({ cwd: dir.path }, `-master=${link.url}`, `-file=${copy}`);
  await upToDate(mirror);
  for (let i = 0; i < 10; i++) {
    link.cutAfter(1 + pick(500)); // in the middle of a line, or of a heartbeat
    const key = await add(master.url, `https://example.com/${i}`);
    await agree([mirror], key, `https://example.com/${i}`);
  }
  await upToDate(mirror);
  await same(copy, file, `seed ${seed}`);
});

it("a mirror that can't write says how far it lags, and answers from the master", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using master = await start("-rpc");
  const through = ["sh", "-c", 'ulimit -f 4; exec "$0" "$@"']; // 2 or 4 KiB
  await using mirror = await start({ through }, `-master=${master.url}`, "-file=mirror.jsonl");
  await upToDate(mirror);
  const keys: string[] = [];
  for (let i = 0; i < 100; i++) keys.push(await add(master.url, `https://example.com/${i}`));
  await mirror.waitForLog(({ msg }) => msg === "cannot write");
  assertEquals(await where(mirror.url, keys[99]), "https://example.com/99");
  const { status, reason, lagBytes, lagSeconds } = await ready(mirror.url);
  assertEquals(status, 200);
  assertStringIncludes(reason, "File too large");
  assertGreater(lagBytes, 0);
  assertGreater(lagSeconds, 0);
});
