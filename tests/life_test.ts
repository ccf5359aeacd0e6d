import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Journal } from "../journal/journal.ts";
import { formatLine } from "../journal/lines.ts";
import { StoreError } from "../links/errors.ts";
import { formatExpires, MAX_TIME, now, parseExpires } from "../links/time.ts";
import { run } from "./commands.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, follow, type Goto, start, tempDir, withoutIds } from "./processes.ts";
import { agree, change, following, keep, ready } from "./replicas.ts";
import { call } from "./traffic.ts";

const URL1 = "https://example.com/1";
const URL2 = "https://example.com/2";

/** Asks the API, and gives the status and what is said. */
async function api(base: string, method: string, path: string, body?: unknown) {
  const response = await fetch(`${base}/api/links${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  return { status: response.status, ...(text === "" ? {} : JSON.parse(text)) };
}

async function rpc(base: string, method: string, params: unknown) {
  const { result, error } = await call(base, method, params);
  return error ? error.code : result;
}

const iso = (time: number) => new Date(time * 1000).toISOString().replace(".000", "");

/** Waits until the clock has come to `time`. */
async function until(time: number) {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, time * 1000 - Date.now())));
}

describe("parseExpires()", () => {
  it("reads seconds from now, times, days, and spans", () => {
    const near = (text: string, seconds: number) => {
      const time = parseExpires(text)!;
      assert(Math.abs(time - now() - seconds) <= 1, `${text}: ${time}`);
    };
    near("1", 1);
    near("86400", 86_400);
    near("in 30 days", 30 * 86_400);
    near(" In 1 Minute ", 60);
    near("in 2 weeks", 14 * 86_400);
    assertEquals(parseExpires("2099-12-24T18:00:00Z"), 4_101_818_400);
    assertEquals(parseExpires("2099-12-24t18:00:00.999z"), 4_101_818_400);
    assertEquals(parseExpires("2099-12-24 19:30:00+01:30"), 4_101_818_400);
    assertEquals(parseExpires("2099-12-23"), Date.UTC(2099, 11, 24) / 1000); // until its end
    assertEquals([parseExpires(""), parseExpires("never")], [undefined, 0]);
    assertEquals(parseExpires(formatExpires(4_101_818_400)!), 4_101_818_400);
    assertEquals(parseExpires(formatExpires(0)!), 0);
  });

  it("says in one line what is wrong", () => {
    const wrong: [string, RegExp][] = [
      ["0", /past/],
      ["2001-01-01", /past/],
      ["2001-01-01T00:00:00Z", /past/],
      ["2106-03-01", /2105/],
      ["9999999999", /2105/],
      ["tomorrow", /use seconds/],
      ["-1", /use seconds/],
      ["1.5", /use seconds/],
      ["2099-02-29", /use seconds/],
      ["2099-13-01", /use seconds/],
      ["2099-12-24T18:00:00", /use seconds/],
      ["2099-12-24T24:30:00Z", /use seconds/],
      ["in 3 fortnights", /use seconds/],
    ];
    for (const [text, message] of wrong) {
      const error = assertThrows(() => parseExpires(text), StoreError);
      assertEquals(error.kind, "invalid time");
      assertMatch(error.message, message, text);
    }
    assertEquals(iso(MAX_TIME), "2106-02-07T06:28:15Z");
  });
});

describe("when a link was created", () => {
  it("is kept through changes, restarts, compaction and backups, and shown by every server", async () => {
    using dir = tempDir();
    const file = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(
      file,
      `{"Key":"old","URL":"${URL1}"}\n` +
        formatLine({ key: "known", url: URL1, created: 1_500_000_000 }).repeat(3),
    );
    await using master = await start({ cwd: dir.path }, "-rpc");
    await using replica = await start({ cwd: dir.path }, `-master=${master.url}`);
    await using mirror = await start(
      { cwd: dir.path },
      `-master=${master.url}`,
      `-file=${dir.path}/mirror.jsonl`,
    );
    await following(mirror);
    const before = now();
    const fresh = await api(master.url, "POST", "", { url: URL1, key: "new" });
    const after = now();
    const created = Date.parse(fresh.created) / 1000;
    assert(before <= created && created <= after, fresh.created);
    const known = iso(1_500_000_000);
    // A new link, and a change, through a replica say it, too.
    const { created: there } = await api(replica.url, "POST", "", { url: URL1, key: "there" });
    assertMatch(there, /^20.*Z$/);
    assertEquals((await api(replica.url, "PUT", "/known", { url: URL2 })).created, known);
    const check = async (node: Goto | Here) => {
      assertEquals((await api(node.url, "GET", "/known")).created, known);
      assertEquals((await api(node.url, "GET", "/new")).created, fresh.created);
      assertEquals((await api(node.url, "GET", "/old")).created, undefined);
      assertEquals((await api(node.url, "GET", "/old")).url, URL1);
    };
    for (const node of [master, replica, mirror]) await check(node);
    assertEquals((await run("-compact", `-master=${master.url}`)).code, 0);
    await check(master);
    await master.restart();
    await check(master);
    assertEquals((await run({ cwd: dir.path }, "-backup=copy.jsonl")).code, 0);
    await using restored = await start({ cwd: dir.path }, "-file=copy.jsonl");
    await check(restored);
    // Exported and imported.
    const text = await (await fetch(`${master.url}/.export`)).text();
    assertStringIncludes(text, `{"Key":"known","URL":"${URL2}","Created":1500000000}\n`);
    await Deno.writeTextFile(`${dir.path}/export.jsonl`, text);
    const { code } = await run(
      { cwd: dir.path },
      "-import=export.jsonl",
      "-file=imported.jsonl",
    );
    assertEquals(code, 0);
    await using imported = await start({ cwd: dir.path }, "-file=imported.jsonl");
    await check(imported);
  });
});

describe("a link that expires", () => {
  it("is 410 from that second on, on every server and thread, also those that are cut off", async () => {
    using dir = tempDir();
    // What is counted of it comes some time later, and would be in an export.
    await using master = await start("-rpc", "-threads=2", "-hits=false");
    await using cache = await start("-rpc", "-threads=2", `-master=${master.url}`);
    await using mirror = await start(`-master=${master.url}`, `-file=${dir.path}/mirror.jsonl`);
    await using leaf = await start(`-master=${cache.url}`);
    const nodes = [master, cache, mirror, leaf];
    for (const node of nodes.slice(1)) await following(node);
    const expires = now() + 5;
    const created = await api(cache.url, "POST", "", {
      url: URL1,
      key: "k",
      expires: iso(expires),
    });
    assertEquals([created.status, created.expires], [201, iso(expires)]);
    await add(master.url, URL2, "stays");
    await agree(nodes, "k", URL1);
    for (const node of [cache, leaf]) await keep(node, "k");
    for (const node of nodes.slice(1)) await following(node);
    await agree(nodes, "k", URL1);
    // Those below have no master any more.
    master.kill("SIGSTOP");
    const cut = [cache, mirror, leaf];
    await Promise.all(
      cut.map((node) => eventually(async () => (await ready(node.url)).reason !== undefined)),
    );
    // In time: it still leads somewhere.
    if (Date.now() < expires * 1000 - 500) {
      for (const node of cut) assertEquals((await follow(node.url, "k")).location, URL1);
    }
    await until(expires);
    for (const node of cut) {
      for (let n = 0; n < 8; n++) {
        const { status, body } = await follow(node.url, "k");
        assertEquals([status, body], [410, "link expired"]);
      }
    }
    master.kill("SIGCONT");
    for (let n = 0; n < 8; n++) {
      const { status, body } = await follow(master.url, "k");
      assertEquals([status, body], [410, "link expired"]);
    }
    for (const node of nodes) {
      await following(node);
      const { status, detail, title } = await api(node.url, "GET", "/k");
      assertEquals([status, title, detail], [410, "Gone", "link expired"]);
      assertEquals((await api(node.url, "PUT", "/k", { url: URL2 })).status, 410);
      assertEquals((await api(node.url, "DELETE", "/k")).status, 410);
      assertEquals((await follow(node.url, "stays")).location, URL2);
    }
    assertEquals(await rpc(master.url, "Store.Get", ["k"]), -32007);
    assertEquals((await api(master.url, "GET", "")).links.map(({ key }: { key: string }) => key), [
      "stays",
    ]);
    assertEquals(
      withoutIds(await (await fetch(`${master.url}/.export`)).text()),
      `{"Key":"stays","URL":"${URL2}"}\n`,
    );
    // Its key is free for a choice, on every server at once.
    assertEquals((await api(leaf.url, "POST", "", { url: URL2, key: "k" })).status, 201);
    await agree(nodes, "k", URL2);
    assertEquals((await api(master.url, "GET", "/k")).expires, undefined);
  });

  it("may be given a time in every way, and another one, or none", async () => {
    await using master = await start("-rpc");
    await using replica = await start("-rpc", `-master=${master.url}`);
    const seconds = (shown: string) => Date.parse(shown) / 1000 - now();
    const near = (shown: string, expected: number) =>
      assert(Math.abs(seconds(shown) - expected) <= 2, shown);
    const { url } = replica;
    near((await api(url, "POST", "", { url: URL1, key: "a", expires: 100 })).expires, 100);
    near(
      (await api(url, "POST", "", { url: URL1, key: "b", expires: "in 2 days" })).expires,
      172_800,
    );
    assertEquals(
      (await api(url, "POST", "", { url: URL1, key: "c", expires: "2099-12-23" })).expires,
      "2099-12-24T00:00:00Z",
    );
    // A change keeps it, unless it says otherwise.
    near((await api(url, "PUT", "/a", { url: URL2 })).expires, 100);
    near((await api(url, "PUT", "/a", { url: URL2, expires: 200 })).expires, 200);
    assertEquals((await api(url, "PUT", "/a", { url: URL2, expires: null })).expires, undefined);
    assertEquals((await api(url, "PUT", "/a", { url: URL2 })).expires, undefined);
    for (const expires of [0, -1, 1.5, "soon", "2001-01-01", true, {}]) {
      const { status, detail } = await api(url, "POST", "", { url: URL1, key: "d", expires });
      assertEquals(status, 400, JSON.stringify(expires));
      assertMatch(detail, /expire/);
    }
    // The form, and RPC.
    const form = (expires: string) =>
      fetch(`${url}/add`, {
        method: "POST",
        body: new URLSearchParams({ url: URL1, key: `f${expires.length}`, expires }),
      }).then(async (response) => [response.status, await response.text()]);
    assertEquals((await form("in 30 days"))[0], 200);
    near((await api(master.url, "GET", "/f10")).expires, 30 * 86_400);
    assertEquals((await form(""))[0], 200);
    assertEquals((await api(master.url, "GET", "/f0")).expires, undefined);
    assertEquals(await form("soon"), [
      400,
      "invalid time to expire: use seconds from now, or a time like 2099-12-24T18:00:00Z, 2099-12-24, " +
      "or in 30 days\n",
    ]);
    for (const node of [master, replica]) {
      const put = { url: URL1, key: `rpc${node.pid}`, expires: 50 };
      assertEquals(await rpc(node.url, "Store.Put", put), put.key);
      const { key, url, expires } = await rpc(node.url, "Store.Link", [put.key]);
      assertEquals([key, url], [put.key, URL1]);
      near(iso(expires), 50);
      assertEquals(await rpc(node.url, "Store.Update", { ...put, expires: "never" }), true);
      assertEquals((await rpc(node.url, "Store.Link", [put.key])).expires, undefined);
      assertEquals(await rpc(node.url, "Store.Put", { url: URL1, expires: "soon" }), -32008);
    }
  });

  it("is dropped by a compaction, but for its key, which the counter never gives again", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    const file = `${cwd}/store.jsonl`;
    const odd = `{ "Key": "odd\\u0022", "URL": "${URL1}", "Expires": 1500000001 }\n`;
    await Deno.writeTextFile(
      file,
      formatLine({ key: "0", url: URL1, created: 1_500_000_000, expires: 1_500_000_001 }) +
        formatLine({ key: "1", url: URL1, expires: 1_500_000_001 }) +
        formatLine({ key: "1", url: URL1, expires: 4_000_000_000, id: "x" }) + odd,
    );
    for (const round of ["closed", "in use"]) {
      await using master = round === "in use" ? await startHere({ cwd }, "-rpc") : undefined;
      let made = "";
      if (master) {
        const { expires, created } = await api(master.url, "POST", "", {
          url: `https://example.com/${"x".repeat(200)}`,
          key: "2",
          expires: 1,
        });
        await until(Date.parse(expires) / 1000);
        assertEquals((await follow(master.url, "2")).status, 410);
        made = formatLine({ key: "2", url: "", created: Date.parse(created) / 1000 });
      }
      const at = master ? [`-master=${master.url}`] : [];
      assertEquals((await run({ cwd }, "-compact", ...at)).code, 0);
      assertEquals(
        (await Deno.readTextFile(file)).replace(/^.*\n/, ""),
        formatLine({ key: "0", url: "", created: 1_500_000_000 }) +
          formatLine({ key: "1", url: URL1, expires: 4_000_000_000, id: "x" }) +
          `{"Key":"odd\\"","URL":""}\n` + made,
      );
    }
    await using master = await startHere({ cwd });
    assertEquals((await follow(master.url, "1")).location, URL1);
    assertEquals((await follow(master.url, "2")).status, 404);
    for (let n = 0; n < 5; n++) {
      assert(!["0", "1", "2"].includes(await add(master.url, URL2)), "a key was used again");
    }
    assertEquals(await add(master.url, URL2, "2"), "2"); // for a choice it is free
  });

  it("is not taken over by an import once it is over, and with its time before", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    await Deno.writeTextFile(
      `${cwd}/links.jsonl`,
      formatLine({ key: "over", url: URL1, expires: 1_500_000_000 }) +
        formatLine({ key: "soon", url: URL1, created: 1_500_000_000, expires: 4_000_000_000 }),
    );
    const { code, stdout } = await run({ cwd }, "-import=links.jsonl");
    assertEquals(code, 0);
    assertEquals(stdout, "links.jsonl: 2 rows: 1 new, 1 refused; see links.jsonl.rejected\n");
    assertStringIncludes(await Deno.readTextFile(`${cwd}/links.jsonl.rejected`), "link expired");
    await using master = await startHere({ cwd });
    const { created, expires } = await api(master.url, "GET", "/soon");
    assertEquals([created, expires], [iso(1_500_000_000), iso(4_000_000_000)]);
  });

  it("keeps its time in memory that is rewritten, and frees its key in the same commit", async () => {
    using dir = tempDir();
    const { URLStore } = await import("../store.ts");
    const store = new URLStore(await Journal.open(`${dir.path}/store.jsonl`));
    await store.load();
    try {
      const { created } = await store.put(URL1, "k", { expires: 4_000_000_000 });
      for (let n = 0; n < 50_000; n++) store.urls.set({ key: "other", url: `${URL2}/${n}` });
      assertEquals(store.link("k"), { key: "k", url: URL1, created, expires: 4_000_000_000 });
      store.urls.set({ key: "over", url: URL1, expires: 1_500_000_000 });
      const results = await Promise.allSettled([
        store.update("over", URL2),
        store.put(URL2, "over"),
        store.put(URL1, "over"),
        store.update("over", URL1),
      ]);
      assertEquals(
        results.map((result) => result.status === "fulfilled" || result.reason.kind),
        ["expired", true, "exists", true],
      );
      assertEquals(store.get("over"), URL1);
    } finally {
      await store.close();
    }
  });

  it("ends by each server's own clock, and /readyz tells how they differ", async () => {
    await using master = await startHere("-rpc");
    await using replica = await startHere("-rpc", `-master=${master.url}`);
    await using leaf = await startHere(`-master=${replica.url}`);
    for (const node of [replica, leaf]) {
      await following(node);
      const { time, clockSeconds } = await ready(node.url);
      assert(Math.abs(time - Date.now() / 1000) < 10, `${time}`);
      assert(Math.abs(clockSeconds) < 1, `${clockSeconds}`);
    }
    assertEquals((await ready(master.url)).clockSeconds, undefined);
    await change(master.url, "none");
  });
});
