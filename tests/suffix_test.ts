import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MAX_PLACED, place, restOf } from "../http/suffix.ts";
import { checkURL } from "../links/link.ts";
import { StoreError } from "../links/errors.ts";
import { add, follow, start, tempDir } from "./processes.ts";

/** Where `go/KEY` and what follows leads, if the key leads to `url`. */
function leads(url: string, rest: string): string {
  return place(url, restOf(`http://go/k${rest}`) ?? { path: "", query: "" }) ?? "too long";
}

it("restOf() takes apart what follows a key, as it came", () => {
  const k = { key: "k", path: "", query: "" };
  const rests: [url: string, rest: ReturnType<typeof restOf>][] = [
    ["http://go/k", undefined],
    ["https://go.example:8443/k", undefined],
    ["http://go/", undefined],
    ["http://go/k/", k],
    ["http://go/k?", k],
    ["http://go/k/a/b%2Fc", { ...k, path: "a/b%2Fc" }],
    ["http://go/k/?x=/&y=?", { ...k, query: "x=/&y=?" }],
    ["http://go/k?x=a/b", { ...k, query: "x=a/b" }],
    ["http://go/k//a?b", { ...k, path: "/a", query: "b" }],
  ];
  for (const [url, rest] of rests) assertEquals(restOf(url), rest, url);
});

it("what follows a key is added to its URL, path to path and query to query", () => {
  const cases: [url: string, rest: string, location: string][] = [
    // as golink has it
    ["http://host.com/foo", "/bar", "http://host.com/foo/bar"],
    ["http://host.com/foo/", "/bar", "http://host.com/foo/bar"],
    ["http://host.com/foo%2f/bar", "/extra", "http://host.com/foo%2f/bar/extra"],
    ["http://host.com", "/bar", "http://host.com/bar"],
    ["http://host.com/", "/bar", "http://host.com/bar"],
    ["http://host.com/foo", "", "http://host.com/foo"],
    ["http://host.com/foo", "?a=b", "http://host.com/foo?a=b"],
    ["http://host.com/foo?c=d", "?a=b", "http://host.com/foo?c=d&a=b"],
    ["http://host.com/foo", "/some/page?x=1", "http://host.com/foo/some/page?x=1"],
    ["http://host.com/foo", "/a/", "http://host.com/foo/a/"],
    // where golink would put a path behind a query
    ["http://host.com/foo?c=d#e", "/bar?a=b", "http://host.com/foo/bar?c=d&a=b#e"],
    ["http://host.com/foo?", "?a=b", "http://host.com/foo?a=b"],
    ["http://host.com/foo#e", "?a=b", "http://host.com/foo?a=b#e"],
    // what was escaped stays so
    ["http://host.com/foo", "/a%3Fb%2F%20c", "http://host.com/foo/a%3Fb%2F%20c"],
    ["http://host.com/foo", "/$&/$1?$&", "http://host.com/foo/$&/$1?$&"],
  ];
  for (const [url, rest, location] of cases) assertEquals(leads(url, rest), location);
});

