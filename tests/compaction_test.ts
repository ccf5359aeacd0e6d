import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openFeed } from "../journal/feed.ts";
import { Journal } from "../journal/journal.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { changesTo } from "../journal/log.ts";
import { formatLine } from "../journal/lines.ts";
import { Table } from "../links/table.ts";
import { run } from "./commands.ts";
import { Load } from "./load.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { random } from "./random.ts";
import { rounds } from "./rounds.ts";
import { agree, change, following, journal, keep, ready, where } from "./replicas.ts";
import { canMount, canTrace, smallDisk, trace } from "./tools.ts";

/** A journal of several MB, most lines of which are superseded. */
function superseded(links: number, rounds: number): string {
  let text = "";
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < links; i++) {
      text += `{"Key":"${i}","URL":"https://example.com/${"x".repeat(80)}/${round}/${i}"}\n`;
    }
  }
  return text;
}

const compactAt = (url: string) => run("-compact", `-master=${url}`);
const size = async (path: string) => (await Deno.stat(path)).size;
const said = ({ logs }: Goto | Here, what: string) =>
  logs.filter(({ msg }) => msg.startsWith(what));

describe("Journal.compact()", () => {
  it("keeps what the links are, and every position from the last few KB on", async () => {
    const { seed, pick } = random();
    for (let round = rounds(5, 20); round > 0; round--) {
      const message = `seed ${seed}, round ${round}`;
      using dir = tempDir();
      const path = `${dir.path}/journal.jsonl`;
      let text = "";
      for (let n = pick(3000); n >= 0; n--) {
        const key = ["a", "é", "key", "\u{1f517}", 'q"', "x".repeat(300)][pick(6)] + pick(30);
        const url = pick(5) === 0 ? "" : `https://example.com/${"y".repeat(pick(200))}`;
        const id = pick(2) === 0 ? `id-${n}` : undefined;
        text += pick(20) === 0
          ? ` {"URL":"${url}", "Other":[1,{}], "Key":${JSON.stringify(key)}}\n`
          : formatLine({ key, url, id });
      }
      await Deno.writeTextFile(path, text);
      const load = async () => {
        const journal = await Journal.open(path);
        const links = new Map<string, string>();
        const changes = changesTo(({ key, url }) => {
          links.delete(key);
          links.set(key, url);
        });
        await journal.load(Object.defineProperty(changes, "keys", { get: () => links.size }));
        return { journal, links };
      };
      const { journal, links } = await load();
      for (let again = 0; again < 2; again++) {
        const { size, bytes } = journal;
        const check = await journal.feed.check(size);
        const compacted = await journal.compact();
        assertEquals(journal.size, size, message);
        if (compacted !== undefined) {
          assertLess(journal.bytes, bytes, message);
          assertEquals(compacted, { lines: journal.lines, bytes: journal.bytes });
          assertEquals(journal.size - journal.feed.base, journal.bytes);
        }
        if (bytes >= 64 << 10) assertEquals(await journal.feed.check(size), check, message);
        await journal.append(formatLine({ key: "after", url: `https://example.com/${again}` }));
        journal.publish();
        links.delete("after");
        links.set("after", `https://example.com/${again}`);
      }
      await journal.close();
      const loaded = await load();
      assertEquals([...loaded.links], [...links], message);
      assertEquals(loaded.journal.size, journal.size);
      assertEquals(loaded.journal.lines, journal.lines);
      await loaded.journal.close();
    }
  });

  it("leaves nothing of the lines before the last few KB, where they are all superseded", async () => {
    using dir = tempDir();
    const path = `${dir.path}/journal.jsonl`;
    await Deno.writeTextFile(path, superseded(1, 3000));
    for (let again = 0; again < 2; again++) {
      const journal = await Journal.open(path);
      const links = new Table();
      await journal.load(new LinkReader(links));
      const { sum, size } = journal.feed;
      if (again === 0) await journal.compact();
      assertEquals([links.size, journal.feed.sum, journal.feed.size], [1, sum, size]);
      assertLess(journal.bytes, 10_000);
      await journal.close();
    }
  });

  it("refuses to drop a line where the keys are not as many as there should be", async () => {
    using dir = tempDir();
    const path = `${dir.path}/journal.jsonl`;
    const text = journal(100) + journal(100);
    await Deno.writeTextFile(path, text);
    for (const keys of [99, 101]) {
      const file = await Journal.open(path);
      await file.load({ ...changesTo(() => {}), keys });
      const refused = await file.compact().catch((error) => error.message);
      assertMatch(refused, /journal\.jsonl: There are /);
      await file.close();
    }
    assertEquals(await Deno.readTextFile(path), text);
    assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["journal.jsonl"]);
  });
});

