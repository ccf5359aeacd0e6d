/** The files beside a journal: who may read them, and what stands there that isn't ours. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Unsent } from "../hits/unsent.ts";
import { appendBeside, makeBeside, openBeside, readBeside } from "../journal/beside.ts";
import { startHere } from "./here.ts";
import { add, eventually, follow, run, start, tempDir } from "./processes.ts";
import { ready } from "./replicas.ts";
import { rounds } from "./rounds.ts";
import { tool } from "./tools.ts";

const onWindows = Deno.build.os === "windows"; // which has neither modes nor pipes

/** Makes a link. Deno's own function asks for more permissions than the tests have. */
async function symlink(target: string, path: string) {
  assert((await tool("ln", "-s", target, path)).success);
}

const A = `{"Key":"a","URL":"https://example.com/a"}\n`;
const PRECIOUS = "precious";

/** The modes of the files in a folder, in octal digits. */
function modes(path: string): Record<string, string> {
  const files = [...Deno.readDirSync(path)].filter(({ isFile }) => isFile);
  return Object.fromEntries(
    files.map(({ name }) => [name, (Deno.statSync(`${path}/${name}`).mode! & 0o777).toString(8)]),
  );
}

const all600 = (path: string) => {
  for (const [name, mode] of Object.entries(modes(path))) assertEquals(mode, "600", name);
};

