import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Events } from "../journal/events.ts";
import { JournalError } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { changesTo } from "../journal/log.ts";
import { formatAbout, formatLine } from "../journal/lines.ts";
import { compacted } from "./replicas.ts";
import { compact, repair } from "../journal/maintenance.ts";
import { genKey, URLStore } from "../store.ts";
import { tempDir } from "./processes.ts";

const encoder = new TextEncoder();
const encode = (text: string) => encoder.encode(text);

interface Loaded {
  links: Map<string, string>;
  warnings: Record<string, unknown>[];
  size: number;
}

/** Opens a file, reads all of it, and lets go of it. */
async function load(
  path: string,
  { repair: repairs = false, ...options }: JournalOptions & { repair?: boolean } = {},
): Promise<Loaded> {
  const links = new Map<string, string>();
  const warnings: Record<string, unknown>[] = [];
  const events: Events = (_level, msg, fields) => warnings.push({ msg, ...fields });
  if (repairs) await repair(path, { events, ...options });
  const journal = await Journal.open(path, { events, ...options });
  try {
    await journal.load(changesTo(({ key, url }) => links.set(key, url)));
    return { links, warnings, size: journal.size };
  } finally {
    await journal.close();
  }
}

const A = formatLine({ key: "a", url: "https://example.com/a" });
const B = formatLine({ key: "b", url: "https://example.com/b" });
const C = formatLine({ key: "c", url: "https://example.com/c" });

