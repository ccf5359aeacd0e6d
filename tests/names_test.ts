/** Who makes and changes links, as a proxy says. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { formatLine, readLines } from "../journal/lines.ts";
import { isName, type Link } from "../links/link.ts";
import { Table } from "../links/table.ts";
import { type Here, startHere } from "./here.ts";
import { eventually, type Goto, run, start, tempDir } from "./processes.ts";

const HEADER = "-user-header=X-Forwarded-User";

/** Asks on behalf of `user`, as a proxy does. */
async function as(
  { url }: Goto | Here,
  user: string | undefined,
  method: string,
  path: string,
  body?: unknown,
) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      ...(user === undefined ? {} : { "x-forwarded-user": user }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  const isJSON = /\bjson$/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, text, json: isJSON ? JSON.parse(text) : {} };
}

/** The author and the editor of a link, as a server shows them. */
async function names(goto: Goto | Here, key: string) {
  const { json: { author, editor } } = await as(goto, undefined, "GET", `/api/links/${key}`);
  return { author, editor };
}

it("the author and the editor of a link are kept, shown, exported, and told to replicas", async () => {
  using dir = tempDir();
  await using master = await start({ cwd: dir.path }, "-rpc", "-proxy=1", HEADER, "-threads=2");
  await using replica = await start(`-master=${master.url}`, "-proxy=1", HEADER);
  const url = "https://example.com/";
  assertEquals(
    (await as(replica, "ada", "POST", "/api/links", { url, key: "docs" })).json.author,
    "ada",
  );
  await as(master, undefined, "POST", "/api/links", { url, key: "none" });
  await as(master, "grâce@example.com", "POST", "/api/links", { url, key: "utf8" });
  for (const goto of [master, replica]) {
    assertEquals(await names(goto, "docs"), { author: "ada", editor: undefined });
    assertEquals(await names(goto, "none"), { author: undefined, editor: undefined });
    assertEquals((await names(goto, "utf8")).author, "grâce@example.com");
  }
  await as(master, "bob", "PUT", "/api/links/docs", { url: "https://example.org/" });
  await as(replica, "eve", "PUT", "/api/links/none", { url });
  for (const goto of [master, replica]) {
    await eventually(async () =>
      assertEquals(await names(goto, "docs"), { author: "ada", editor: "bob" })
    );
    await eventually(async () => assertEquals((await names(goto, "none")).editor, "eve"));
    const page = await (await fetch(`${goto.url}/.detail/docs`)).text();
    assertMatch(page, /<dt>Created<\/dt><dd>.*by ada<\/dd>\n<dt>Updated<\/dt><dd>by bob<\/dd>/);
    assertStringIncludes(await (await fetch(`${goto.url}/.all`)).text(), "ada · ");
    const { json } = await as(goto, undefined, "GET", "/api/links?q=docs");
    assertEquals([json.links[0].author, json.links[0].editor], ["ada", "bob"]);
    assertMatch(
      (await as(goto, undefined, "GET", "/.export")).text,
      /"Key":"docs","URL":"[^"]*".*,"Author":"ada","Editor":"bob"/,
    );
  }
  await as(master, "zoe", "DELETE", "/api/links/utf8");
  await master.restart();
  assertEquals(await names(master, "docs"), { author: "ada", editor: "bob" });
  assertMatch(
    await Deno.readTextFile(`${dir.path}/store.jsonl`),
    /\{"Key":"utf8","URL":"","Created":\d+,"Editor":"zoe"[^\n]*\}\n$/,
  );
  await as(master, "ida", "POST", "/api/links", { url, key: "utf8" });
  assertEquals(await names(master, "utf8"), { author: "ida", editor: undefined });
});

it("the names are kept in a database, too", async () => {
  using dir = tempDir();
  await using master = await startHere(`-kv=${dir.path}/db`, "-proxy=1", HEADER);
  const url = "https://example.com/";
  await as(master, "ada", "POST", "/api/links", { url, key: "docs" });
  await as(master, "bob", "PUT", "/api/links/docs", { url });
  await master.restart();
  assertEquals(await names(master, "docs"), { author: "ada", editor: "bob" });
  assertStringIncludes(
    (await as(master, undefined, "GET", "/.export")).text,
    ',"Author":"ada","Editor":"bob"}',
  );
});