describe("new files are for their owner alone:", { ignore: onWindows }, () => {
  it("a master's, what is cut off of one, and a backup's", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await start({ cwd }, "-rpc");
    await add(master.url, "https://example.com/a", "a");
    await follow(master.url, "a");
    await eventually(() => Deno.statSync(`${cwd}/store.jsonl.hits`).size > 0);
    assert("store.jsonl.pid" in modes(cwd));
    all600(cwd);
    assertEquals((await run({ cwd }, "-backup=copy.jsonl")).code, 0);
    assertEquals((await run("-compact", `-master=${master.url}`)).code, 0);
    await master.stop();
    await Deno.writeTextFile(`${cwd}/store.jsonl`, `{"Key":"torn`, { append: true });
    await master.begin();
    assert("store.jsonl.bad" in modes(cwd));
    assert("copy.jsonl" in modes(cwd));
    all600(cwd);
  });

  it("a mirror's, also while it is not finished, and those that it keeps", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await startHere("-rpc");
    await add(master.url, "https://example.com/a", "a");
    await follow(master.url, "a");
    await using mirror = await startHere({ cwd }, `-master=${master.url}`, "-file=copy.jsonl");
    await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
    await eventually(() => "copy.jsonl.hits" in modes(cwd));
    all600(cwd);
    await follow(mirror.url, "a");
    await master.stop();
    await mirror.stop();
    all600(cwd);
  });

  it("a database's", async () => {
    using dir = tempDir();
    await using master = await start({ cwd: dir.path }, "-kv=links.db");
    await add(master.url, "https://example.com/a", "a");
    assert("links.db" in modes(dir.path));
    all600(dir.path);
  });

  it("while those that were there keep their mode, also when others take their place", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/store.jsonl`, A.repeat(9));
    await Deno.chmod(`${cwd}/store.jsonl`, 0o644);
    await Deno.writeTextFile(`${cwd}/store.jsonl.hits`, "damaged\n"); // which is set aside
    await Deno.chmod(`${cwd}/store.jsonl.hits`, 0o640);
    await using master = await startHere({ cwd }, "-rpc");
    assertMatch((await run("-compact", `-master=${master.url}`)).stdout, /; 2 lines, .* after/);
    const { "store.jsonl": journal, "store.jsonl.hits.bad": aside, ...others } = modes(cwd);
    assertEquals([journal, aside, others["store.jsonl.hits"]], ["644", "640", "600"]);
  });
});

/** What may be put where a file of ours would be. */
const planted: Record<string, (path: string, target: string) => Promise<unknown>> = {
  "a link to a file": (path, target) => symlink(target, path),
  "a pipe": (path) => tool("mkfifo", path),
  "a folder": async (path) => {
    await Deno.mkdir(path);
    await Deno.writeTextFile(`${path}/file`, PRECIOUS);
  },
  "a link to nowhere": (path, target) => symlink(`${target}.none`, path),
  "a link to a pipe": (path, target) => symlink(`${target}.pipe`, path),
  "a link to an endless device": (path) => symlink("/dev/zero", path),
};

const BESIDE = ["tmp", "pid", "bad", "compact", "compact.tmp", "hits", "hits.pid", "hits.unsent"];
const OF_MIRRORS = ["part", "part.tmp", "part.pid", "part.bad", "hits.part", "hits.part.pid"];
const OF_BACKUPS = ["part", "part.tmp", "part.pid"];

describe("what others put beside a file is neither written nor read, nor waited for:", {
  ignore: onWindows,
}, () => {
  // Each takes ten processes: the suite leaves the rest to the last tests of this file.
  for (const [name, plant] of Object.entries(planted).slice(0, rounds(3, 6))) {
    it(name, async () => {
      using outside = tempDir();
      const target = `${outside.path}/target`;
      await Deno.writeTextFile(target, PRECIOUS);
      await tool("mkfifo", `${target}.pipe`);
      const isSafe = async () => {
        assertEquals(await Deno.readTextFile(target), PRECIOUS);
        assertEquals([...Deno.readDirSync(outside.path)].length, 2, "a link was followed");
      };

      using dir = tempDir();
      const cwd = dir.path;
      const file = `${cwd}/store.jsonl`;
      await Deno.writeTextFile(file, A + A);
      for (const suffix of BESIDE) await plant(`${file}.${suffix}`, target);
      await using master = await startHere({ cwd }, "-rpc");
      assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
      await add(master.url, "https://example.com/b", "b");
      const compacted = await run("-compact", `-master=${master.url}`);
      assertEquals([compacted.code, compacted.stderr], [0, ""]);
      await isSafe();
      assertEquals((await follow(master.url, "b")).location, "https://example.com/b");
      assertEquals((await run({ cwd }, "-export")).code, 0);

      using elsewhere = tempDir();
      const copy = `${elsewhere.path}/copy.jsonl`;
      for (const suffix of [...BESIDE, ...OF_MIRRORS]) await plant(`${copy}.${suffix}`, target);
      await plant(`${copy}.old-20260101T000000Z`, target);
      await using mirror = await startHere(`-master=${master.url}`, `-file=${copy}`);
      // Where its copy can't be, it is a cache.
      assertEquals((await follow(mirror.url, "b")).location, "https://example.com/b");
      await mirror.waitForLog(({ reason }) => /part: Not a regular file/.test(reason));
      await mirror.stop();
      await Deno.remove(`${copy}.part`, { recursive: true });
      await mirror.begin();
      await eventually(async () => assert((await ready(mirror.url)).complete));
      await follow(mirror.url, "b");
      await mirror.stop();
      await isSafe();

      const backup = `${cwd}/backup.jsonl`;
      for (const suffix of OF_BACKUPS) await plant(`${backup}.${suffix}`, target);
      const refused = await run({ cwd }, "-backup=backup.jsonl");
      assertEquals([refused.code, refused.stderr], [
        1,
        "goto: backup.jsonl.part: Not a regular file\n",
      ]);
      await Deno.remove(`${backup}.part`, { recursive: true });
      await run({ cwd }, "-backup=backup.jsonl");
      await isSafe();

      await master.stop();
      await Deno.writeTextFile(file, `{"Key":"torn`, { append: true });
      for (const suffix of BESIDE) {
        await Deno.remove(`${file}.${suffix}`, { recursive: true }).catch(() => {});
        await plant(`${file}.${suffix}`, target);
      }
      await master.begin();
      assertMatch((await ready(master.url)).reason, /store\.jsonl\.bad: Not a regular file/);
      assertEquals((await follow(master.url, "b")).location, "https://example.com/b");
      await isSafe();
      if (name === "a folder") {
        assertEquals(await Deno.readTextFile(`${file}.bad/file`), PRECIOUS);
        assertEquals(await Deno.readTextFile(`${file}.tmp/file`), PRECIOUS);
      }
    });
  }

  it("a backup is put over no link, and no file but an earlier try is written over", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/store.jsonl`, A);
    await symlink("nowhere", `${cwd}/link.jsonl`);
    const linked = await run({ cwd }, "-backup=link.jsonl");
    assertMatch(linked.stderr, /^goto: link\.jsonl: It exists already/);
    await Deno.writeTextFile(`${cwd}/b.jsonl.part`, PRECIOUS);
    const foreign = await run({ cwd }, "-backup=b.jsonl");
    assertMatch(foreign.stderr, /^goto: b\.jsonl\.part: Not a journal of goto's/);
    assertEquals(await Deno.readTextFile(`${cwd}/b.jsonl.part`), PRECIOUS);
    await Deno.writeTextFile(`${cwd}/b.jsonl.part`, A.slice(0, 12));
    assertEquals((await run({ cwd }, "-backup=b.jsonl")).code, 0);
  });

  it("a mirror copies over no file that is none of ours", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await startHere("-rpc");
    await add(master.url, "https://example.com/a", "a");
    await Deno.writeTextFile(`${cwd}/copy.jsonl.part`, PRECIOUS);
    await using mirror = await startHere({ cwd }, `-master=${master.url}`, "-file=copy.jsonl");
    await mirror.waitForLog(({ reason }) => /copy\.jsonl\.part: Not a journal/.test(reason));
    assertEquals(await Deno.readTextFile(`${cwd}/copy.jsonl.part`), PRECIOUS);
    assertEquals((await follow(mirror.url, "a")).location, "https://example.com/a");
  });

  it("FILE itself may be a link: what stands beside it stands beside the file", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.mkdir(`${cwd}/data`);
    await Deno.writeTextFile(`${cwd}/data/links.jsonl`, `${A}{"Key":"torn`);
    await symlink("data/links.jsonl", `${cwd}/store.jsonl`);
    await using master = await startHere({ cwd });
    assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
    assertEquals(await Deno.readTextFile(`${cwd}/data/links.jsonl.bad`), `{"Key":"torn\n`);
    assertEquals((await run({ cwd }, "-export")).stdout, A);
    assertEquals([...Deno.readDirSync(cwd)].length, 2);
  });
});