describe("Journal.load()", () => {
  it("reads what was appended: later lines win, deleted keys are remembered", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const journal = await Journal.open(path, { sync: true });
    await journal.load(changesTo(() => {}));
    await journal.append(A + B);
    await journal.append(formatLine({ key: "a", url: "https://example.com/2" }));
    await journal.append(formatLine({ key: "b", url: "" }));
    await journal.close();
    assertEquals(journal.syncs, 3);
    const { links } = await load(path);
    assertEquals([...links], [["a", "https://example.com/2"], ["b", ""]]);
  });

  it("reads what the Go program and other hands write: spaces, escapes, more fields", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(
      path,
      `{"Key":"a","URL":"https://example.com/?x=1\\u0026y=2"}\n` +
        ` { "URL" : "https://example.com/é", "Key" : "b" } \n` +
        `{"Key":"c","URL":"https://example.com/c","Expires":17}\r\n` +
        `{"Key":"d","URL":"https://example.com/\\"d\\\\"}\n`,
    );
    const { links } = await load(path);
    assertEquals(Object.fromEntries(links), {
      a: "https://example.com/?x=1&y=2",
      b: "https://example.com/é",
      c: "https://example.com/c",
      d: `https://example.com/"d\\`,
    });
  });

  it("takes a line with an empty key for one about the journal, and for no link", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const text = formatAbout({ term: 2, base: 1000 }) + A + `{"Key":"","URL":""}\n` +
      `{"Key":"","URL":"https://example.com/","Term":3,"Base":5}\n` + formatAbout({ term: 1 });
    await Deno.writeTextFile(path, text);
    const journal = await Journal.open(path);
    const keys: string[] = [];
    await journal.load(changesTo(({ key }) => keys.push(key)));
    assertEquals(keys, ["a"]);
    assertEquals([journal.term, journal.lines, journal.bytes], [3, 5, text.length]);
    assertEquals([journal.feed.base, journal.size], [1000, 1000 + text.length]);
    assertEquals(await journal.feed.read(1000, 0), encode(text));
    await journal.close();

    for (const member of [`"Term":0`, `"Term":"2"`, `"Term":1.5`, `"Base":-1`, `"Base":1e15`]) {
      await Deno.writeTextFile(path, `${A}{"Key":"","URL":"",${member}}\n`);
      await assertRejects(() => load(path), JournalError, `${path}:2: "${member.slice(1, 5)}" is`);
    }
  });

  it("keeps lines whole that lie across its reads, and lines longer than a read", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const urls = Array.from({ length: 300 }, (_, i) => `https://example.com/${"é".repeat(i * 37)}`);
    urls.push(`https://example.com/${"x".repeat(3 << 20)}`);
    await Deno.writeTextFile(path, urls.map((url, i) => formatLine({ key: `${i}`, url })).join(""));
    const { links } = await load(path);
    assertEquals([...links.values()], urls);
  });

  it("cuts off a torn last line, wherever it is torn, and says what it was", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const last = [
      formatLine({ key: "é", url: "https://example.com/ünï" }),
      formatLine({ key: "b", url: "", id: "a-mark" }),
      formatLine({ key: "c", url: `https://example.com/"\\` }),
    ];
    const whole = encode(A + B + last.join(""));
    const lines = [A, B, ...last].map((line) => encode(line).length);
    for (let cut = encode(A + B).length; cut <= whole.length; cut++) {
      await Deno.writeFile(path, whole.subarray(0, cut));
      const { links, warnings, size } = await load(path);
      // A line that lacks but its newline is whole.
      let end = 0;
      let kept = 0;
      while (kept < lines.length && end + lines[kept] - 1 <= cut) end += lines[kept++];
      const expected = new Map<string, string>();
      for (const line of [A, B, ...last].slice(0, kept)) {
        const { Key, URL } = JSON.parse(line);
        expected.set(Key, URL);
      }
      const at = `cut at ${cut}`;
      assertEquals(links, expected, at);
      assertEquals(size, end, at);
      assertEquals(await Deno.readFile(path), whole.slice(0, end), at);
      const torn = Math.max(0, cut - end);
      assertEquals(warnings.map(({ bytes }) => bytes), torn ? [torn] : [], at);
      if (torn) {
        const text = new TextDecoder().decode(whole.subarray(end, cut));
        assertEquals(warnings[0].text, text, at);
      }
    }
  });

  it("cuts off zeros that a power cut left at the end", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, A + B + "\0".repeat(5000));
    const { links, warnings } = await load(path);
    assertEquals([...links.keys()], ["a", "b"]);
    assertEquals(warnings[0].bytes, 5000);
    assertEquals(await Deno.readTextFile(path), A + B);
  });

  it("goes on behind a last line that lacked its newline", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, A + B.trimEnd());
    const journal = await Journal.open(path, { sync: true });
    await journal.load(changesTo(() => {}));
    await journal.append(C);
    await journal.close();
    assertEquals(await Deno.readTextFile(path), A + B + C);
  });

  const bad: Record<string, [line: string | Uint8Array, reason: string]> = {
    "bad JSON": [`{"Key":"x","URL":"https://example.com/"`, "bad JSON"],
    "two changes in one line": [A.trim() + B.trim(), "bad JSON"],
    "a control character in a string": [`{"Key":"x\ty","URL":"https://example.com/"}`, "bad JSON"],
    "a quote in a string": [`{"Key":"x","URL":"https://"example.com/"}`, "bad JSON"],
    "a byte order mark": ["\ufeff" + A.trim(), "a byte order mark"],
    "a blank line": ["", "a blank line"],
    "zeros": ["\0\0\0\0", "NUL bytes"],
    "zeros in a line": [`{"Key":"x","URL":"https://exam\0\0\0\0om/"}`, "NUL bytes"],
    "invalid UTF-8": [
      Uint8Array.of(...encode(`{"Key":"x","URL":"https://`), 0xc3, 0x28, ...encode(`"}`)),
      "invalid UTF-8",
    ],
    "no object": [`["x","https://example.com/"]`, `"Key" is missing`],
    "null": ["null", "not a JSON object"],
    "a number": ["17", "not a JSON object"],
    "no Key": [`{"URL":"https://example.com/"}`, `"Key" is missing`],
    "no URL": [`{"Key":"x"}`, `"URL" is missing`],
    "a Key that is no string": [`{"Key":1,"URL":"https://example.com/"}`, `"Key" is no string`],
    "a URL that is no string": [`{"Key":"x","URL":null}`, `"URL" is no string`],
  };

  for (const [name, [line, reason]] of Object.entries(bad)) {
    it(`refuses ${name} with file, line and reason, and touches nothing`, async () => {
      using dir = tempDir();
      const path = `${dir.path}/store.jsonl`;
      const text = typeof line === "string" ? encode(line) : line;
      const bytes = Uint8Array.of(...encode(A + B), ...text, ...encode(`\n${C}{"Key":"to`));
      await Deno.writeFile(path, bytes);
      await assertRejects(() => load(path), JournalError, `${path}:3: ${reason}; -repair`);
      assertEquals(await Deno.readFile(path), bytes);
      assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["store.jsonl"]);
    });

    if (name === "a byte order mark") continue; // with a good link behind it: see repair_test.ts
    it(`moves ${name} to FILE.bad with -repair`, async () => {
      using dir = tempDir();
      const path = `${dir.path}/store.jsonl`;
      const text = typeof line === "string" ? encode(line) : line;
      const whole = Uint8Array.of(...text, 10);
      await Deno.writeFile(path, Uint8Array.of(...whole, ...encode(A), ...whole, ...encode(B)));
      const { links, warnings } = await load(path, { repair: true });
      assertEquals([...links.keys()], ["a", "b"]);
      assertEquals(warnings.map(({ lines }) => lines), [2]);
      assertEquals(await Deno.readTextFile(path), A + B);
      assertEquals(await Deno.readFile(`${path}.bad`), Uint8Array.of(...whole, ...whole));
    });
  }

  for (const name of ["Made", "By", "ChangedBy"]) {
    it(`refuses a line that bears "${name}", also with -repair, and says to import it`, async () => {
      using dir = tempDir();
      const path = `${dir.path}/store.jsonl`;
      const value = name === "Made" ? 1795600000 : "ada";
      const old = JSON.stringify({ Key: "x", URL: "https://example.com/", [name]: value });
      await Deno.writeTextFile(path, `${A}${B}${old}\n${C}`);
      const message =
        `${path}:3: "${name}" is an old name: take the file over with -import=${path} -file=NEW`;
      for (const repair of [false, true]) {
        assertEquals(
          await assertRejects(() => load(path, { repair }), JournalError).then(String),
          `JournalError: ${message}`,
        );
      }
      assertEquals(await Deno.readTextFile(path), `${A}${B}${old}\n${C}`);
      assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["store.jsonl"]);
    });
  }

  it("refuses a last line that is no change, though it is JSON: nothing tore it", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, `${A}{"Key":"x"}`);
    await assertRejects(() => load(path), JournalError, `${path}:2: "URL" is missing`);
    assertEquals(await Deno.readTextFile(path), `${A}{"Key":"x"}`);
    const { links } = await load(path, { repair: true });
    assertEquals([...links.keys()], ["a"]);
    assertEquals(await Deno.readTextFile(path), A);
    assertEquals(await Deno.readTextFile(`${path}.bad`), `{"Key":"x"}\n`);
  });

  it("repairs a file of nothing but bad lines in a time that grows with its size", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    /** How long so many bad lines take, in milliseconds: the best of three times. */
    const time = async (bad: number) => {
      let best = Infinity;
      for (let tries = 0; tries < 3; tries++) {
        await Deno.writeTextFile(path, "\n".repeat(bad) + A);
        const start = performance.now();
        const { links, warnings } = await load(path, { repair: true });
        best = Math.min(best, performance.now() - start);
        assertEquals([...links.keys()], ["a"]);
        assertEquals(warnings.at(-1)?.lines, bad);
      }
      return best;
    };
    // To seek and copy for each of them took sixteen times as long.
    assertLess(await time(32_000), 8 * await time(8_000));
  });
});

