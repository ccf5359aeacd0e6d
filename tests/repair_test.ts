import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MAX_LINE } from "../journal/feed.ts";
import { JournalError } from "../journal/file.ts";
import { Journal } from "../journal/journal.ts";
import { changesTo } from "../journal/log.ts";
import { repair } from "../journal/maintenance.ts";
import { follow, run, start, tempDir } from "./processes.ts";
import { memory } from "./replicas.ts";
import { tool } from "./tools.ts";

const A = `{"Key":"a","URL":"https://example.com/a"}\n`;
const B = `{"Key":"b","URL":"https://example.com/b"}\n`;
const C = `{"Key":"c","URL":"https://example.com/c"}\n`;
const MARK = "\ufeff";

/** Puts parts into a file, each so often. */
async function write(path: string, ...parts: [text: string, times: number][]) {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (const [text, times] of parts) {
    const bytes = new TextEncoder().encode(text);
    for (let i = 0; i < times; i++) {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    }
  }
}

async function load(path: string): Promise<string[]> {
  const keys: string[] = [];
  const journal = await Journal.open(path);
  try {
    await journal.load(changesTo(({ key }) => keys.push(key)));
    return keys;
  } finally {
    await journal.close();
  }
}

describe("-repair", () => {
  const MIB = "x".repeat(1 << 20);

  for (const [where, ends] of [["in the middle", "\n"], ["at the end, unended", ""]]) {
    it(`moves a line of over 64 MiB ${where} to FILE.bad, in bounded memory`, async () => {
      using dir = tempDir();
      const path = `${dir.path}/store.jsonl`;
      const rest = ends ? C : "";
      await write(path, [A + B, 1], [MIB, 300], [ends + rest, 1]);
      const { code, stderr } = await run({ cwd: dir.path }, "-http=127.0.0.1:0");
      assertEquals([code, stderr], [
        1,
        `goto: store.jsonl:3: a line of over ${MAX_LINE} bytes; ` +
        `-repair moves bad lines to store.jsonl.bad\n`,
      ]);
      assertEquals((await Deno.stat(path)).size, (A + B + ends + rest).length + 300 * MIB.length);

      const startsWithin = 60_000; // it reads and writes 900 MiB
      await using master = await start({ cwd: dir.path, startsWithin }, "-repair");
      assertEquals(master.links, ends ? 3 : 2);
      assertLess(await memory(master), 300, "MiB");
      const { lines } = await master.waitForLog(({ msg }) => msg === "moved bad lines aside");
      assertEquals(lines, 1);
      assertEquals(await Deno.readTextFile(path), A + B + rest);
      assertEquals((await Deno.stat(`${path}.bad`)).size, 300 * MIB.length + 1);
      assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
    });
  }

  it("keeps the good link behind a byte order mark, wherever one stands", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    // One lies across the end of a read of 1 MiB.
    const long = `{"Key":"long","URL":"https://example.com/`;
    const filler = "x".repeat((1 << 20) - 1 - (MARK + A).length - 2 - long.length - 3);
    const texts = [MARK + A, `${long}${filler}"}\n`, MARK + B, "bad\n", MARK + MARK + C];
    await Deno.writeTextFile(path, texts.join(""));
    await assertRejects(() => load(path), JournalError, `${path}:1: a byte order mark; -repair`);
    await using master = await start({ cwd: dir.path }, "-repair");
    assertEquals(master.links, 4);
    const { lines } = await master.waitForLog(({ msg }) => msg === "removed byte order marks");
    assertEquals(lines, 3);
    assertEquals(await Deno.readTextFile(path), `${A}${long}${filler}"}\n${B}${C}`);
    assertEquals(await Deno.readTextFile(`${path}.bad`), "bad\n");
  });

  it("keeps a good last link behind a byte order mark, also where its newline is missing", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const text = MARK + A.trimEnd();
    await Deno.writeTextFile(path, text);
    await assertRejects(() => load(path), JournalError, `${path}:1: a byte order mark; -repair`);
    assertEquals(await Deno.readTextFile(path), text, "it was not torn");
    await repair(path);
    assertEquals(await Deno.readTextFile(path), A);
    assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["store.jsonl"]);
  });

  it("moves what is bad with a byte order mark and without one", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, `${A}${MARK}bad\n${B}`);
    await assertRejects(() => load(path), JournalError, `${path}:2: bad JSON`);
    await repair(path);
    assertEquals(await Deno.readTextFile(path), A + B);
    assertEquals(await Deno.readTextFile(`${path}.bad`), `${MARK}bad\n`);
  });

  it("keeps a last line of some megabytes that lacks only its newline", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const long = `{"Key":"long","URL":"https://example.com/${"x".repeat(3 << 20)}"}`;
    await Deno.writeTextFile(path, A + long);
    assertEquals(await load(path), ["a", "long"]);
    assertEquals(await Deno.readTextFile(path), `${A}${long}\n`);
  });

  it("puts nothing where FILE.bad is a link to", async () => {
    using dir = tempDir();
    const [path, target] = [`${dir.path}/store.jsonl`, `${dir.path}/precious`];
    await Deno.writeTextFile(path, `${A}bad\n`);
    await Deno.writeTextFile(target, "precious");
    assert((await tool("ln", "-s", target, `${path}.bad`)).success);
    const { code, stderr } = await run({ cwd: dir.path }, "-http=127.0.0.1:0", "-repair");
    assertEquals(code, 1);
    assertMatch(stderr, /^goto: store\.jsonl\.bad: Not a regular file\n$/);
    assertEquals(await Deno.readTextFile(target), "precious");
    assertEquals(await Deno.readTextFile(path), `${A}bad\n`);
  });
});