it("{path} and {query} are filled in, escaped for where they stand", () => {
  const google = "https://www.google.com/search?q={path}";
  const cases: [url: string, rest: string, location: string][] = [
    [google, "/what+ever", "https://www.google.com/search?q=what%2Bever"],
    [google, "/what%20ever", "https://www.google.com/search?q=what%20ever"],
    [google, "/a&b=c/d#?hl=en", "https://www.google.com/search?q=a%26b%3Dc%2Fd%23&hl=en"],
    [google, "/%zz", "https://www.google.com/search?q=%25zz"],
    [google, "", "https://www.google.com/search?q="],
    ["https://a.b/{path}/edit", "/x/y?z=1", "https://a.b/x/y/edit?z=1"],
    ["https://a.b/{path}/edit?p={path}", "/x/y", "https://a.b/x/y/edit?p=x%2Fy"],
    ["https://a.b/#/{path}", "/x/y?z", "https://a.b/?z#/x/y"],
    ["https://a.b/?{query}", "?x=1&y=2", "https://a.b/?x=1&y=2"],
    ["https://a.b/?{query}", "/p?x=1", "https://a.b/p?x=1"],
    ["https://a.b/?{query}", "", "https://a.b/"],
    ["https://a.b/?c&{query}&d", "?x=1", "https://a.b/?c&x=1&d"],
    ["https://a.b/?c&{query}&d", "", "https://a.b/?c&d"],
    ["https://a.b/?c&{query}", "", "https://a.b/?c"],
    ["https://a.b/?c={query}", "?x=1&y", "https://a.b/?c=x%3D1%26y"],
    ["https://a.b/{query}", "?x=1", "https://a.b/x%3D1"],
    ["https://a.b/#{query}", "?x=1", "https://a.b/#x=1"],
    ["https://a.b/{other}", "/x", "https://a.b/{other}/x"],
    // as it came
    ["https://a.b/?q={+path}", "/a&b=c/d+%20%2F", "https://a.b/?q=a&b=c/d+%20%2F"],
    ["https://a.b/?{+path}", "/x=1&y", "https://a.b/?x=1&y"],
    ["https://a.b/{+path}?q={path}#{+path}", "/x/y", "https://a.b/x/y?q=x%2Fy#x/y"],
    ["https://a.b/?q={+path}", "?z=1", "https://a.b/?q=&z=1"],
    ["https://a.b/?q={+path}", "/$&", "https://a.b/?q=$&"],
  ];
  for (const [url, rest, location] of cases) assertEquals(leads(url, rest), location, url);
});

it("no visitor chooses the host", () => {
  for (
    const [url, rest, location] of [
      ["https://{path}.example.com/", "/evil", "https://{path}.example.com/evil"],
      ["https://example.com", "/.evil.example", "https://example.com/.evil.example"],
      ["https://example.com", "/@evil.example", "https://example.com/@evil.example"],
      ["https://example.com?x", "/evil", "https://example.com/evil?x"],
      ["/", "//evil.example", "/evil.example"], // an old entry
      ["", "//evil.example", "/evil.example"],
      ["{path}", "/\\/evil.example", "evil.example"],
    ]
  ) assertEquals(leads(url, rest), location, url);
});

it("checkURL() keeps {path} and {query} as they were typed, and nothing else", () => {
  const urls: [typed: string, kept: string][] = [
    ["example.com/{path}/x", "https://example.com/{path}/x"],
    [
      "https://example.com/a/{path}?q={query}#{path}",
      "https://example.com/a/{path}?q={query}#{path}",
    ],
    ["https://example.com/{other}/{path", "https://example.com/%7Bother%7D/%7Bpath"],
    ["https://example.com/%7Bpath%7D", "https://example.com/%7Bpath%7D"],
    ["https://example.com/%7Bpath%7D/{path}", "https://example.com/%7bpath%7d/{path}"],
    ["https://example.com/{other}/%7Bquery%7D", "https://example.com/%7Bother%7D/%7bquery%7d"],
    ["example.com/{+path}?q={+path}", "https://example.com/{+path}?q={+path}"],
  ];
  for (const [typed, kept] of urls) assertEquals(checkURL(typed), kept);
});