describe("Journal.open()", () => {
  it("follows a link: what it points at is locked, and replaced by a compaction", async () => {
    using dir = tempDir();
    const path = `${dir.path}/links/store.jsonl`;
    await Deno.mkdir(`${dir.path}/links`);
    await Deno.mkdir(`${dir.path}/data`);
    await Deno.writeTextFile(`${dir.path}/data/store.jsonl`, A.repeat(9));
    const link = new Deno.Command("ln", { args: ["-s", "../data/store.jsonl", path] });
    assert((await link.output()).success);
    const journal = await Journal.open(path);
    const pid = `process ${Deno.pid}`;
    await assertRejects(() => Journal.open(`${dir.path}/data/store.jsonl`), JournalError, pid);
    await assertRejects(() => Journal.open(path), JournalError, pid);
    await journal.close();
    await compact(path);
    assert((await Deno.lstat(path)).isSymlink);
    assertEquals(
      await Deno.readTextFile(`${dir.path}/data/store.jsonl`),
      compacted(A, A.repeat(9)),
    );
  });
});

describe("compact()", () => {
  it("keeps the last line of every key, as it stands, and the file's permissions", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const extra = `{"Key":"b", "URL":"https://example.com/b", "Expires":4000000000}\n`;
    const long = formatLine({
      key: "long",
      url: `https://example.com/${"é".repeat(1 << 20)}`,
      id: "mark",
    });
    const before = A.repeat(5) + B + C + extra;
    const after = long + formatLine({ key: "c", url: "" }) + A; // stays as it is
    await Deno.writeTextFile(path, (before + after).trimEnd());
    await Deno.chmod(path, 0o640);
    const { lines, bytes } = await compact(path);
    const expected = compacted(extra, before) + after;
    assertEquals(await Deno.readTextFile(path), expected);
    assertEquals(lines, [11, 5]);
    assertEquals(bytes[1], encode(expected).length);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o640);
  });

  it("never makes a store hand out a key again", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const open = async () => {
      const store = new URLStore(await Journal.open(path));
      await store.load();
      return store;
    };
    const seen = new Set<string>();
    const put = async (store: URLStore, key?: string) => {
      const { key: made } = await store.put("https://example.com/", key);
      assert(!seen.has(made), `${made} twice`);
      seen.add(made);
      return made;
    };
    for (let round = 0; round < 4; round++) {
      const store = await open();
      await put(store, "alias" + round);
      await put(store, genKey(22 * round + 12)); // in the counter's way, later on
      for (let i = 0; i < 20; i++) {
        const key = await put(store);
        if (i % 3 === 0) await store.delete(key);
        else if (i % 3 === 1) await store.update(key, "https://example.com/2");
      }
      await store.close();
      await compact(path);
    }
    assertEquals(seen.size, 88);
  });
});

