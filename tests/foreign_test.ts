/** Files that are none of ours, or end in something odd, and the commands that must leave them alone. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { add, eventually, follow, start, tempDir } from "./processes.ts";
import { ready } from "./replicas.ts";
import { rounds } from "./rounds.ts";
import { asMortal, canLimit, canMount, smallDisk, tool } from "./tools.ts";

const encoder = new TextEncoder();
const A = `{"Key":"a","URL":"https://example.com/a"}\n`;
const B = `{"Key":"b","URL":"https://example.com/b"}\n`;
const TORN = `{"Key":"c","URL":"https://exa`;

/** The names in a folder, and what the files hold. */
async function everything(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(path)) {
    found[name] = isFile ? (await Deno.readFile(`${path}/${name}`)).toString() : "";
  }
  return found;
}

const foreign: Record<string, string | Uint8Array> = {
  "notes without a newline": "notes without newline",
  "a text": "one\ntwo\n",
  "a binary file": Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0xff, 10, 0xfe, 0),
  "a binary file without a newline": Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 13),
  "CSV": "key,url\na,https://example.com/",
  "one line of CSV": "key,url",
  "another program's JSON lines": `{"level":"info","msg":"a"}\n{"level":"info","msg":"b"}\n`,
  "a torn line of another program's JSON": `{"level":"info","ms`,
  "a JSON document": `{\n  "version": 1\n}\n`,
  "NUL bytes": "\0".repeat(5000),
};

/** How a file may end, or be, that was written by us. */
const odd: Record<string, [text: string | Uint8Array, links: number]> = {
  "a torn line": [A + B + TORN, 2],
  "a line torn in a character of two bytes": [
    Uint8Array.of(...encoder.encode(A + TORN), 0xc3),
    1,
  ],
  "NUL bytes": [A + "\0".repeat(5000), 1],
  "a torn line and NUL bytes": [A + TORN + "\0\0\0", 1],
  "a line that lacks its newline": [A + B.trimEnd(), 2],
  "nothing but a torn line": [TORN, 0],
  "nothing but the beginning of one": [`{"K`, 0],
  "nothing": ["", 0],
};

const bytesOf = (text: string | Uint8Array) =>
  typeof text === "string" ? encoder.encode(text) : text;

