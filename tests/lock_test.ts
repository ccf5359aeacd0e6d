import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { add, follow, type Options, run, start, tempDir } from "./processes.ts";
import { asMortal, canMount, tool } from "./tools.ts";

/** Starts a master that must refuse, and gives the one line it says. */
async function refusal(options: Options, ...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(options, "-http=127.0.0.1:0", ...flags);
  assertEquals([code, stdout], [1, ""], stderr);
  assertMatch(stderr, /^goto: [^\n]+\n$/);
  return stderr.slice("goto: ".length).trimEnd();
}

describe("one journal has one writer", () => {
  it("a second master exits 1 and says who has the file, also through a link", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await start({ cwd });
    await tool("ln", "-s", "store.jsonl", `${cwd}/link.jsonl`);
    await tool("ln", `${cwd}/store.jsonl`, `${cwd}/hard.jsonl`);
    const held = `store.jsonl: Already in use by process ${master.pid}`;
    assertEquals(await refusal({ cwd }), held);
    assertEquals(await refusal({ cwd }, `-file=${cwd}/store.jsonl`), `${cwd}/${held}`);
    assertStringIncludes(await refusal({ cwd }, "-file=link.jsonl"), held);
    assertEquals(
      await refusal({ cwd }, "-file=hard.jsonl"),
      "hard.jsonl: Already in use by another process",
    );
    await add(master.url, "https://example.com/"); // the first one is none the worse
  });

  it("the pid file takes the place of a link, and neither writes nor reads through it", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    const [pid, target] = [`${cwd}/store.jsonl.pid`, `${cwd}/precious`];
    await Deno.writeTextFile(target, "precious");
    assert((await tool("ln", "-s", target, pid)).success);
    await using holder = await start({ cwd });
    assertEquals(await Deno.readTextFile(target), "precious");
    assertEquals((await Deno.lstat(pid)).isSymlink, false);
    assertEquals(await Deno.readTextFile(pid), `${holder.pid}\n`);
    // A pipe that nobody writes to must not hold up the one who asks who has the journal.
    await Deno.remove(pid);
    assert((await tool("mkfifo", pid)).success);
    const held = "store.jsonl: Already in use by another process";
    assertEquals(await refusal({ cwd }), held);
    await Deno.remove(pid);
    assert((await tool("ln", "-s", "/dev/zero", pid)).success);
    assertEquals(await refusal({ cwd }), held);
  });

  it("a killed master's journal is free at once", async () => {
    await using master = await start();
    await add(master.url, "https://example.com/", "a");
    master.kill("SIGKILL");
    await master.status;
    await master.begin();
    assertEquals((await follow(master.url, "a")).location, "https://example.com/");
  });

  it("a replica doesn't take its master's journal for a mirror", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await start({ cwd }, "-rpc");
    const said = await refusal({ cwd }, `-master=${master.url}`, "-file=store.jsonl");
    assertEquals(said, `store.jsonl: Already in use by process ${master.pid}`);
    await using replica = await start({ cwd }, `-master=${master.url}`); // without a file, it may
    await add(replica.url, "https://example.com/", "a");
    assertEquals((await follow(master.url, "a")).location, "https://example.com/");
  });
});

describe("a journal that can't be used is refused in one line:", () => {
  it("a directory", async () => {
    using dir = tempDir();
    assertEquals(await refusal({ cwd: dir.path }, "-file=."), ".: Is a directory");
  });

  it("a path that isn't there", async () => {
    using dir = tempDir();
    assertEquals(
      await refusal({ cwd: dir.path }, "-file=no/store.jsonl"),
      "no/store.jsonl: No such file or directory",
    );
    assertEquals(await refusal({ cwd: dir.path }, "-compact"), "store.jsonl: No such file");
  });

  it("a path through a file", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/file`, "");
    assertEquals(
      await refusal({ cwd: dir.path }, "-file=file/store.jsonl"),
      "file/store.jsonl: Not a directory",
    );
  });

  it("a pipe", { ignore: Deno.build.os === "windows" }, async () => {
    using dir = tempDir();
    await tool("mkfifo", `${dir.path}/pipe`);
    assertEquals(await refusal({ cwd: dir.path }, "-file=pipe"), "pipe: Not a regular file");
  });

  const mortal = { ignore: asMortal === undefined };

  it("one that may not be read", mortal, async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, "");
    await Deno.chmod(`${dir.path}/store.jsonl`, 0o200);
    assertEquals(
      await refusal({ cwd: dir.path, through: asMortal }),
      "store.jsonl: Permission denied",
    );
  });

  it("one that may only be read", mortal, async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, "");
    await Deno.chmod(`${dir.path}/store.jsonl`, 0o400);
    assertEquals(
      await refusal({ cwd: dir.path, through: asMortal }),
      "store.jsonl: Permission denied",
    );
  });

  it("one in a directory that may only be read", mortal, async () => {
    using dir = tempDir();
    await Deno.mkdir(`${dir.path}/data`, { mode: 0o500 });
    assertEquals(
      await refusal({ cwd: dir.path, through: asMortal }, "-file=data/store.jsonl"),
      "data/store.jsonl: Permission denied",
    );
  });

  it("one on a file system that is mounted read-only (needs root)", {
    ignore: !canMount,
  }, async () => {
    using dir = tempDir();
    await Deno.mkdir(`${dir.path}/data`);
    await Deno.writeTextFile(`${dir.path}/data/store.jsonl`, "");
    const mount = 'mount --bind data data && mount -o remount,ro,bind data && exec "$@"';
    assertEquals(
      await refusal(
        { cwd: dir.path, through: ["unshare", "-m", "sh", "-c", mount, "sh"] },
        "-file=data/store.jsonl",
      ),
      "data/store.jsonl: Read-only file system",
    );
  });
});