describe("a feed through a compaction", () => {
  it("goes on for who has come far enough, and ends for who has not", async () => {
    using dir = tempDir();
    const path = `${dir.path}/journal.jsonl`;
    const text = superseded(5000, 4);
    await Deno.writeTextFile(path, text);
    const file = await Journal.open(path);
    await file.load(new LinkReader(new Table()));
    try {
      const [near, far] = [await openFeed(file.feed), await openFeed(file.feed, 0)];
      const [nearby, behind] = [near.body.getReader(), far.body.getReader()];
      const { value: first = new Uint8Array() } = await behind.read();
      assertEquals(new TextDecoder().decode(first), text.slice(0, first.length));
      assertLess(first.length, text.length / 2);
      assert(await file.compact() !== undefined);
      const line = formatLine({ key: "new", url: "https://example.com/new" });
      await file.append(line);
      file.publish();
      const { value } = await nearby.read();
      assertEquals(new TextDecoder().decode(value), line);
      assertEquals((await behind.read()).done, true);
      // Who comes back is shown the way, by what it has.
      const check = await file.feed.check(file.size);
      assertEquals((await openFeed(file.feed, file.size, check)).offset, file.size);
      const anew = await openFeed(file.feed, first.length, "another");
      assertEquals(anew.offset, file.feed.base);
      const { value: begin } = await anew.body.getReader().read();
      assert(new TextDecoder().decode(begin).startsWith('{"Key":"","URL":"","Term":1,"Base":'));
      await Promise.all([nearby.cancel(), behind.cancel()]);
    } finally {
      await file.close();
    }
  });
});

