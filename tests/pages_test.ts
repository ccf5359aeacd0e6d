/** What browsers are shown, without a browser. */
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { type Here, startHere } from "./here.ts";
import { add, type Goto, start } from "./processes.ts";

const HTML = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

/** Asks as a browser does, which sends the headers that no page can set. */
async function browse({ url }: Goto | Here, path: string, fields?: Record<string, string>) {
  const response = await fetch(`${url}${path}`, {
    redirect: "manual",
    signal: AbortSignal.timeout(10_000),
    headers: { ...HTML, ...(fields ? { origin: url } : {}) },
    ...(fields ? { method: "POST", body: new URLSearchParams(fields) } : {}),
  });
  const { status, headers } = response;
  return { status, headers, location: headers.get("location"), text: await response.text() };
}

it("pages load nothing from elsewhere, have no inline script or style, and say so", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/", "docs");
  for (
    const path of [
      "/",
      "/add",
      "/?key=docs",
      "/.all",
      "/.all?q=x",
      "/.detail/docs",
      "/.detail/none",
      "/none",
    ]
  ) {
    const { headers, text } = await browse(master, path);
    const policy = headers.get("content-security-policy") ?? "";
    assertMatch(policy, /^default-src 'none'; /, path);
    assertFalse(/unsafe|\*|https?:/.test(policy));
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    assertFalse(/<style|<script(?! src="\/)|\son\w+=|\sstyle=/i.test(text), path);
    for (const [, loaded] of text.matchAll(/<(?:script|link|img)\b[^>]* (?:src|href)="([^"]*)"/g)) {
      assertMatch(loaded, /^\/\./);
      const file = await browse(master, loaded);
      assertEquals([file.status, file.headers.get("x-content-type-options")], [200, "nosniff"]);
      assertMatch(file.headers.get("cache-control") ?? "", /immutable/);
    }
  }
});

it("a link that a browser adds is shown on a page that can be loaded again", async () => {
  await using master = await startHere();
  const made = await browse(master, "/add", { url: "https://example.com/x", key: "my.link" });
  assertEquals([made.status, made.location], [303, "/.detail/my.link?new"]);
  for (let i = 0; i < 2; i++) {
    const { status, text } = await browse(master, made.location!);
    assertEquals(status, 200);
    assertStringIncludes(text, "Your link is ready.");
    assertMatch(text, /<button type="button" data-copy="http:\/\/[^"]+\/my\.link" hidden>Copy</);
  }
  assertEquals((await browse(master, "/my.link")).location, "https://example.com/x");
});

it("a link that is refused keeps what was typed, and says what is wrong beside the field", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/", "docs");
  const url = await browse(master, "/add", { url: "ftp://example.com/", key: "k" });
  assertEquals(url.status, 400);
  assertMatch(url.text, /id="url"[^>]* aria-invalid="true" aria-describedby="url-error"/);
  assertMatch(url.text, /value="ftp:\/\/example\.com\/"[^]*value="k"/);
  assertMatch(url.text, /<p class="error" id="url-error">Invalid URL: it must start with/);
  const both = await browse(master, "/add", { url: "", key: "a b" });
  assertMatch(
    both.text,
    /id="url-error">Invalid URL: it is empty<[^]*id="key-error">Invalid key: /,
  );
  const key = await browse(master, "/add", { url: "https://example.com/", key: "a b" });
  assertEquals(key.status, 400);
  assertMatch(key.text, /id="key"[^>]* autofocus aria-invalid="true" aria-describedby="key-error /);
  assertMatch(key.text, /<p class="error" id="key-error">Invalid key: use 1 to 64 of/);
});

it("a key that is taken says where it leads", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/there", "docs");
  const answers = [
    await browse(master, "/add", { url: "https://example.org/", key: "docs" }),
    await browse(master, "/?key=docs"),
  ];
  assertEquals(answers.map(({ status }) => status), [409, 200]);
  for (const { text } of answers) {
    assertMatch(
      text,
      /<a href="\/\.detail\/docs">docs<\/a> is taken: it leads to <a href="https:\/\/example\.com\/there"/,
    );
  }
  assertFalse((await browse(master, "/?key=free")).text.includes("aria-invalid"));
});

it("an unknown key offers a browser to make it, and is a plain 404 for others", async () => {
  await using master = await startHere();
  const { status, text } = await browse(master, "/my.link");
  assertEquals(status, 404);
  assertMatch(text, /name="key"[^>]* value="my\.link"/);
  const odd = await browse(master, "/a%22%3E%3Cscript%3E/b");
  assertEquals(odd.status, 404);
  assertStringIncludes(odd.text, "<b>a&#34;&#62;&#60;script&#62;/b</b> leads nowhere.");
  assertMatch(odd.text, /name="key"[^>]* value=""/);
  const plain = await fetch(`${master.url}/my.link`);
  assertEquals([plain.status, await plain.text()], [404, "key not found\n"]);
});

