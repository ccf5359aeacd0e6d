import { assert, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { Load } from "./load.ts";
import { startHere } from "./here.ts";
import { add, eventually, start, tempDir } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { change, following, freePort, journal, ready, where } from "./replicas.ts";
import { canMount, canTrace, smallDisk } from "./tools.ts";

/** What there is, but for a file of hits, which is made a second after a link was followed. */
const names = (path: string) =>
  Array.from(Deno.readDirSync(path), ({ name }) => name)
    .filter((name) => !name.includes(".hits")).sort();
const line = (text: string) => `goto: ${text}\n`;

describe("-backup", () => {
  for (const from of ["-file", "-master"] as const) {
    it(`${from}: takes all that was acknowledged while changes go on, compacted`, async () => {
      using dir = tempDir();
      const file = `${dir.path}/store.jsonl`;
      await Deno.writeTextFile(file, journal(3000) + journal(2000) + journal(1000));
      await using master = await start({ cwd: dir.path }, "-rpc", "-rpc-token=secret");
      assertEquals(await change(master.url, "1", "https://example.com/changed"), 200);
      assertEquals(await change(master.url, "2"), 204);
      const load = new Load(master.url);
      await eventually(() => load.acknowledged > 100);
      const known = await add(master.url, "https://example.com/before");
      const flags = from === "-file" ? [`-file=${file}`] : [`-master=${master.url}`];
      const options = { cwd: dir.path, env: { GOTO_RPC_TOKEN: "secret" } };
      const { code, stdout, stderr } = await run(options, ...flags, "-backup=copy.jsonl");
      const { acknowledged } = load;
      assertEquals([code, stderr], [0, ""]);
      await eventually(() => load.acknowledged > acknowledged);
      await load.stop();
      const copy = `${dir.path}/copy.jsonl`;
      const { size } = await Deno.stat(copy);
      const [, links, bytes] = /^copy\.jsonl: ([\d,]+) links, ([\d,]+) bytes\n$/.exec(stdout)!;
      assertEquals(Number(bytes.replaceAll(",", "")), size);
      assert(size < (await Deno.stat(file)).size * 2 / 3);
      assertEquals(names(dir.path), ["copy.jsonl", "store.jsonl", "store.jsonl.pid"]);

      // It is what a master starts on.
      await using restored = await start({ cwd: dir.path }, `-file=${copy}`);
      assertEquals(restored.links, Number(links.replaceAll(",", "")));
      assertEquals(await where(restored.url, known), "https://example.com/before");
      assertEquals(await where(restored.url, "1"), "https://example.com/changed");
      assertEquals(await where(restored.url, "2"), undefined);
      assertEquals(await where(restored.url, "2999"), "https://example.com/2999");
      const made = await add(restored.url, "https://example.com/new");
      assert(Number.isNaN(Number(made)) || Number(made) > 2999, made);
    });
  }

  it("takes from a mirror, and from a replica of one, what they have", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(5000) + journal(5000));
    await using master = await startHere({ cwd: dir.path }, "-rpc");
    const mirrored = [`-master=${master.url}`, `-file=${dir.path}/mirror.jsonl`];
    await using mirror = await startHere({ cwd: dir.path }, "-rpc", ...mirrored);
    await using replica = await startHere("-rpc", `-master=${mirror.url}`);
    await following(mirror);
    await following(replica);
    for (const [i, url] of [mirror.url, replica.url].entries()) {
      const { code, stdout } = await run(`-master=${url}`, `-backup=${dir.path}/${i}.jsonl`);
      assertEquals(code, 0);
      assertStringIncludes(stdout, ": 5,000 links, ");
    }
    // With both flags the file counts.
    const { stdout } = await run(...mirrored, `-backup=${dir.path}/file.jsonl`);
    assertStringIncludes(stdout, ": 5,000 links, ");
    assertEquals(
      await Deno.readTextFile(`${dir.path}/file.jsonl`),
      await Deno.readTextFile(`${dir.path}/0.jsonl`),
    );
    // Restored, it goes on at the positions of the master.
    await using restored = await startHere(`-file=${dir.path}/0.jsonl`);
    assertEquals((await ready(restored.url)).position, (await ready(master.url)).position);
  });

  it("refuses in one line, and leaves nothing behind", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    const backup = (...flags: string[]) => run({ cwd }, ...flags);
    const port = freePort();
    const refusals: [string[], string][] = [
      [[], "store.jsonl: No such file or directory"],
      [["-file=bad.jsonl"], "bad.jsonl:2: bad JSON; -repair moves bad lines to bad.jsonl.bad"],
      [[`-master=127.0.0.1:${port}`], `http://127.0.0.1:${port}: `],
    ];
    await Deno.writeTextFile(`${cwd}/bad.jsonl`, `${journal(1)}bad\n`);
    for (const [flags, reason] of refusals) {
      const { code, stdout, stderr } = await backup(...flags, "-backup=copy.jsonl");
      assertEquals([code, stdout], [1, ""]);
      assertStringIncludes(stderr, line(reason).trimEnd());
      assertEquals(stderr.split("\n").length, 2, stderr);
      assertEquals(names(cwd), ["bad.jsonl"]);
    }
    await Deno.writeTextFile(`${cwd}/store.jsonl`, journal(1));
    await Deno.writeTextFile(`${cwd}/copy.jsonl`, "precious");
    assertEquals(await backup("-backup=copy.jsonl"), {
      code: 1,
      stdout: "",
      stderr: line("copy.jsonl: It exists already, and a backup overwrites nothing"),
    });
    assertEquals(await Deno.readTextFile(`${cwd}/copy.jsonl`), "precious");
    for (const name of ["-", "folder/"]) {
      const { code, stderr } = await backup(`-backup=${name}`);
      assertEquals([code, stderr], [
        2,
        line(`-backup: "${name}" is not allowed: use the name of a file`),
      ]);
    }
  });

  it("of a feed that is cut is refused, not cut short", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(100_000));
    await using master = await start({ cwd: dir.path }, "-rpc");
    await using link = new Proxy(master.url);
    link.cutAfter(1 << 20);
    const { code, stdout } = await run(`-master=${link.url}`, `-backup=${dir.path}/copy.jsonl`);
    assertEquals([code, stdout], [1, ""]);
    assertEquals(names(dir.path), ["store.jsonl", "store.jsonl.pid"]);
  });

  it("on a full disk is refused, and leaves nothing behind (needs root)", {
    ignore: !canMount,
  }, async () => {
    using dir = tempDir();
    using outside = tempDir();
    await Deno.writeTextFile(`${outside.path}/store.jsonl`, journal(20_000));
    await using disk = await smallDisk(dir.path, "500k");
    const { code, stdout, stderr } = await run(
      { cwd: dir.path, through: disk.through },
      `-file=${outside.path}/store.jsonl`,
      "-backup=copy.jsonl",
    );
    assertEquals([code, stdout], [1, ""]);
    assertEquals(stderr, line("copy.jsonl: No space left on device"));
    assertEquals((await disk.run("ls")).stdout, "");
  });

  it(
    "has its name no sooner than it is on disk, and goes on where a killed one was (needs strace)",
    {
      ignore: !canTrace,
    },
    async () => {
      using dir = tempDir();
      const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
      await Deno.writeTextFile(file, journal(1000) + journal(1000));
      const inject = "inject=/^rename:signal=KILL";
      const through = [
        ...["strace", "-f", "-o", "/dev/null", "-P", `${copy}.part`],
        ...["-e", "trace=/^rename", "-e", inject],
      ];
      const killed = await run({ through }, `-file=${file}`, `-backup=${copy}`)
        .then(() => "by itself", (error: Error) => error.message);
      assertStringIncludes(killed, "SIGKILL");
      const calls = `${dir.path}/calls`;
      const traced = ["strace", "-f", "-y", "-o", calls, "-e", "trace=/^rename,fsync"];
      if (!names(dir.path).includes("copy.jsonl")) {
        assertGreater((await Deno.stat(`${copy}.part`)).size, 1000);
      } else {
        await Deno.remove(copy);
      }
      const { code } = await run({ through: traced }, `-file=${file}`, `-backup=${copy}`);
      assertEquals(code, 0);
      const text = await Deno.readTextFile(calls);
      const renamed = text.indexOf('copy.jsonl.part", "');
      assertGreater(renamed, 0, text);
      assertGreater(text.slice(0, renamed).lastIndexOf("copy.jsonl.part>)"), 0, text);
      assertGreater(text.slice(renamed).indexOf(`fsync`), 0, text);
      assertEquals(names(dir.path), ["calls", "copy.jsonl", "store.jsonl"]);
    },
  );

  it("leaves no file where that fails once it has its name (needs strace)", {
    ignore: !canTrace,
  }, async () => {
    using dir = tempDir();
    const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
    await Deno.writeTextFile(file, journal(10) + journal(10));
    const inject = ["-P", copy, "-e", "inject=fdatasync:error=EIO"]; // not while it is called .part
    const through = ["strace", "-D", "-f", "-o", "/dev/null", ...inject];
    const { code, stderr } = await run({ through }, `-file=${file}`, `-backup=${copy}`);
    assertEquals([code, stderr], [1, `goto: ${copy}: Input/output error\n`]);
    assertEquals(names(dir.path), ["store.jsonl"]);
  });
});