describe("URLStore", () => {
  it("puts all that is queued into one batch with one sync, in order", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const store = new URLStore(await Journal.open(path, { sync: true }));
    await store.load();
    const keys = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => store.put(`https://example.com/${i}`)),
    );
    assertEquals(store.log.syncs, 1);
    assertEquals((await store.health()).syncs, 1);
    await store.close();
    const { links } = await load(path);
    assertEquals([...links], keys.map(({ key, url }) => [key, url]));
  });

  it("lets the next batch gather while one is being written", async () => {
    using dir = tempDir();
    const store = new URLStore(await Journal.open(`${dir.path}/store.jsonl`, { sync: true }));
    await store.load();
    const puts = [store.put("https://example.com/0")];
    await Promise.resolve(); // saveLoop has taken the first by now
    await Promise.resolve();
    for (let i = 1; i < 100; i++) puts.push(store.put(`https://example.com/${i}`));
    await Promise.all(puts);
    assertEquals(store.log.syncs, 2);
    await store.close();
  });

  it("keeps the order of changes to one key", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const store = new URLStore(await Journal.open(path, { sync: true }));
    await store.load();
    const outcome = (promise: Promise<unknown>) => promise.then(() => "ok", (e) => e.message);
    assertEquals(
      await Promise.all([
        store.put("https://example.com/1", "k"),
        store.put("https://example.com/2", "k"),
        store.update("k", "https://example.com/3"),
        store.delete("k"),
        store.update("k", "https://example.com/4"),
        store.put("https://example.com/5", "k"),
        store.update("k", "https://example.com/6"),
      ].map(outcome)),
      ["ok", "key already exists", "ok", "ok", "key not found", "ok", "ok"],
    );
    assertEquals(store.get("k"), "https://example.com/6");
    await store.close();
    const { links } = await load(path);
    assertEquals([...links], [["k", "https://example.com/6"]]);
    assertEquals(
      (await Deno.readTextFile(path)).match(/"URL":"[^"]*"/g),
      ["1", "3", "", "5", "6"].map((n) => `"URL":"${n && `https://example.com/${n}`}"`),
    );
  });
});