describe("a file beside", { ignore: onWindows }, () => {
  it("is opened, made, and read only where it is a regular one", async () => {
    using dir = tempDir();
    const [path, target] = [`${dir.path}/file`, `${dir.path}/target`];
    await Deno.writeTextFile(target, PRECIOUS);
    for (const plant of Object.values(planted)) {
      await plant(path, target);
      for (const open of [openBeside, appendBeside, makeBeside, readBeside]) {
        const error = await open(path).then(() => undefined, (error) => error);
        assertMatch(`${error}`, open === makeBeside ? /File exists/ : /Not a regular file/);
      }
      await Deno.remove(path, { recursive: true });
    }
    using file = await appendBeside(path);
    await file.write(new TextEncoder().encode("text"));
    assertEquals(await readBeside(path), "text");
    assertMatch(`${await readBeside(path, 3).catch((error) => error)}`, /Over 3 bytes/);
  });

  it("of hits that are not sent takes the place of a link", async () => {
    using dir = tempDir();
    const [path, target] = [`${dir.path}/s.hits.unsent`, `${dir.path}/target`];
    await Deno.writeTextFile(target, PRECIOUS);
    await symlink(target, `${path}.tmp`);
    await symlink(target, path);
    const unsent = new Unsent(path);
    await unsent.save([{ day: 20782, hits: [["a", 1, 0]], id: "1" }]);
    assertEquals(await Deno.readTextFile(target), PRECIOUS);
    assertEquals((await new Unsent(path).load()).length, 1);
    assertEquals(modes(dir.path)["s.hits.unsent"], "600");
  });
});
