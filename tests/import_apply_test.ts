/** What an import does to a file, a database, and a master that runs; and what it says of it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { startHere } from "./here.ts";
import { eventually, follow, start, tempDir } from "./processes.ts";
import { following } from "./replicas.ts";
import { rounds } from "./rounds.ts";
import { asMortal, canLimit, canTrace, tool } from "./tools.ts";

const OURS =
  `{"Key":"a","URL":"https://example.com/a","Created":1500000000,"Expires":4000000000,"Author":"ada","Editor":"bob"}\n` +
  `{"Key":"b","URL":"https://example.com/b","Created":1600000000}\n`;
const GOLINK = `{"Short":"go","Long":"https://example.com/go","Owner":"eve"}\n`;
const rows = (count: number, prefix = "k") =>
  Array.from({ length: count }, (_, i) => `${prefix}${i},https://example.com/${prefix}${i}\n`)
    .join("");

/** All that a server tells of a link. */
async function linkOf(base: string, key: string) {
  const response = await fetch(`${base}/api/links/${key}`, { signal: AbortSignal.timeout(10_000) });
  const { short: _, hits: _hits, previews: _previews, ...link } = await response.json();
  return link;
}

/** Each file of a folder, with its content; those that a database keeps beside itself don't count. */
function filesOf(path: string): Record<string, string> {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.filter((name) => !/-(?:wal|shm)$/.test(name)).map((name) => [
      name,
      new TextDecoder("latin1").decode(Deno.readFileSync(`${path}/${name}`)),
    ]),
  );
}