describe("a file that is no journal of ours is refused, and nothing of it is touched:", () => {
  const all = [
    ["-http=127.0.0.1:0"],
    ["-http=127.0.0.1:0", "-master=127.0.0.1:1"],
    ["-export"],
    ["-backup=copy.jsonl"],
    ["-compact", "-repair"],
  ];
  for (const [i, [name, content]] of Object.entries(foreign).entries()) {
    // In the suite each file meets two of them, and each of them four files.
    const some = rounds(2, all.length) === all.length ? all : [all[i % 5], all[(i + 2) % 5]];
    it(name, async () => {
      using dir = tempDir();
      const cwd = dir.path;
      await Deno.writeFile(`${cwd}/n`, bytesOf(content));
      await Deno.writeTextFile(`${cwd}/n.tmp`, "another program's");
      const before = await everything(cwd);
      for (const flags of some) {
        const { code, stdout, stderr } = await run({ cwd }, "-file=n", ...flags);
        assertEquals([code, stdout], [1, ""]);
        assertMatch(stderr, /^goto: n(:1: [^\n]*|: Not a journal of goto's[^\n]*)\n$/);
        assertEquals(await everything(cwd), before, flags.join(" "));
      }
    });
  }
});

describe("commands that read write nothing, neither there nor beside it, where a file ends in", () => {
  const all = [["-export"], ["-export", "-promote"], ["-export=csv", "-repair"]];
  for (const [i, [name, [text, links]]] of Object.entries(odd).entries()) {
    const some = rounds(1, all.length) === all.length ? all : [all[i % 3]];
    it(name, async () => {
      using dir = tempDir();
      const cwd = dir.path;
      await Deno.writeFile(`${cwd}/s.jsonl`, bytesOf(text));
      await Deno.writeTextFile(`${cwd}/s.jsonl.hits`, `{"Day":20782,"Rows":[1],"Ke`);
      await Deno.writeTextFile(`${cwd}/s.jsonl.hits.unsent`, "kept");
      const before = await everything(cwd);
      const { mtime } = await Deno.stat(`${cwd}/s.jsonl`);
      for (const flags of some) {
        const { code, stdout } = await run({ cwd }, "-file=s.jsonl", ...flags);
        assertEquals(code, 0);
        assertEquals(stdout.split("\n").length - 1, links + (flags[0] === "-export" ? 0 : 1));
        assertEquals(await everything(cwd), before);
      }
      const { stdout } = await run({ cwd }, "-file=s.jsonl", "-backup=copy.jsonl");
      assertMatch(stdout, new RegExp(`^copy\\.jsonl: ${links} links`));
      await Deno.remove(`${cwd}/copy.jsonl`);
      assertEquals(await everything(cwd), before);
      assertEquals((await Deno.stat(`${cwd}/s.jsonl`)).mtime, mtime);
    });
  }

  it("what a running master has just now: -export reads beside it", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await using master = await start({ cwd });
    await add(master.url, "https://example.com/a", "a");
    const before = await Deno.readTextFile(`${cwd}/store.jsonl`);
    const { code, stdout } = await run({ cwd }, "-export");
    assertEquals([code, stdout], [0, before]);
    assertEquals(await Deno.readTextFile(`${cwd}/store.jsonl.pid`), `${master.pid}\n`);
    await add(master.url, "https://example.com/b", "b");
  });

  it("a file that may only be read, in a folder that may only be read", {
    ignore: asMortal === undefined || Deno.build.os === "windows",
  }, async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/s.jsonl`, A + TORN);
    await Deno.chmod(`${cwd}/s.jsonl`, 0o400);
    await Deno.chmod(cwd, 0o500);
    try {
      const options = { cwd, through: asMortal };
      assertEquals((await run(options, "-file=s.jsonl", "-export")).stdout, A);
      const { code, stderr } = await run(options, "-file=s.jsonl", "-http=127.0.0.1:0");
      assertEquals([code, stderr], [1, "goto: s.jsonl: Permission denied\n"]);
    } finally {
      await Deno.chmod(cwd, 0o700);
    }
  });

  it("a file on a read-only mount (needs root)", { ignore: !canMount }, async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.mkdir(`${cwd}/data`);
    await Deno.writeTextFile(`${cwd}/data/s.jsonl`, A + TORN);
    const mount = 'mount --bind data data && mount -o remount,ro,bind data && exec "$@"';
    const options = { cwd, through: ["unshare", "-m", "sh", "-c", mount, "sh"] };
    assertEquals((await run(options, "-file=data/s.jsonl", "-export")).stdout, A);
    const { stdout } = await run(options, "-file=data/s.jsonl", "-backup=copy.jsonl");
    assertMatch(stdout, /^copy\.jsonl: 1 links/);
  });

  it("a pipe, at which it doesn't hang", { ignore: Deno.build.os === "windows" }, async () => {
    using dir = tempDir();
    const cwd = dir.path;
    assert((await tool("mkfifo", `${cwd}/pipe`)).success);
    for (const flags of [["-export"], ["-backup=copy"], ["-compact"], ["-http=127.0.0.1:0"]]) {
      const { code, stderr } = await run({ cwd }, "-file=pipe", ...flags);
      assertEquals([code, stderr], [1, "goto: pipe: Not a regular file\n"]);
    }
    assertEquals(await everything(cwd), { pipe: "" });
  });
});

describe("a start keeps in FILE.bad what it cuts off, and says so, where a file ends in", () => {
  for (const [name, [text, links]] of Object.entries(odd)) {
    it(name, async () => {
      using dir = tempDir();
      const file = `${dir.path}/store.jsonl`;
      await Deno.writeFile(file, bytesOf(text));
      await using master = await start({ cwd: dir.path });
      assertEquals(master.links, links);
      const whole = bytesOf([A, B].slice(0, links).join(""));
      assertEquals(await Deno.readFile(file), whole);
      const torn = text.length > 0 && bytesOf(text).at(-1) !== 0x7d
        ? bytesOf(text).subarray(whole.length)
        : undefined;
      const aside = await Deno.readFile(`${file}.bad`).catch(() => undefined);
      assertEquals(aside, torn && Uint8Array.of(...torn, 10));
      const told = master.logs.find(({ level }) => level === "warn");
      assertEquals(told?.bytes, torn?.length);
      assertEquals(told?.kept, torn && "store.jsonl.bad");
      if (torn) assertMatch(told?.msg ?? "", torn.includes(0) ? /NUL bytes/ : /a torn last line/);

      const key = await add(master.url, "https://example.com/new");
      await master.restart();
      assertEquals((await follow(master.url, key)).location, "https://example.com/new");
      assertEquals(master.logs.filter(({ level }) => level === "warn"), []);
    });
  }

  it("a mirror, which goes on from there", async () => {
    using dir = tempDir();
    await using master = await start("-rpc");
    await add(master.url, "https://example.com/a", "a");
    const flags = [`-master=${master.url}`, "-file=copy.jsonl"];
    await using mirror = await start({ cwd: dir.path }, ...flags);
    await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
    await mirror.stop();
    await Deno.writeTextFile(`${dir.path}/copy.jsonl`, `{"Key":"b","UR`, { append: true });
    await add(master.url, "https://example.com/b", "b");
    await mirror.begin();
    await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
    assertEquals((await follow(mirror.url, "b")).location, "https://example.com/b");
    assertEquals(await Deno.readTextFile(`${dir.path}/copy.jsonl.bad`), `{"Key":"b","UR\n`);
  });
});

describe("where FILE.bad can't be written, reads are served, and nothing is cut off or written,", () => {
  it("until it can be", { ignore: Deno.build.os === "windows" }, async () => {
    using dir = tempDir();
    const file = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(file, A + TORN);
    await Deno.mkdir(`${file}.bad`);
    await using master = await start({ cwd: dir.path });
    assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
    const body = new URLSearchParams({ url: "https://example.com/" });
    const refused = await fetch(`${master.url}/add`, { method: "POST", body });
    const text = await refused.text();
    assertEquals(refused.status, 507);
    assertMatch(text, /cannot save: store\.jsonl\.bad: Not a regular file/);
    assertMatch((await ready(master.url)).reason, /store\.jsonl\.bad: Not a regular file/);
    assertEquals(await Deno.readTextFile(file), A + TORN);
    await Deno.remove(`${file}.bad`);
    await master.waitForLog(({ msg }) => msg === "writing again");
    assertEquals(await Deno.readTextFile(`${file}.bad`), `${TORN}\n`);
    await add(master.url, "https://example.com/b", "b");
    await master.restart();
    assertEquals(master.links, 2);
  });

  it("in a folder that may only be read", {
    ignore: asMortal === undefined || Deno.build.os === "windows",
  }, async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/store.jsonl`, A + TORN);
    await Deno.chmod(cwd, 0o500);
    try {
      await using master = await start({ cwd, through: asMortal });
      assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
      const { reason } = await ready(master.url);
      assertEquals(reason, "store.jsonl.bad: Permission denied");
      const compacted = await run({ cwd, through: asMortal }, "-compact");
      assertEquals([compacted.code, compacted.stdout], [1, ""]);
      await master.stop();
      const { code, stderr } = await run({ cwd, through: asMortal }, "-compact", "-repair");
      assertEquals(code, 1);
      assertMatch(stderr, /^goto: store\.jsonl: store\.jsonl\.bad: Permission denied$/m);
      assertEquals(await Deno.readTextFile(`${cwd}/store.jsonl`), A + TORN);
    } finally {
      await Deno.chmod(cwd, 0o700);
    }
  });

  it("on a full disk (needs root)", { ignore: !canMount }, async () => {
    using dir = tempDir();
    await using disk = await smallDisk(dir.path, "100k");
    const sh = async (script: string) => (await disk.run("sh", "-c", script)).stdout;
    await sh(`printf '%s' '${A}${TORN}' > store.jsonl; head -c 200000 /dev/zero > filler`);
    await using master = await start({ cwd: dir.path, through: disk.through });
    assertEquals((await follow(master.url, "a")).location, "https://example.com/a");
    await master.waitForLog(({ msg }) => msg === "cannot write");
    assertEquals(await sh("cat store.jsonl"), A + TORN);
    await sh("rm filler");
    await master.waitForLog(({ msg }) => msg === "writing again");
    assertEquals(await sh("cat store.jsonl.bad"), `${TORN}\n`);
    assertEquals((await sh("cat store.jsonl")).trimEnd(), A.trimEnd());
    await add(master.url, "https://example.com/b", "b");
  });

  it("also where a newline can't be: followers get that line once it can", {
    ignore: !canLimit,
  }, async () => {
    using dir = tempDir();
    const file = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(file, A + B.trimEnd());
    const through = ["prlimit", `--fsize=${(A + B).length - 1}:`];
    await using master = await start({ cwd: dir.path, through }, "-rpc");
    await using mirror = await start(`-master=${master.url}`, "-file=copy.jsonl");
    await eventually(async () => assert((await ready(mirror.url)).complete));
    for (const key of ["a", "b"]) {
      assertEquals((await follow(master.url, key)).location, `https://example.com/${key}`);
    }
    assertMatch((await ready(master.url)).reason, /File too large/);
    assertEquals(await Deno.readTextFile(file), A + B.trimEnd());
    assert((await tool("prlimit", `--pid=${master.pid}`, "--fsize=unlimited:")).success);
    await master.waitForLog(({ msg }) => msg === "writing again");
    await add(master.url, "https://example.com/c", "c");
    await eventually(async () => {
      const { position } = await ready(master.url);
      assertEquals((await ready(mirror.url)).position, position);
    });
    await master.stop();
    for (const key of ["a", "b", "c"]) {
      assertEquals((await follow(mirror.url, key)).location, `https://example.com/${key}`);
    }
    assert((await Deno.readTextFile(file)).startsWith(A + B));
  });
});
