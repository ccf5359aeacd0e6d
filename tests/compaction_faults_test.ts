/** Compactions whose system calls fail: on the disks of others they do. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { add, eventually, start, tempDir } from "./processes.ts";
import { where } from "./replicas.ts";
import { canTrace, tool, trace } from "./tools.ts";

/** A journal half of which is superseded. */
const text = [0, 1].flatMap((round) =>
  Array.from(
    { length: 1000 },
    (_, i) => `{"Key":"${i}","URL":"https://example.com/${round}/${i}"}\n`,
  )
).join("");

/** Starts a master on such a file, whose calls on `traced` fail as `inject` says; strace writes to `out`. */
async function startOn(cwd: string, traced: string, inject: string, out: string) {
  await Deno.writeTextFile(`${cwd}/store.jsonl`, text);
  const options = ["-D", "-f", "-o", out, "-P", traced, "-e", "trace=fsync,fdatasync"];
  const through = ["strace", ...options, "-e", `inject=${inject}`];
  return await start({ cwd, through }, "-rpc", `-file=${cwd}/store.jsonl`);
}

describe("-compact -master=... of a master that goes on", { ignore: !canTrace }, () => {
  it("leaves nothing open where the new file can't be synced (needs strace)", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    const fault = "fdatasync:error=EIO";
    await using master = await startOn(cwd, `${cwd}/store.jsonl.tmp`, fault, "/dev/null");
    for (let round = 0; round < 2; round++) {
      const { code, stdout, stderr } = await run("-compact", `-master=${master.url}`);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /^goto: http:.*: Input\/output error\n$/m);
      const { stdout: open } = await tool("ls", "-l", `/proc/${master.pid}/fd`);
      assertMatch(open, /store\.jsonl\n/);
      assertEquals(open.split("\n").filter((line) => line.includes(".tmp")), []);
    }
    assertEquals(await Deno.readTextFile(`${cwd}/store.jsonl`), text);
    const key = await add(master.url, "https://example.com/new");
    await master.stop();
    await using again = await start({ cwd });
    assertEquals(again.links, 1001);
    assertEquals(await where(again.url, key), "https://example.com/new");
  });

  it("takes no link until the name of the new file is on disk (needs strace)", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    using outside = tempDir();
    const out = `${outside.path}/calls`;
    // The compaction's own, and some of those that look whether it works by now: each thread's first one.
    await using master = await startOn(cwd, cwd, "fsync:error=EIO:when=1", out);
    const { code, stderr } = await run("-compact", `-master=${master.url}`);
    assertEquals(code, 0, stderr);
    await master.waitForLog(({ msg }) => msg === "cannot write");
    await master.waitForLog(({ msg }) => msg === "writing again");
    const calls = [...(await Deno.readTextFile(out)).matchAll(/fsync.* = (-?\d+)/g)];
    assertMatch(calls.map(([, result]) => result).join(" "), /^(-1 )+0$/);
    const key = await add(master.url, "https://example.com/new");
    await eventually(async () => await where(master.url, key) === "https://example.com/new");
  });

  for (
    const [call, traced] of [
      ["rename", "store.jsonl.tmp"],
      ["statx", "store.jsonl.tmp"],
      ["statx", "store.jsonl"],
      ["write", "store.jsonl.tmp"],
      ["fsync", "store.jsonl.tmp"],
    ]
  ) {
    it(`loses nothing where ${call} of ${traced} fails (needs strace)`, async () => {
      using dir = tempDir();
      const cwd = dir.path;
      await Deno.writeTextFile(`${cwd}/store.jsonl`, text);
      await using master = await start({ cwd }, "-rpc", `-file=${cwd}/store.jsonl`);
      const fault = ["-P", `${cwd}/${traced}`, "-e", `inject=${call}:error=EIO`];
      const during = await trace(master.pid, ...fault);
      const { code, stderr } = await run("-compact", `-master=${master.url}`);
      await during.stop();
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /^goto: http:.*: Input\/output error\n$/m);
      assertEquals(await Deno.readTextFile(`${cwd}/store.jsonl`), text);
      const key = await add(master.url, "https://example.com/new");
      master.kill("SIGKILL");
      await master.status;
      await master.begin();
      assertEquals(master.links, 1001);
      assertEquals(await where(master.url, key), "https://example.com/new");
      assertEquals((await run("-compact", `-master=${master.url}`)).code, 0);
    });
  }
});