describe("-import into a master that runs", () => {
  const A = {
    key: "a",
    url: "https://example.com/a",
    created: "2017-07-14T02:40:00Z",
    expires: "2096-10-02T07:06:40Z",
    author: "ada",
    editor: "bob",
  };
  const cases: [name: string, master: string[], from: string[], complete: boolean][] = [
    ["an open one takes dates and names from anybody", [], [], true],
    ["from who bears -token", ["-token=t", "-rpc-token=r"], ["-token=t", "-rpc-token=r"], true],
    ["from who bears -token alone", ["-token=t", "-rpc-token=r"], ["-token=t"], true],
    ["not from who bears -rpc-token alone", ["-token=t", "-rpc-token=r"], ["-rpc-token=r"], false],
    [
      "not from anybody where -rpc-token is all there is",
      ["-rpc-token=r"],
      ["-rpc-token=r"],
      false,
    ],
    ["from who bears -token, where RPC is open", ["-token=t"], ["-token=t"], true],
    ["not from others, where RPC is open", ["-token=t"], [], false],
    ["from who bears it, in any thread", ["-token=t", "-threads=2"], ["-token=t"], true],
  ];
  const places = ["store.jsonl", "links.db"];
  for (const [p, place] of places.entries()) {
    // In the suite each case meets one place.
    const some = cases.filter((_, i) => rounds(1, 2) === 2 || i % 2 === p);
    for (const [name, flags, from, complete] of some) {
      it(`${name} (${place})`, async () => {
        using dir = tempDir();
        const input = `${dir.path}/in`;
        const kv = place === "links.db" ? ["-kv=links.db"] : [];
        const all = ["-rpc", ...flags, ...kv];
        await using master =
          await (flags.includes("-threads=2") || kv.length > 0 ? start(...all) : startHere(...all));
        for (const [text, count] of [[OURS, 2], [GOLINK, 1]] as const) {
          await Deno.writeTextFile(input, text);
          const done = await run(`-import=${input}`, `-master=${master.url}`, ...from);
          const noun = count === 1 ? "row" : "rows";
          assertEquals(done.stdout, `${input}: ${count} ${noun}: ${count} new\n`);
          assertEquals(done.code, 0);
          if (complete) assertEquals(done.stderr, "");
          else assertMatch(done.stderr, /^\S+ warn +dates, authors and editors are not .*\n$/);
        }
        const { created, author, ...go } = await linkOf(master.url, "go");
        assertEquals(go, { key: "go", url: "https://example.com/go" });
        assertEquals(author, complete ? "eve" : undefined);
        assert(Math.abs(Date.parse(created) - Date.now()) < 60_000, created);
        const a = await linkOf(master.url, "a");
        if (complete) {
          assertEquals(a, A);
        } else {
          assertEquals([a.url, a.expires], [A.url, A.expires]);
          assertEquals([a.author, a.editor], [undefined, undefined]);
          assert(Math.abs(Date.parse(a.created) - Date.now()) < 60_000, a.created);
        }
      });
    }
  }

  it("leaves a mirror's file alone", async () => {
    await using master = await start("-rpc");
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/in`, OURS);
    await using _mirror = await start({ cwd }, `-master=${master.url}`, "-file=mirror.jsonl");
    for (const file of ["mirror.jsonl", "other.jsonl"]) {
      const done = await run({ cwd }, "-import=in", `-master=${master.url}`, `-file=${file}`);
      assertEquals([done.code, done.stderr], [0, ""]);
    }
    assertEquals(Object.keys(filesOf(cwd)).filter((name) => name.startsWith("other")), []);
  });

  it("a wrong -token is told of before the first row", async () => {
    await using master = await startHere("-rpc", "-token=t", "-rpc-token=r");
    using dir = tempDir();
    const input = `${dir.path}/in`;
    await Deno.writeTextFile(input, OURS);
    const { code, stderr } = await run(`-import=${input}`, `-master=${master.url}`, "-token=r2");
    assertEquals(code, 1);
    assertMatch(stderr, /^goto: .*: 401 that is another token\n$/);
  });

  it("through a replica, whom the master doesn't trust either, links arrive without dates", async () => {
    await using master = await startHere("-rpc", "-token=t", "-rpc-token=r");
    await using replica = await start(`-master=${master.url}`, "-rpc", "-rpc-token=r", "-token=t");
    using dir = tempDir();
    const input = `${dir.path}/in`;
    await Deno.writeTextFile(input, OURS);
    const done = await run(`-import=${input}`, `-master=${replica.url}`, "-token=t");
    assertEquals(done.stdout, `${input}: 2 rows: 2 new\n`);
    assertMatch(done.stderr, /warn +dates, authors and editors are not taken over/);
    assertEquals((await linkOf(master.url, "a")).author, undefined);
  });

  it("RPC takes a date and an editor from who bears -token alone", async () => {
    await using master = await startHere("-rpc", "-token=t", "-rpc-token=r");
    const put = async (token: string, params: Record<string, unknown>) => {
      const response = await fetch(`${master.url}/rpc`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Store.Put", params }),
      });
      const { result, error } = await response.json();
      return result ?? [error.code, error.data];
    };
    const url = "https://example.com/";
    for (const params of [{ created: 1 }, { editor: "eve" }, { created: 0 }]) {
      assertEquals(await put("r", { url, ...params }), [-32009, "forbidden"]);
    }
    // Its replicas name authors.
    assertEquals(await put("r", { url, key: "one", author: "ada" }), "one");
    assertEquals(await put("t", { url, key: "two", created: 1, editor: "eve" }), "two");
    assertEquals(await put("t", { url, key: "three", created: "0" }), "three");
    for (const created of [-1, 1.5, 2 ** 32, "today", "", "1e9"]) {
      assertEquals(await put("t", { url, created }), [-32008, "invalid time"], `${created}`);
    }
    assertEquals(await linkOf(master.url, "two"), {
      key: "two",
      url,
      created: "1970-01-01T00:00:01Z",
      editor: "eve",
    });
    assertEquals(await linkOf(master.url, "three"), { key: "three", url });
  });

  it("says how far it came when the master is lost, and that to repeat it is safe", async () => {
    using dir = tempDir();
    await using master = await start({ cwd: dir.path }, "-rpc");
    const input = `${dir.path}/in`;
    assert((await tool("mkfifo", input)).success);
    const importing = run(`-import=${input}`, `-master=${master.url}`);
    using pipe = await Deno.open(input, { write: true });
    const write = async (text: string) => {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await pipe.write(bytes.subarray(at));
    };
    await write(`key,url\n${rows(500)}`);
    await eventually(async () => (await follow(master.url, "k499")).status === 302);
    master.kill();
    await master.status;
    await write(rows(500, "late"));
    pipe.close();
    const { code, stdout, stderr } = await importing;
    assertEquals([code, stdout], [1, ""]);
    assertMatch(
      stderr,
      /goto: .*\/in: master (?:out of reach|did not answer in time), after 500 rows: 500 new; 500 rows more may have been imported; to import it again is safe\n$/,
    );
    await master.restart();
    await Deno.remove(input);
    await Deno.writeTextFile(input, `key,url\n${rows(500)}${rows(500, "late")}`);
    const again = await run(`-import=${input}`, `-master=${master.url}`);
    assertEquals(again.stdout, `${input}: 1,000 rows: 500 new, 500 equal\n`);
  });
});

it("-import doesn't say that nothing was imported where answers came too late (needs strace)", {
  ignore: !canTrace,
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(file, "");
  const late = ["-P", file, "-e", "inject=fdatasync:delay_exit=3000000"];
  const through = ["strace", "-D", "-f", "-o", "/dev/null", ...late];
  await using master = await start({ cwd: dir.path, through }, "-rpc");
  await Deno.writeTextFile(`${dir.path}/in`, `key,url\n${rows(100)}`);
  const { code, stderr } = await run({ cwd: dir.path }, "-import=in", `-master=${master.url}`);
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /goto: in: .+; 100 rows may have been imported; to import it again is safe\n$/,
  );
  await eventually(async () => (await follow(master.url, "k99")).status === 302);
});

describe("-import into a file", () => {
  it("keeps dates, names and ends, of others' rows, too", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, OURS);
    await Deno.writeTextFile(`${dir.path}/go`, GOLINK);
    for (const name of ["in", "go"]) {
      assertEquals((await run({ cwd: dir.path }, "-import", name)).code, 0);
    }
    const text = await Deno.readTextFile(`${dir.path}/store.jsonl`);
    assertEquals(text.slice(0, OURS.length), OURS);
    assertMatch(
      text.slice(OURS.length),
      /^\{"Key":"go","URL":"https:\/\/example.com\/go","Created":\d{10},"Author":"eve"\}\n$/,
    );
  });

  it("stops at a full disk with its reason, how far it came, and what to do", {
    ignore: !canLimit,
  }, async () => {
    using dir = tempDir();
    const options = { cwd: dir.path, through: ["prlimit", "--fsize=100000"] };
    await Deno.writeTextFile(`${dir.path}/in`, `key,url\n${rows(5000)}`);
    const { code, stderr } = await run(options, "-import=in");
    assertEquals(code, 1);
    const [, count] =
      /^goto: in: cannot save: .*File too large.*, after ([\d,]+) rows: \1 new; to import it again is safe\n$/m
        .exec(stderr) ?? [];
    assert(count !== undefined, stderr);
    const { stdout } = await run({ cwd: dir.path }, "-import=in");
    const there = Number(count.replace(",", ""));
    assertEquals(
      stdout,
      `in: 5,000 rows: ${(5000 - there).toLocaleString("en-US")} new, ${count} equal\n`,
    );
  });

  it("takes the rows before the one where the file goes wrong", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, `key,url\n${rows(700)}z,"https://example.com/\n`);
    const { code, stderr } = await run({ cwd: dir.path }, "-import=in");
    assertEquals(code, 1);
    assertMatch(stderr, /^goto: in: line 702: .*, after 700 rows: 700 new; to import it again/);
  });
});