it("a name that can't be kept is refused, and without -user-header nobody is believed", async () => {
  await using master = await startHere("-rpc", "-proxy=1", HEADER);
  const url = "https://example.com/";
  for (const name of ["x".repeat(101), "é".repeat(60)]) {
    const { status, json } = await as(master, name, "POST", "/api/links", { url });
    assertEquals(status, 400);
    assertEquals(json.detail, "X-Forwarded-User has more than 100 bytes, or control characters");
  }
  const rpc = { jsonrpc: "2.0", id: 1, method: "Store.Put", params: { url, author: "a\nb" } };
  const answer = await as(master, undefined, "POST", "/rpc", rpc);
  assertMatch(answer.json.error.message, /^invalid name: use 1 to 100 bytes/);
  await using other = await startHere("-proxy=1");
  await as(other, "ada", "POST", "/api/links", { url, key: "docs" });
  assertEquals((await names(other, "docs")).author, undefined);
});

it("-user-header needs -proxy, and the name of a header", async () => {
  const alone = await run("-user-header=X-Forwarded-User");
  assertEquals([alone.code, alone.stderr], [
    2,
    "goto: -user-header needs -proxy: without one anybody could send that header\n",
  ]);
  const bad = await run("-proxy=1", "-user-header=X Y");
  assertEquals(bad.code, 2);
  assertStringIncludes(bad.stderr, "use a header's name, as X-Forwarded-User");
});

it("names stay with links in memory, through changes and moves, and on disk", () => {
  const table = new Table({ segmentBits: 16 });
  const links: Link[] = [];
  for (let i = 0; i < 200; i++) {
    const link: Link = { key: `k${i}`, url: `https://example.com/${"x".repeat(i)}` };
    if (i % 3 === 0) link.author = `ada${i}`;
    if (i % 5 === 0) link.editor = "日本".repeat(1 + i % 10);
    links.push(link);
    table.set(link);
  }
  for (let i = 0; i < 5000; i++) table.set({ key: "moves", url: `https://example.com/${i}` });
  for (const link of links) assertEquals(table.peek(link.key), link);
  for (const link of links) {
    let read: Link | undefined;
    readLines(new TextEncoder().encode(formatLine(link)), (change) => read = change, () => {});
    assertEquals({ ...read, id: undefined }, { ...link, id: undefined });
  }
});

it("a name has 1 to 100 bytes and no control characters", () => {
  for (const name of ["a", "ada@example.com", "Ada Lovelace", "x".repeat(100), "é".repeat(50)]) {
    assertEquals(isName(name), true, name);
  }
  for (const name of ["", "x".repeat(101), "é".repeat(51), "a\n", "\u202e", "\ud800", 1, null]) {
    assertEquals(isName(name), false);
  }
});

for (const threads of [1, 2]) {
  it(`-access names the user, if the proxy names one, -threads=${threads}`, async () => {
    const flags = ["-proxy=1", HEADER, `-threads=${threads}`];
    await using goto = await start("-access", ...flags);
    const ask = async (path: string, user?: string) => {
      const headers: HeadersInit = user === undefined ? {} : { "x-forwarded-user": user };
      const response = await fetch(`${goto.url}/${path}`, { headers });
      await response.body?.cancel();
      return await goto.waitForLog(({ url }) => url?.endsWith(`/${path}`));
    };
    assertEquals((await ask("one", "ada")).user, "ada");
    assertEquals((await ask("two", 'a "b" \\ c=d')).user, 'a "b" \\ c=d');
    assertEquals("user" in await ask("three"), false);
    assertEquals("user" in await ask("four", "x".repeat(101)), false, "it is no name");
    await using plain = await start("-access");
    const headers = { "x-forwarded-user": "ada" };
    await (await fetch(`${plain.url}/key`, { headers })).body?.cancel();
    const told = await plain.waitForLog(({ msg }) => msg === "request");
    assertEquals("user" in told, false, "nobody is believed");
  });
}
