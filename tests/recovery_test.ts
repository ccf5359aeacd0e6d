import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { add, eventually, follow, run, start, tempDir } from "./processes.ts";
import { freePort } from "./replicas.ts";
import { canTrace, trace } from "./tools.ts";

const A = `{"Key":"a","URL":"https://example.com/a"}\n`;
const B = `{"Key":"b","URL":"https://example.com/b"}\n`;

describe("a start", () => {
  it("cuts off a torn last line, with a warning that shows it", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, `${A}${B}{"Key":"c","URL":"https://ex`);
    await using master = await start({ cwd: dir.path });
    assertEquals(master.links, 2);
    const { level, file, bytes, text } = await master.waitForLog(({ msg }) => msg.includes("torn"));
    assertEquals([level, file, bytes, text], [
      "warn",
      "store.jsonl",
      28,
      `{"Key":"c","URL":"https://ex`,
    ]);
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl`), A + B);
    const key = await add(master.url, "https://example.com/c");
    assertEquals((await follow(master.url, key)).location, "https://example.com/c");
  });

  it("with a bad line is refused in one line, which names file, line, reason and remedy", async () => {
    using dir = tempDir();
    const text = `${A}{"Key":"b"}\n${B}`;
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, text);
    const { code, stderr } = await run({ cwd: dir.path }, "-http=127.0.0.1:0");
    assertEquals(code, 1);
    assertEquals(
      stderr,
      `goto: store.jsonl:2: "URL" is missing; -repair moves bad lines to store.jsonl.bad\n`,
    );
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl`), text);
    assertEquals([...Deno.readDirSync(dir.path)].length, 1);
  });

  it("with -repair moves bad lines to FILE.bad, says how many, and goes on", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, `${A}bad\n${B}{"Key":"b"}\n{"Key":`);
    await using master = await start({ cwd: dir.path }, "-repair");
    assertEquals(master.links, 2);
    const { level, lines, file } = await master.waitForLog(({ msg }) => msg.includes("aside"));
    assertEquals([level, lines, file], ["warn", 2, "store.jsonl.bad"]);
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl`), A + B);
    const aside = `{"Key":\nbad\n{"Key":"b"}\n`; // what was torn off, and then bad lines
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl.bad`), aside);
    await add(master.url, "https://example.com/c", "c");
    await master.restart(); // -repair, where there is nothing to repair
    assertEquals(master.links, 3);
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl.bad`), aside);
  });

  it("that takes long tells how far it is, and that it is alive (needs strace)", {
    ignore: !canTrace,
  }, async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, A.repeat(100_000)); // 4 MiB, of which a read takes 1
    const slow = ["-P", path, "-e", "trace=read", "-e", "inject=read:delay_enter=260000"];
    const through = ["strace", "-f", "-D", "-o", "/dev/null", ...slow];
    const http = `127.0.0.1:${freePort()}`;
    const starting = start({ cwd: dir.path, through }, `-http=${http}`, `-file=${path}`);
    const alive = await eventually(async () =>
      await (await fetch(`http://${http}/healthz`)).text()
    );
    assertEquals(alive, "ok\n");
    const early = await fetch(`http://${http}/readyz`);
    assertEquals([early.status, await early.text()], [503, "starting\n"]);
    await using master = await starting;
    const { percent } = await master.waitForLog(({ msg }) => msg === `loading ${path}`);
    assertGreater(percent, 0);
    assertEquals(master.links, 1);
  });
});

it("the sync returns before the answer is sent (needs strace)", { ignore: !canTrace }, async () => {
  await using master = await start();
  await add(master.url, "https://example.com/warm-up");
  const calls = "trace=write,writev,pwrite64,sendto,sendmsg,fdatasync";
  await using strace = await trace(master.pid, "-s", "100", "-e", calls);
  await add(master.url, "https://example.com/traced");
  const lines = (await strace.stop()).split("\n");
  const write = lines.findIndex((line) => line.includes("example.com/traced"));
  const sync = lines.findIndex((line) => /fdatasync(\(\d+\)| resumed>\)) += 0/.test(line));
  const answer = lines.findIndex((line) => line.includes("HTTP/1.1 200"));
  assertMatch(lines[write], /"Key/);
  assert(write !== -1 && write < sync && sync < answer, lines.join("\n"));
});