describe("the summary of -import", () => {
  const ROW = "docs,https://example.com/docs,,\n";
  const cases: [name: string, text: string, stdout: string, code: number][] = [
    ["is 0 for a file without rows", "key,url\n", "0 rows: 0 new", 0],
    [
      "is 1 where all rows are refused",
      "key,url\nrpc,https://example.com/\n",
      "1 row: 0 new, 1 refused",
      1,
    ],
    [
      "is 1 where all rows are in conflict",
      "key,url\nthere,https://example.com/\nthere,https://example.com/2\n",
      "2 rows: 0 new, 2 conflicts",
      1,
    ],
    [
      "is 0 where one is equal",
      "key,url\nthere,https://example.com/there\nrpc,x\n",
      "2 rows: 0 new, 1 equal, 1 refused",
      0,
    ],
    [
      "is 0 where one is new",
      `key,url\nnew,https://example.com/\nrpc,x\n`,
      "2 rows: 1 new, 1 refused",
      0,
    ],
    ["is 1 for lines of no use", `{"Key"\n`.repeat(22), "22 rows: 0 new, 22 refused", 1],
    [
      "tells another end from an equal one",
      `key,url,created,expires\n${ROW}docs,https://example.com/docs,,2099-01-01T00:00:00Z\n${ROW}`,
      "3 rows: 1 new, 1 equal, 1 conflict",
      0,
    ],
  ];
  for (const [name, text, expected, code] of cases) {
    it(`the exit code ${name}`, async () => {
      using dir = tempDir();
      const there = `{"Key":"there","URL":"https://example.com/there"}\n`;
      await Deno.writeTextFile(`${dir.path}/store.jsonl`, there);
      await Deno.writeTextFile(`${dir.path}/in`, text);
      const result = await run({ cwd: dir.path }, "-import=in");
      const see = expected.includes("refused") || expected.includes("conflict");
      assertEquals(result.stdout, `in: ${expected}${see ? "; see in.rejected" : ""}\n`);
      assertEquals([result.code, result.stderr], [code, ""]);
    });
  }

  it("names both lines of rows of one key, however far they are apart", async () => {
    using dir = tempDir();
    const first = "x,https://example.com/1\n";
    const text = `key,url\n${first}x,https://example.com/2\n${
      rows(1200)
    }${first}x,https://example.com/3\n`;
    await Deno.writeTextFile(`${dir.path}/in`, text);
    const { stdout } = await run({ cwd: dir.path }, "-import=in");
    assertEquals(stdout, "in: 1,204 rows: 1,201 new, 1 equal, 2 conflicts; see in.rejected\n");
    const list = (await Deno.readTextFile(`${dir.path}/in.rejected`)).trim().split("\n");
    assertEquals(
      list.map((line) => JSON.parse(line)),
      [3, 1205].map((line, i) => ({
        line,
        Key: "x",
        URL: `https://example.com/${i + 2}`,
        reason: "line 2 has this key, too: it leads elsewhere",
        kept: "https://example.com/1",
      })),
    );
  });

  it("tells of progress, also where the length isn't known", async () => {
    using dir = tempDir();
    assert((await tool("mkfifo", `${dir.path}/in`)).success);
    const importing = run({ cwd: dir.path }, "-import=in", "-log=json");
    using pipe = await Deno.open(`${dir.path}/in`, { write: true });
    const write = (text: string) => pipe.write(new TextEncoder().encode(text));
    await write("key,url\n");
    const end = Date.now() + 15_000;
    let more = 0;
    for (const began = Date.now(); Date.now() < began + 1500 && Date.now() < end; more++) {
      await write(rows(500, `r${more}-`));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    pipe.close();
    const { stdout, stderr } = await importing;
    const count = (500 * more).toLocaleString("en-US");
    assertEquals(stdout, `in: ${count} rows: ${count} new\n`);
    const told = stderr.trim().split("\n").map((line) => JSON.parse(line));
    assert(told.length > 0);
    for (const { msg, rows, percent } of told) {
      assertEquals([msg, percent], ["importing in", undefined]);
      assert(rows > 0 && rows <= 500 * more, `${rows}`);
    }
  });
});

describe("FILE.rejected", () => {
  const TEXT = "key,url\nok,https://example.com/\nrpc,https://example.com/\n";
  const REASON =
    `{"line":3,"Key":"rpc","URL":"https://example.com/","reason":"invalid key: \\"rpc\\" is reserved"}\n`;

  async function prepared(prepare: (list: string, dir: string) => unknown) {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, TEXT);
    await prepare(`${dir.path}/in.rejected`, dir.path);
    const before = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
    const result = await run({ cwd: dir.path }, "-import=in", "-log=json");
    const after = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
    const [first, ...rest] = result.stderr.split("\n");
    const info = await Deno.lstat(`${dir.path}/in.rejected`);
    return {
      ...result,
      warning: first.startsWith('{"time"') ? JSON.parse(first) : undefined,
      rest: rest.join("\n"),
      more: after.filter((name) => !before.includes(name)).sort(),
      list: info.isFile ? await Deno.readTextFile(`${dir.path}/in.rejected`) : undefined,
      mode: info.mode ?? 0,
      target: await Deno.readTextFile(`${dir.path}/target`).catch(() => undefined),
    };
  }

  it("is for its owner alone", { ignore: Deno.build.os === "windows" }, async () => {
    const { stdout, stderr, list, mode, more } = await prepared(() => {});
    assertEquals([stdout, stderr], ["in: 2 rows: 1 new, 1 refused; see in.rejected\n", ""]);
    assertEquals([list, mode & 0o777], [REASON, 0o600]);
    assertEquals(more, ["in.rejected", "store.jsonl"]);
  });

  for (const earlier of [REASON.repeat(3), "", REASON.replace('"line":3,', "")]) {
    it(`takes the place of an earlier list (${earlier.length} bytes)`, async () => {
      const { stdout, stderr, list, mode, more } = await prepared((path) =>
        Deno.writeTextFile(path, earlier, { mode: 0o644 })
      );
      assertEquals([stdout, stderr], ["in: 2 rows: 1 new, 1 refused; see in.rejected\n", ""]);
      assertEquals(list, REASON);
      if (Deno.build.os !== "windows") assertEquals(mode & 0o777, 0o600);
      assertEquals(more, ["store.jsonl"]);
    });
  }

  it("of an earlier import is gone when nothing is listed any more", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(`${cwd}/in`, TEXT);
    await run({ cwd }, "-import=in");
    assertEquals(filesOf(cwd)["in.rejected"], REASON);
    await Deno.writeTextFile(`${cwd}/in`, "key,url\nok,https://example.com/\n");
    await run({ cwd }, "-import=in", "-dry-run");
    assertEquals(filesOf(cwd)["in.rejected"], REASON);
    const done = await run({ cwd }, "-import=in");
    assertEquals(done.stdout, "in: 1 row: 0 new, 1 equal\n");
    assertEquals(filesOf(cwd)["in.rejected"], undefined);
    await Deno.writeTextFile(`${cwd}/in.rejected`, "precious\n");
    await run({ cwd }, "-import=in");
    assertEquals(filesOf(cwd)["in.rejected"], "precious\n");
  });

  const obstacles: Record<
    string,
    [prepare: (list: string, dir: string) => unknown, reason: RegExp]
  > = {
    "a link to another file": [
      (list, dir) => {
        Deno.writeTextFileSync(`${dir}/target`, "precious\n");
        return tool("ln", "-s", `${dir}/target`, list);
      },
      /Not a regular file/,
    ],
    "a link to nothing": [
      (list, dir) => tool("ln", "-s", `${dir}/none`, list),
      /Not a regular file/,
    ],
    "a FIFO": [(list) => tool("mkfifo", list), /Not a regular file/],
    "a folder": [(list) => Deno.mkdirSync(list), /Not a regular file/],
    "another's file": [(list) => Deno.writeTextFileSync(list, "precious\n"), /another file/],
    "a long journal": [
      (list) => Deno.writeTextFileSync(list, OURS.repeat(1000)),
      /another file/,
    ],
    "a journal": [(list) => Deno.writeTextFileSync(list, OURS), /another file/],
  };
  for (const [name, [prepare, reason]] of Object.entries(obstacles)) {
    it(`follows on stderr where ${name} is in its place`, {
      ignore: Deno.build.os === "windows",
    }, async () => {
      const { code, stdout, warning, rest, more, list, target } = await prepared(prepare);
      assertEquals([code, stdout], [0, "in: 2 rows: 1 new, 1 refused\n"]);
      assertEquals([warning.level, warning.file], ["warn", "in.rejected"]);
      assertMatch(warning.reason, reason);
      assertEquals(rest, REASON);
      assertEquals(more, ["store.jsonl"]);
      if (name === "another's file") assertEquals(list, "precious\n");
      if (name === "a journal") assertEquals(list, OURS);
      if (name === "a long journal") assertEquals(list, OURS.repeat(1000));
      assertEquals(target, name === "a link to another file" ? "precious\n" : undefined);
    });
  }

  it("follows on stderr where its folder takes no files", {
    ignore: asMortal === undefined || Deno.build.os === "windows",
  }, async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, TEXT);
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, "");
    await Deno.chmod(dir.path, 0o555);
    const result = await run({ cwd: dir.path, through: asMortal }, "-import=in");
    await Deno.chmod(dir.path, 0o755);
    assertEquals([result.code, result.stdout], [0, "in: 2 rows: 1 new, 1 refused\n"]);
    const [warning, ...rest] = result.stderr.split("\n");
    assertMatch(warning, /warn +cannot list .* file=in.rejected reason="Permission denied"$/);
    assertEquals(rest.join("\n"), REASON);
    assertEquals(filesOf(dir.path).in, TEXT);
  });
});