it("with -suffix what follows a key is added, on a master, a replica, and each thread", async () => {
  await using master = await start("-rpc", "-suffix", "-threads=2");
  await using replica = await start(`-master=${master.url}`, "-suffix", "-cache=0");
  await add(master.url, "https://example.com/docs", "docs");
  await add(master.url, "https://www.google.com/search?q={path}", "g");
  const answers: [path: string, status: number, location: string | null][] = [
    ["docs", 302, "https://example.com/docs"],
    ["docs/", 302, "https://example.com/docs"],
    ["docs?", 302, "https://example.com/docs"],
    ["docs/some/page?x=1", 302, "https://example.com/docs/some/page?x=1"],
    ["docs?x=1", 302, "https://example.com/docs?x=1"],
    ["d%6Fcs/a", 302, "https://example.com/docs/a"],
    ["g/what%20ever", 302, "https://www.google.com/search?q=what%20ever"],
    ["g", 302, "https://www.google.com/search?q="],
    ["none/x", 404, null],
    ["none?x", 404, null],
    ["docs+", 303, "/.detail/docs"],
    ["docs+?x", 303, "/.detail/docs"],
  ];
  for (const goto of [master, replica]) {
    for (const [path, status, location] of answers) {
      for (let i = 0; i < 2; i++) {
        const answer = await follow(goto.url, path);
        assertEquals([answer.status, answer.location], [status, location], path);
      }
    }
    const post = await fetch(`${goto.url}/docs/x`, { method: "POST" });
    assertEquals([post.status, await post.text()], [405, "method not allowed\n"]);
  }
});

it("with -suffix a browser is offered to make the key, without what follows", async () => {
  await using master = await start("-suffix");
  const headers = { accept: "text/html" };
  const response = await fetch(`${master.url}/none/some/page`, { headers });
  assertEquals(response.status, 404);
  assertMatch(await response.text(), /name="key"[^>]* value="none"/);
});

it("without -suffix a query is passed over, and a path is not found", async () => {
  await using master = await start();
  await add(master.url, "https://example.com/{path}", "docs");
  assertEquals((await follow(master.url, "docs?x=1")).location, "https://example.com/{path}");
  assertEquals((await follow(master.url, "docs/x")).status, 404);
});

describe("Places", () => {
  it("are four at most in a new link", () => {
    const four = "https://example.com/{path}/{path}?a={query}#{query}";
    assertEquals(checkURL(four), four);
    for (const url of [`${four}{path}`, `https://example.com/${"{query}".repeat(1100)}`]) {
      assertThrows(() => checkURL(url), StoreError, "it has more than 4 places ({path}, {query})");
    }
    const braces = "https://example.com/?q={other}{other}{other}{other}{other}";
    assertEquals(checkURL(braces), braces);
  });

  it("are filled once: what is filled in has none", () => {
    assertEquals(
      leads("https://example.com/{path}/{query}", "/{query}{path}?x"),
      "https://example.com/{query}{path}/x",
    );
    const path = "{query}".repeat(4000);
    assertEquals(leads("https://example.com/{path}", `/${path}`), `https://example.com/${path}`);
  });

  it("are never filled with more than an answer may have", () => {
    const url = `https://example.com/${"{path}".repeat(1360)}?${"{query}".repeat(1000)}&{query}`;
    const long = "x".repeat(60_000);
    assertEquals(leads(url, `/${long}`), "too long");
    assertEquals(leads(url, `?${long}`), "too long");
    const most = "x".repeat(MAX_PLACED - "https://example.com/".length);
    assertEquals(leads("https://example.com/{path}", `/${most}`).length, MAX_PLACED);
    assertEquals(leads("https://example.com/{path}", `/${most}x`), "too long");
    assertEquals(leads("https://example.com", `/${most}x`), "too long");
  });

  it("of an old link may be any number: it loads and works, and what is too long is 414", async () => {
    using dir = tempDir();
    const url = `https://example.com/${"{path}".repeat(1000)}`;
    await Deno.writeTextFile(
      `${dir.path}/store.jsonl`,
      `${JSON.stringify({ Key: "old", URL: url })}\n`,
    );
    await using goto = await start({ cwd: dir.path }, "-suffix");
    assertEquals((await follow(goto.url, "old")).location, "https://example.com/");
    assertEquals(
      (await follow(goto.url, "old/ab")).location,
      `https://example.com/${"ab".repeat(1000)}`,
    );
    const { status, body } = await follow(goto.url, `old/${"x".repeat(1000)}`);
    assertEquals([status, body], [
      414,
      "what follows the key is too long: the address would have more than 65536 characters",
    ]);
  });
});