it("/.detail/KEY, also KEY+, shows a link without following it, changes and deletes it", async () => {
  await using master = await start();
  await add(master.url, "https://example.com/", "docs");
  assertEquals((await browse(master, "/docs+")).location, "/.detail/docs");
  const path = "/.detail/docs";
  assertStringIncludes((await browse(master, path)).text, ">https://example.com/</a>");

  const changed = await browse(master, path, { action: "change", url: "example.org" });
  assertEquals([changed.status, changed.location], [303, `${path}?changed`]);
  assertEquals((await browse(master, "/docs")).location, "https://example.org/");

  const refused = await browse(master, path, { action: "change", url: "ftp://x" });
  assertEquals(refused.status, 400);
  assertMatch(
    refused.text,
    /aria-invalid="true" aria-describedby="url-error" autofocus value="ftp:/,
  );
  assertEquals((await browse(master, "/docs")).location, "https://example.org/");

  const deleted = await browse(master, path, { action: "delete" });
  assertEquals([deleted.status, deleted.location], [303, "/.all?deleted=docs"]);
  assertEquals((await browse(master, "/docs")).status, 404);
  const actions: Record<string, string>[] = [{ action: "delete" }, {
    action: "change",
    url: "a.b",
  }];
  for (const fields of [undefined, ...actions]) {
    const none = await browse(master, path, fields);
    assertEquals(none.status, 404);
    assertMatch(none.text, /name="key"[^>]* value="docs"/);
  }
});

it("/.all shows the newest links first, in pages, and those that are searched", async () => {
  await using master = await startHere();
  assertStringIncludes((await browse(master, "/.all")).text, "There are no links yet.");
  for (let i = 0; i < 60; i++) await add(master.url, `https://example.com/${i}`, `key.${i}`);
  const keys = (text: string) => [...text.matchAll(/class="key" [^>]*>([^<]*)</g)].map((m) => m[1]);
  const first = await browse(master, "/.all");
  assertEquals([keys(first.text).length, keys(first.text)[0]], [50, "key.59"]);
  assertStringIncludes(first.text, ">60 links</p>");
  const [, older] = /href="([^"]*)" rel="next">Older</.exec(first.text)!;
  const second = await browse(master, older.replaceAll("&#38;", "&"));
  assertEquals([keys(second.text).length, keys(second.text).at(-1)], [10, "key.0"]);
  assertFalse(second.text.includes(">Older<"));

  const found = await browse(master, "/.all?q=COM/7");
  assertEquals(keys(found.text), ["key.7"]);
  assertMatch(found.text, />1 of 60 links<\/p>/);
  const none = await browse(master, `/.all?q=${encodeURIComponent(`"><script>`)}`);
  assertMatch(none.text, /value="&#34;&#62;&#60;script&#62;"/);
  assertStringIncludes(none.text, "None of 60 links holds that.");
  const bad = await browse(master, "/.all?after=x");
  assertEquals(bad.status, 400);
  assertMatch(bad.text, /role="alert">&#34;after&#34; is no &#34;next&#34; of a page</);
});

it("a page of another site changes nothing by the form of a link", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/", "docs");
  const answer = await fetch(`${master.url}/.detail/docs`, {
    method: "POST",
    headers: { ...HTML, origin: "https://evil.example" },
    body: new URLSearchParams({ action: "delete" }),
  });
  assertEquals([answer.status, (await answer.text()).includes("another site")], [403, true]);
  assertEquals((await browse(master, "/docs")).status, 302);
});

it("a slash at the end of a key is passed over", async () => {
  await using master = await startHere("-rpc");
  await add(master.url, "https://example.com/", "docs");
  await using replica = await startHere(`-master=${master.url}`);
  for (const goto of [master, replica]) {
    assertEquals((await browse(goto, "/docs/")).location, "https://example.com/");
    assertEquals((await browse(goto, "/docs//")).status, 404);
  }
});

it("there is an icon, and robots.txt keeps crawlers to links", async () => {
  await using master = await startHere();
  const icon = await browse(master, "/favicon.ico");
  assertMatch(icon.headers.get("content-type") ?? "", /^image\//);
  const robots = await browse(master, "/robots.txt");
  assertMatch(robots.headers.get("content-type") ?? "", /^text\/plain/);
  assert(robots.text.startsWith("User-agent: *\nDisallow: /.\n"));
});

it("the form says when a link ends; a page shows it, changes it, and takes it away", async () => {
  await using master = await startHere();
  const day = { url: "https://example.com/", key: "talk", expires: "2099-12-24" };
  assertEquals((await browse(master, "/add", day)).status, 303);
  const path = "/.detail/talk";
  const { text } = await browse(master, path);
  assertMatch(
    text,
    /<dt>Ends<\/dt><dd><time datetime="2099-12-25T00:00:00.000Z">2099-12-25 00:00 UTC/,
  );
  assertMatch(text, /id="expires"[^>]* value="2099-12-25T00:00:00Z"/);
  const changed = { action: "change", url: day.url, expires: "" };
  assertEquals((await browse(master, path, changed)).status, 303);
  assertFalse((await browse(master, path)).text.includes("<dt>Ends"));
  for (const where of ["/add", path]) {
    const past = { url: day.url, expires: "2001-01-01" };
    const refused = await browse(master, where, past);
    assertEquals(refused.status, 400);
    assertMatch(refused.text, /id="expires-error">Invalid time to expire: it is in the past/);
    assertMatch(refused.text, /id="expires"[^>]* aria-invalid="true"[^>]* value="2001-01-01"/);
  }
});