describe("-import -dry-run", () => {
  const TEXT = `slug,url,expires
docs,https://example.com/docs,
docs,https://example.com/other,
there,https://example.com/there,
taken,https://example.com/mine,
rpc,https://example.com/,
self,http://go.example.com/x,
over,https://example.com/,2001-01-01T00:00:00Z
ended,https://example.com/,
`;
  const THERE = `{"Key":"there","URL":"https://example.com/there"}\n` +
    `{"Key":"taken","URL":"https://example.com/theirs"}\n` +
    `{"Key":"gone","URL":""}\n` +
    `{"Key":"ended","URL":"https://example.com/","Expires":1000000000}\n`;
  const HOST = "-host=go.example.com";
  const NOTHING = "in: 8 rows: 4 new, 1 conflict, 3 refused";
  const SOME = "in: 8 rows: 2 new, 1 equal, 2 conflicts, 3 refused";

  /** Tries it twice, then does it: all tell the same. */
  async function check(cwd: string, expected: string, ...flags: string[]) {
    await Deno.writeTextFile(`${cwd}/in`, TEXT);
    const before = filesOf(cwd);
    let listed = "";
    for (let tries = 0; tries < 2; tries++) {
      const dry = await run({ cwd }, "-import=in", "-dry-run", HOST, ...flags);
      assertEquals(dry.stdout, `${expected}; nothing was changed\n`, dry.stderr);
      assertEquals(dry.code, 0);
      listed = dry.stderr;
    }
    assertEquals(filesOf(cwd), before);
    return listed;
  }

  async function checkDone(cwd: string, expected: string, listed: string, ...flags: string[]) {
    const done = await run({ cwd }, "-import=in", HOST, ...flags);
    assertEquals(done.stdout, `${expected}; see in.rejected\n`);
    assertEquals(await Deno.readTextFile(`${cwd}/in.rejected`), listed);
  }

  it("makes no file where there is none", async () => {
    using dir = tempDir();
    const listed = await check(dir.path, NOTHING);
    await checkDone(dir.path, NOTHING, listed);
  });

  it("reads a file, and changes nothing", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, `${THERE}{"Key":"torn`);
    const listed = await check(dir.path, SOME);
    await checkDone(dir.path, SOME, listed);
  });

  it("reads the file that a master uses", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, THERE);
    await using _master = await start({ cwd: dir.path });
    await check(dir.path, SOME);
  });

  it("says what is wrong with a file, as a start would", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, "nonsense\n");
    await Deno.writeTextFile(`${dir.path}/in`, TEXT);
    const { code, stderr } = await run({ cwd: dir.path }, "-import=in", "-dry-run");
    assertEquals(code, 1);
    assertMatch(stderr, /^goto: store.jsonl:1: bad JSON; -repair/);
  });

  it("makes no database where there is none", async () => {
    using dir = tempDir();
    const listed = await check(dir.path, NOTHING, "-kv=links.db");
    await checkDone(dir.path, NOTHING, listed, "-kv=links.db");
  });

  it("reads a database", async () => {
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/there`, THERE);
    await run({ cwd: dir.path }, "-import=there", "-kv=links.db");
    const listed = await check(dir.path, SOME, "-kv=links.db");
    await checkDone(dir.path, SOME, listed, "-kv=links.db");
  });

  it("asks a master, which changes nothing", async () => {
    using dir = tempDir();
    using home = tempDir();
    await Deno.writeTextFile(`${home.path}/store.jsonl`, THERE);
    await using master = await start({ cwd: home.path }, "-rpc");
    const text = await Deno.readTextFile(`${home.path}/store.jsonl`);
    const listed = await check(dir.path, SOME, `-master=${master.url}`);
    assertEquals(await Deno.readTextFile(`${home.path}/store.jsonl`), text);
    await checkDone(dir.path, SOME, listed, `-master=${master.url}`);
  });

  it("refuses what points back at the master, whatever its -host, also through a replica", async () => {
    await using master = await startHere("-rpc", "-host=https://Go.example.com:443");
    await using replica = await start("-rpc", `-master=${master.url}`, "-host=go.example.com");
    await following(replica);
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, "slug,url\na,http://go.example.com./docs\n");
    const told = "in: 1 row: 0 new, 1 refused";
    for (const [end, ...flags] of [["; nothing was changed", "-dry-run"], ["; see in.rejected"]]) {
      for (const { url } of [master, replica]) {
        const done = await run({ cwd: dir.path }, "-import=in", `-master=${url}`, ...flags);
        assertEquals([done.stdout, done.code], [`${told}${end}\n`, 1]);
      }
      const flag = "-host=https://go.example.com:443";
      const done = await run({ cwd: dir.path }, "-import=in", flag, ...flags);
      assertEquals([done.stdout, done.code], [`${told}${end}\n`, 1]);
    }
  });

  it("says that a master won't take dates over", async () => {
    await using master = await start("-rpc", "-token=t", "-rpc-token=r");
    using dir = tempDir();
    await Deno.writeTextFile(`${dir.path}/in`, OURS);
    const flags = ["-import=in", "-dry-run", `-master=${master.url}`, "-rpc-token=r"];
    const { stdout, stderr } = await run({ cwd: dir.path }, ...flags);
    assertEquals(stdout, "in: 2 rows: 2 new; nothing was changed\n");
    assertMatch(stderr, /warn +dates, authors and editors are not taken over/);
    assertEquals((await follow(master.url, "a")).status, 404);
  });

  it("goes with -import alone, and with nothing that changes files", async () => {
    for (
      const [flags, message] of [
        [["-dry-run"], "-dry-run needs -import: it tells what that would do"],
        [["-dry-run", "-export"], "-dry-run needs -import: it tells what that would do"],
        [
          ["-dry-run", "-import=in", "-repair"],
          "-dry-run and -repair don't go together: give one of them",
        ],
        [
          ["-dry-run", "-import=in", "-promote"],
          "-dry-run and -promote don't go together: give one of them",
        ],
      ] as const
    ) {
      const { code, stderr } = await run(...flags);
      assertEquals([code, stderr], [2, `goto: ${message}\n`]);
    }
  });
});