describe("-compact -master=... of a master that goes on", () => {
  it("is done by the master while changes go on, and nothing is lost", async () => {
    using dir = tempDir();
    const [cwd, file] = [dir.path, `${dir.path}/store.jsonl`];
    await Deno.writeTextFile(file, superseded(2000, 4));
    await using master = await start({ cwd }, "-rpc");
    const load = new Load(master.url);
    for (let round = 0; round < 3; round++) {
      const { acknowledged } = load;
      await eventually(() => load.acknowledged > acknowledged + 100);
      const before = await size(file);
      const { code, stdout, stderr } = await compactAt(master.url);
      assertEquals(code, 0, stderr);
      const [, ...counts] =
        /^http:\/\/[\d.:]+: ([\d,]+) lines, ([\d,]+) bytes before; ([\d,]+) lines, ([\d,]+) bytes after\n$/
          .exec(stdout)!;
      const [lines, bytes, linesAfter, bytesAfter] = counts.map((n) => +n.replaceAll(",", ""));
      assertGreater(lines, linesAfter);
      assertGreater(bytes, bytesAfter);
      // Some 125 bytes for each link: what is kept, and what was added meanwhile.
      assert(bytes >= before && bytesAfter < 150 * (2000 + load.acknowledged + 100), stdout);
    }
    await load.stop();
    assertGreater(load.acknowledged, 300);
    assertEquals(said(master, "compacted").length, 3);
    await load.check();
    const { position, bytes } = await ready(master.url);
    master.kill("SIGKILL");
    await master.status;
    await master.begin();
    const after = await ready(master.url);
    assertEquals([after.position, after.bytes], [position, bytes]);
    await load.check();
    assertEquals((await follow(master.url, "7")).location?.slice(-4), "/3/7");
    // A file of hits comes a second after a link was followed.
    const names = Array.from(Deno.readDirSync(cwd), ({ name }) => name)
      .filter((name) => !name.startsWith("store.jsonl.hits")).sort();
    assertEquals(names, ["store.jsonl", "store.jsonl.pid"]);
  });

  // The calls by which a compaction changes something, in their order.
  const steps: [call: string, file: string, when?: number][] = [
    ["/^open", ".tmp"],
    ["flock", ".tmp"],
    ["write", ".tmp"],
    ["write", ".tmp", 3],
    ["fsync", ".tmp"], // of most of it
    ["fdatasync", ".tmp"], // of what came meanwhile
    ["/^rename", ".tmp"],
    ["fsync", ""], // of the folder
  ];

  for (const [call, file, when = 1] of steps) {
    it(
      `killed in call ${when} of ${call} of ${file || "its folder"} loses nothing (needs strace)`,
      {
        ignore: !canTrace,
      },
      async () => {
        using dir = tempDir();
        const [cwd, path] = [dir.path, `${dir.path}/store.jsonl`];
        await Deno.writeTextFile(path, superseded(2000, 4));
        const traced = file === "" ? cwd : `${path}${file}`;
        const inject = `inject=${call}:signal=KILL:when=${when}`;
        await using master = await start({ cwd }, "-rpc", `-file=${path}`);
        await using _tracer = await trace(master.pid, "-P", traced, "-e", inject);
        const load = new Load(master.url, 2); // each call is slow while it is traced
        await eventually(() => load.acknowledged > 20);
        const asked = compactAt(master.url);
        await eventually(() => master.exited, 20_000);
        await load.stop();
        await using again = await startHere({ cwd });
        await load.check(again.url);
        assertEquals((await follow(again.url, "7")).location?.slice(-4), "/3/7");
        assertEquals((await asked).code, 1);
      },
    );
  }

  it("is refused by who is busy or gone, and says who has the file, in one line", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/store.jsonl`, superseded(100, 2));
    await using master = await start({ cwd }, "-rpc");
    const inUse = await run({ cwd }, "-compact");
    const way = `process ${master.pid} compacts by itself; -compact -master=URL asks it now`;
    assertEquals([inUse.code, inUse.stderr], [1, `goto: store.jsonl: ${way}\n`]);
    master.kill("SIGSTOP");
    const { code, stderr } = await compactAt(master.url);
    assertEquals([code, stderr], [1, `goto: ${master.url}: it did not answer in time\n`]);
    master.kill("SIGCONT");
    assertEquals((await compactAt(master.url)).code, 0);
    await using replica = await start("-rpc", `-master=${master.url}`);
    const refused = await compactAt(replica.url);
    const reason = "this server keeps no log: ask its master";
    assertEquals([refused.code, refused.stderr], [1, `goto: ${replica.url}: ${reason}\n`]);
  });

  it("keeps the old one on a full disk, says so in one line, and takes links (needs root)", {
    ignore: !canMount,
  }, async () => {
    using dir = tempDir();
    await using disk = await smallDisk(dir.path, "3m");
    const text = superseded(10_000, 1) + superseded(5000, 1);
    using outside = tempDir();
    await Deno.writeTextFile(`${outside.path}/text`, text);
    assert((await disk.run("cp", `${outside.path}/text`, "store.jsonl")).success);
    const options = { cwd: dir.path, through: disk.through };
    await using master = await start(options, "-rpc");
    const at = `-master=${master.url}`;
    const { code, stdout, stderr } = await run(options, "-compact", at, "-log=json");
    assertEquals([code, stdout], [1, ""]);
    assertEquals(
      stderr.split("\n").filter((line) => !line.startsWith("{")),
      [`goto: ${master.url}: No space left on device`, ""],
    );
    await master.waitForLog(({ msg }) => msg === "cannot compact");
    assertEquals((await disk.run("ls")).stdout, "store.jsonl\nstore.jsonl.pid\n");
    assertEquals((await disk.run("cat", "store.jsonl")).stdout, text);
    const key = await add(master.url, "https://example.com/new");
    await master.restart();
    assertEquals(master.links, 10_001);
    assertEquals(await where(master.url, key), "https://example.com/new");
  });

  it("is given up when the master ends meanwhile", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    const text = superseded(60_000, 2);
    await Deno.writeTextFile(`${cwd}/store.jsonl`, text);
    await using master = await start({ cwd }, "-rpc");
    const asked = compactAt(master.url);
    const begun = () => size(`${cwd}/store.jsonl.tmp`).then(() => true, () => false);
    while (!await begun()) await new Promise((resolve) => setTimeout(resolve, 1)); // it doesn't last
    assertEquals((await master.stop()).code, 0);
    const { code, stderr } = await asked;
    assertEquals(code, 1);
    assertMatch(stderr.split("\n").at(-2) ?? "", /^goto: http:.*: ./);
    assertEquals([...Deno.readDirSync(cwd)].map(({ name }) => name), ["store.jsonl"]);
    assertEquals(await size(`${cwd}/store.jsonl`), text.length);
  });
});

it("a master compacts by itself once most lines of more than 64 MiB are superseded", async () => {
  using dir = tempDir();
  const cwd = dir.path;
  const line = (i: number, n: number) =>
    `{"Key":"${i}","URL":"https://example.com/${"x".repeat(7000)}/${n}"}\n`;
  const lines = 10_000; // 70 MB
  const text = Array.from({ length: lines }, (_, n) => line(n % (lines / 2), n)).join("");
  assertGreater(text.length, 64 << 20);
  await Deno.writeTextFile(`${cwd}/store.jsonl`, text);
  await using master = await startHere({ cwd });
  // Half of them is not yet most of them.
  await new Promise((resolve) => setTimeout(resolve, 1500)); // it looks every second
  assertEquals(said(master, "compacted").length, 0);
  assertEquals(await change(master.url, "0", "https://example.com/changed"), 200);
  const { bytes, before } = await master.waitForLog(({ msg }) => msg === "compacted", 20_000);
  assertGreater(before, text.length);
  assertLess(bytes, text.length / 2 + 10_000);
  assertEquals(await where(master.url, "0"), "https://example.com/changed");
  await master.restart();
  assertEquals(master.links, lines / 2);
});

describe("through a compaction", () => {
  it("a mirror, and a replica behind it, go on as if nothing had happened", async () => {
    using dir = tempDir();
    const path = (name: string) => `${dir.path}/${name}.jsonl`;
    const file = path("master");
    await Deno.writeTextFile(file, superseded(2000, 5));
    await using master = await start({ cwd: dir.path }, "-rpc", `-file=${file}`);
    await using mirror = await start(
      { cwd: dir.path },
      "-rpc",
      `-master=${master.url}`,
      `-file=${path("mirror")}`,
    );
    await using replica = await start(`-master=${mirror.url}`);
    await following(mirror);
    await following(replica);
    await keep(replica, "7");
    const load = new Load(master.url, 3); // each of its keys is looked for ten times
    const troubles = () =>
      [mirror, replica].flatMap((node) =>
        node.logs.filter(({ level, msg }) => level !== "info" || /cache|complete/.test(msg))
      ).length;
    const before = troubles();
    // The mirror's file is its own: what it is asked to do to it, it does.
    for (const name of ["master", "mirror", "master", "mirror"]) {
      const { acknowledged } = load;
      await eventually(() => load.acknowledged > acknowledged + 50);
      const { code, stderr } = await compactAt((name === "master" ? master : mirror).url);
      assertEquals([name, code], [name, 0], stderr);
      assertEquals(await change(replica.url, "7", `https://example.com/${acknowledged}`), 200);
      await agree([master, mirror, replica], "7", `https://example.com/${acknowledged}`);
    }
    await load.stop();
    await eventually(async () =>
      assertEquals((await ready(mirror.url)).position, (await ready(master.url)).position)
    );
    for (const node of [master, mirror, replica]) await load.check(node.url);
    assertEquals(troubles(), before);

    // Cut off, and started anew, they find their place in the other's journal.
    for (const node of [master, mirror, replica]) {
      await node.restart();
      for (const other of [mirror, replica]) {
        await following(other);
        await load.check(other.url);
      }
    }
    assertEquals(said(mirror, "the master's journal is another one").length, 0);

    // The mirror can take the master's place.
    const { position } = await ready(master.url);
    await master.stop();
    await mirror.stop();
    await using promoted = await start({ cwd: dir.path }, `-file=${path("mirror")}`);
    assertEquals((await ready(promoted.url)).position, position);
    await load.check(promoted.url);
  });

  it("a mirror that missed it copies the journal anew, and answers meanwhile", async () => {
    using dir = tempDir();
    const path = (name: string) => `${dir.path}/${name}.jsonl`;
    await Deno.writeTextFile(path("master"), superseded(2000, 5));
    await using master = await startHere(
      { cwd: dir.path },
      "-rpc",
      `-file=${path("master")}`,
    );
    const flags = [`-master=${master.url}`, `-file=${path("mirror")}`];
    await using mirror = await startHere({ cwd: dir.path }, ...flags);
    await following(mirror);
    await mirror.stop();
    const load = new Load(master.url);
    await eventually(() => load.acknowledged > 200); // more than what stays as it is
    await load.stop();
    assertEquals(await change(master.url, "7", "https://example.com/changed"), 200);
    assertEquals((await compactAt(master.url)).code, 0);
    await mirror.begin();
    assertEquals((await follow(mirror.url, "8")).status, 302);
    assertEquals(await where(mirror.url, "7"), "https://example.com/changed");
    await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
    await following(mirror);
    await load.check(mirror.url);
    assertEquals(await Deno.readTextFile(path("mirror")), await Deno.readTextFile(path("master")));
    assertEquals(await where(mirror.url, "7"), "https://example.com/changed");
  });
});
