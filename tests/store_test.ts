import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Journal } from "../journal/journal.ts";
import { type Refusal, StoreError } from "../links/errors.ts";
import { checkKey, checkURL, type Link, randomKey, RESERVED } from "../links/link.ts";
import { genKey, URLStore } from "../store.ts";
import { placeOf } from "./places.ts";
import { tempDir, withoutIds } from "./processes.ts";

const URL1 = "https://example.com/1";
const URL2 = "https://example.com/2";

const place = placeOf(import.meta.url);
const { open } = place;
/** For what is about the file, or the functions beside the store. */
const inFile = place.isFile ? it : () => {};
const openFile = async ({ path }: { path: string }) => {
  const store = new URLStore(await Journal.open(`${path}/store.jsonl`));
  await store.load();
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
};

function lines(dir: { path: string }): string[] {
  return Deno.readTextFileSync(`${dir.path}/store.jsonl`).split("\n").slice(0, -1);
}

/** Checks a link that was made just now. */
function assertLink({ created, ...link }: Link, key: string, url: string) {
  assertEquals(link, { key, url });
  assert(created !== undefined && Math.abs(created - Date.now() / 1000) < 60, `created ${created}`);
}

async function assertRefuses(kind: Refusal, fn: () => unknown) {
  // deno-lint-ignore require-await
  const error = await assertRejects(async () => fn(), StoreError);
  assertEquals(error.kind, kind);
}

inFile("genKey() counts in base 62, from 0 over a and A to Z", () => {
  const keys: [number, string][] = [
    [0, "0"],
    [9, "9"],
    [10, "a"],
    [35, "z"],
    [36, "A"],
    [61, "Z"],
    [62, "10"],
    [3843, "ZZ"],
    [3844, "100"],
    [39_259, "add"],
    [2 ** 53 - 1, "FfGNdXsE7"],
  ];
  for (const [n, key] of keys) assertEquals(genKey(n), key);
});

inFile("randomKey() gives 10 digits of base 62, each as likely as the others", () => {
  const keys = Array.from({ length: 10_000 }, randomKey);
  assertEquals(new Set(keys).size, keys.length);
  const counts = new Map<string, number>();
  for (const key of keys) {
    assertMatch(key, /^[0-9a-zA-Z]{10}$/);
    for (const digit of key) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  }
  assertEquals(counts.size, 62);
  // 100,000 / 62 is 1,613, and 300 more or less are over seven standard deviations.
  for (const count of counts.values()) assert(Math.abs(count - 1613) < 300, `${count} of a digit`);
});

it("URLStore.put() counts up", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  for (const key of ["0", "1", "2"]) assertLink(await store.put(URL1), key, URL1);
});

inFile("URLStore.put() gives the key away that a write which failed was to have", async () => {
  using dir = tempDir();
  await using store = await openFile(dir);
  await store.put(URL1);
  const { append } = store.log;
  store.log.append = () => Promise.reject(new Error("no space"));
  for (let i = 0; i < 3; i++) await assertRefuses("full", () => store.put(URL1));
  store.log.append = append;
  assertLink(await store.put(URL2), "1", URL2);
});

it("URLStore.put() tells a link from those that had its key before by when it was created", async () => {
  using dir = tempDir();
  let last = 0;
  for (let start = 0; start < 2; start++) {
    await using store = await open(dir);
    const isLater = async (link: Promise<Link>) => {
      const { created = 0 } = await link;
      assert(created > last, `${created} after ${last}`);
      assertEquals((await store.link("key")).created, created);
      last = created;
      await store.delete("key");
    };
    for (let n = 0; n < 3; n++) await isLater(store.put(URL1, "key"));
    await isLater(store.put(URL1, "key", { created: 1000 }));
    await isLater(store.restore({ key: "key", url: URL1 }));
    await isLater(store.restore({ key: "key", url: URL1, created: last + 1000 }));
    await isLater(store.restore({ key: "key", url: URL1, created: 7 }));
  }
  await using store = await open(dir);
  await store.restore({ key: "other", url: URL1, created: 7 }); // which had no link before
  assertEquals((await store.link("other")).created, 7);
});

inFile("URLStore.put() skips reserved keys", async () => {
  using dir = tempDir();
  await using store = await openFile(dir);
  const expected = Array.from({ length: 40_010 }, (_, n) => genKey(n))
    .filter((key) => key !== "add" && key !== "api");
  const links = await Promise.all(expected.map(() => store.put(URL1)));
  assertEquals(links.length, 40_008);
  assertEquals(links.findIndex(({ key }, i) => key !== expected[i]), -1);
});

it("URLStore.put() skips keys that were chosen before the counter got there", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "1");
  const [zero, , two, three] = await Promise.all([
    store.put(URL1),
    store.put(URL1, "2"),
    store.put(URL1),
    store.put(URL1),
  ]);
  const keys = [zero.key, two.key, three.key];
  assertEquals(keys, ["0", "3", "4"]);
});

it("URLStore.put() hands out no key twice, also after deletes and restarts", async () => {
  using dir = tempDir();
  const keys: string[] = [];
  for (let run = 0; run < 3; run++) {
    await using store = await open(dir);
    for (let n = 0; n < 3; n++) {
      const { key } = await store.put(URL1);
      keys.push(key);
      await store.delete(key);
    }
    keys.push((await store.put(URL1)).key);
    await store.put(URL1, `chosen-${run}`);
    assertEquals(store.count, 2 * (run + 1));
  }
  assertEquals(new Set(keys).size, 12);
});

it("URLStore.put() makes keys that can't be guessed, if asked to", async () => {
  using dir = tempDir();
  await using store = await open(dir, { keys: "random" });
  const { key } = await store.put(URL1);
  assertMatch(key, /^[0-9a-zA-Z]{10}$/);
  assertEquals(await store.get(key), URL1);
});

it("URLStore.put() stores the URL as a browser would write it", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(" HTTPS://EXAMPLE.com:443/päth ", "a");
  assertEquals(await store.get("a"), "https://example.com/p%C3%A4th");
  if (place.isFile) {
    assertEquals(lines(dir).map(withoutIds), [
      `{"Key":"a","URL":"https://example.com/p%C3%A4th"}`,
    ]);
  }
});

inFile("URLStore.put() shows a link no sooner than it is in the file", async () => {
  using dir = tempDir();
  await using store = await openFile(dir);
  const put = store.put(URL1, "a");
  assertThrows(() => store.get("a"), StoreError, "key not found");
  await put;
  assertEquals(store.get("a"), URL1);
  assertEquals(lines(dir).map(withoutIds), [`{"Key":"a","URL":"${URL1}"}`]);
});

it("URLStore.put() refuses a key that is taken, reserved or malformed, and uses up none", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "taken");
  await assertRefuses("exists", () => store.put(URL2, "taken"));
  await assertRefuses("invalid key", () => store.put(URL2, "healthz"));
  await assertRefuses("invalid key", () => store.put(URL2, "a b"));
  await assertRefuses("invalid url", () => store.put("nonsense"));
  assertEquals(await store.get("taken"), URL1);
  assertEquals((await store.put(URL1)).key, "0");
});

it("URLStore.put() gives a key that many ask for at once to exactly one", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  const urls = Array.from({ length: 100 }, (_, n) => `https://example.com/${n}`);
  const results = await Promise.allSettled(urls.map((url) => store.put(url, "wanted")));
  const won = urls.filter((_, n) => results[n].status === "fulfilled");
  assertEquals(won.length, 1);
  assertEquals(await store.get("wanted"), won[0]);
  for (const result of results) {
    if (result.status === "rejected") assertEquals(result.reason.message, "key already exists");
  }
  assertEquals(store.count, 1);
});

it("URLStore.put() lets a deleted key be chosen again", async () => {
  using dir = tempDir();
  {
    await using store = await open(dir);
    await store.put(URL1, "a");
    await store.delete("a");
    await store.put(URL2, "a");
    assertEquals(store.count, 1);
  }
  await using store = await open(dir);
  assertEquals(await store.get("a"), URL2);
  assertEquals(store.count, 1);
});

it("URLStore.put() repeated with its id gives the first answer and adds nothing", async () => {
  using dir = tempDir();
  {
    await using store = await open(dir);
    const first = [
      store.put(URL1, undefined, { id: "x" }),
      store.put(URL1, undefined, { id: "x" }),
    ];
    for (const link of await Promise.all(first)) assertLink(link, "0", URL1);
    assertEquals((await store.put(URL2, "other", { id: "x" })).key, "0");
    assertLink(await store.put(URL1, undefined, { id: "y" }), "1", URL1);
  }
  await using store = await open(dir); // after a restart
  assertLink(await store.put(URL1, undefined, { id: "x" }), "0", URL1);
  assertLink(await store.put(URL1, "chosen", { id: "y" }), "1", URL1);
  assertEquals(store.count, 2);
});

it("URLStore.put() that was refused may be tried again with its id", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "a");
  await assertRefuses("exists", () => store.put(URL2, "a", { id: "x" }));
  await store.delete("a");
  assertLink(await store.put(URL2, "a", { id: "x" }), "a", URL2);
  assertEquals(await store.get("a"), URL2);
});

inFile("URLStore.put() refuses when 65,536 changes wait for the disk", async () => {
  using dir = tempDir();
  await using store = await openFile(dir);
  const puts = Array.from({ length: 65_537 }, () => store.put(URL1));
  const results = await Promise.allSettled(puts);
  assertEquals(results.filter(({ status }) => status === "fulfilled").length, 65_536);
  const last = results[65_536];
  assertEquals(last.status === "rejected" && last.reason.kind, "unavailable");
  const made = lines(dir).filter((line) => JSON.parse(line).Key !== ""); // those of checksums are none
  assertEquals(made.length, 65_536);
  await store.put(URL1); // there is room again
});

inFile("URLStore.get() answers at once, without a promise", async () => {
  using dir = tempDir();
  await using store = await openFile(dir);
  await store.put(URL1, "a");
  assertEquals(store.get("a"), URL1);
  assertThrows(() => store.get("b"), StoreError, "key not found");
  assertThrows(() => store.get("__proto__"), StoreError, "key not found");
});

it("URLStore.update() changes a link for good", async () => {
  using dir = tempDir();
  {
    await using store = await open(dir);
    await store.put(URL1, "a");
    await store.update("a", URL2);
    assertEquals(await store.get("a"), URL2);
    assertEquals(store.count, 1);
  }
  await using store = await open(dir);
  assertEquals(await store.get("a"), URL2);
});

it("URLStore.update() refuses an unknown or deleted key and a bad URL", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "a");
  await assertRefuses("invalid url", () => store.update("a", "javascript:alert(1)"));
  assertEquals(await store.get("a"), URL1);
  await assertRefuses("not found", () => store.update("b", URL2));
  await store.delete("a");
  await assertRefuses("not found", () => store.update("a", URL2));
});

it("URLStore.update() repeated with its id does not undo what came after", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "a");
  await store.update("a", URL2, { id: "x" });
  await store.update("a", URL1, { id: "y" });
  await store.update("a", URL2, { id: "x" });
  assertEquals(await store.get("a"), URL1);
});

it("URLStore changes a key again that is on its way to the disk, in order", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  const results = await Promise.all([
    store.put(URL1, "a"),
    store.update("a", URL2),
    store.delete("a"),
    store.put(URL2, "a"),
  ]);
  assertEquals(results.map((link) => link && [link.key, link.url]), [
    ["a", URL1],
    ["a", URL2],
    undefined,
    ["a", URL2],
  ]);
  if (place.isFile) {
    assertEquals(lines(dir).map((line) => JSON.parse(line).URL), [URL1, URL2, "", URL2]);
  }
});

it("URLStore.delete() deletes for good", async () => {
  using dir = tempDir();
  {
    await using store = await open(dir);
    await store.put(URL1, "a");
    await store.delete("a");
    await assertRefuses("not found", () => store.get("a"));
    await assertRefuses("not found", () => store.delete("a"));
    assertEquals(store.count, 0);
  }
  await using store = await open(dir);
  await assertRefuses("not found", () => store.get("a"));
  assertEquals(store.count, 0);
});

it("URLStore.delete() repeated with its id does not delete what came after", async () => {
  using dir = tempDir();
  await using store = await open(dir);
  await store.put(URL1, "a");
  await store.delete("a", { id: "x" });
  await store.put(URL2, "a");
  await store.delete("a", { id: "x" });
  assertEquals(await store.get("a"), URL2);
});

inFile(
  "URLStore.load() takes the last line of a key, unknown fields, and URLs as they are",
  async () => {
    using dir = tempDir();
    await Deno.writeTextFile(
      `${dir.path}/store.jsonl`,
      `{"Key":"a","URL":"first"}
{"Key":"gone","URL":"${URL1}"}
{"URL":"javascript:1","Extra":[1],"Key":"a"}
{"Key":"gone","URL":""}
{"Key":"odd key/é","URL":"foo\\u0026\\"bar\\""}
`,
    );
    await using store = await openFile(dir);
    assertEquals(Object.fromEntries(store.urls), {
      a: "javascript:1",
      gone: "",
      "odd key/é": `foo&"bar"`,
    });
    assertEquals(store.count, 2);
  },
);

inFile(
  "URLStore.close() saves what waits and refuses what comes after, but reads go on",
  async () => {
    using dir = tempDir();
    const store = await openFile(dir);
    const put = store.put(URL1, "a");
    const [link] = await Promise.all([put, store.close()]);
    assertLink(link, "a", URL1);
    assertEquals(lines(dir).length, 1);
    assertEquals(await store.get("a"), URL1);
    await assertRefuses("unavailable", () => store.put(URL1));
  },
);

const URLS: [text: string, stored: string][] = [
  ["https://example.com", "https://example.com/"],
  ["  https://example.com/a \n", "https://example.com/a"],
  ["HTTP://EXAMPLE.COM:80/A", "http://example.com/A"],
  ["example.com/x", "https://example.com/x"],
  ["example.com", "https://example.com/"],
  ["example.com:8080/x", "https://example.com:8080/x"],
  ["example.com?q=http://a", "https://example.com/?q=http://a"],
  ["localhost:80/x", "https://localhost:80/x"],
  ["127.0.0.1/x", "https://127.0.0.1/x"],
  ["[::1]:81/x", "https://[::1]:81/x"],
  ["bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"],
  ["https://example.com/a b", "https://example.com/a%20b"],
  ["https://example.com/a/../b", "https://example.com/b"],
  ["https://example.com/%E4%BD%A0", "https://example.com/%E4%BD%A0"],
  [`https://example.com/?<"&>`, "https://example.com/?%3C%22&%3E"],
  [
    `https://example.com/${"x".repeat(8192 - 20)}`,
    `https://example.com/${"x".repeat(8192 - 20)}`,
  ],
];
inFile("checkURL() gives the form in which a URL is stored", () => {
  for (const [text, stored] of URLS) {
    assertEquals(checkURL(text, "go.example"), stored);
    assertEquals(checkURL(stored, "go.example"), stored);
  }
});

const BAD_URLS: [text: string, why: string][] = [
  ["", "empty"],
  [" \t", "empty"],
  ["foo", "parsed"],
  ["/relative/path", "parsed"],
  ["//example.com/x", "parsed"],
  ["http://", "parsed"],
  ["http://[bad", "parsed"],
  ["https://exa mple.com/", "parsed"],
  ["https://example.com:99999/", "parsed"],
  ["javascript:alert(1)", "must start with"],
  ["JavaScript:alert(1)", "must start with"],
  ["data:text/html,x", "must start with"],
  ["mailto:someone@example.com", "must start with"],
  ["ftp://example.com/", "must start with"],
  ["file:///etc/passwd", "must start with"],
  ["example.com:alert(1)", "must start with"],
  ["https://user@example.com/", "credentials"],
  ["https://:secret@example.com/", "credentials"],
  ["https://example.com/a\tb", "control"],
  ["java\nscript:alert(1)", "control"],
  ["https://example.com/a\r\nX: y", "control"],
  ["https://example.com/\0", "control"],
  ["https://example.com/\x7f", "control"],
  ["https://example.com/\x85", "control"],
  [`https://example.com/${"x".repeat(8192)}`, "longer than 8192"],
  [`https://example.com/${"é".repeat(4000)}`, "longer than 8192"],
  ["https://go.example/x", "points back"],
  ["http://GO.example/x", "points back"],
  ["go.example/x", "points back"],
  ["https://go.example./x", "points back"],
];
inFile("checkURL() takes what is beside a host with a path, and refuses what is below it", () => {
  for (
    const text of ["https://go.example/", "https://go.example/blog", "https://go.example/links"]
  ) {
    assertEquals(checkURL(text, "go.example/link"), text);
  }
  for (const text of ["https://go.example/link", "https://go.example/link/0"]) {
    assertThrows(() => checkURL(text, "go.example/link"), StoreError, "points back");
  }
});
inFile(
  "checkURL() refuses what is no absolute http or https URL, or leads back, and says why",
  () => {
    for (const [text, why] of BAD_URLS) {
      const error = assertThrows(() => checkURL(text, "go.example"), StoreError, why);
      assertEquals(error.kind, "invalid url");
      assertMatch(error.message, /^invalid URL: .+$/);
    }
  },
);

inFile("checkURL() knows this server by its port, too", () => {
  assertThrows(() => checkURL("http://localhost:8080/x", "localhost:8080"), StoreError, "back");
  assertEquals(checkURL("http://localhost:8081/x", "localhost:8080"), "http://localhost:8081/x");
});

inFile("checkKey() takes 1 to 64 of A-Z a-z 0-9 _ -, and dots inside", () => {
  const long = "x".repeat(64);
  for (
    const key of ["a", "Z", "0", "_", "-", "my-talk_2", long, "addx", "Add", "my.link", "a..b"]
  ) {
    checkKey(key);
  }
});

const BAD_KEYS = [
  "",
  " ",
  "a b",
  "a/b",
  ".a",
  "a.",
  ".",
  "a%62",
  "é",
  "a\n",
  "\0",
  "x".repeat(65),
  "..",
  "a?b",
];
inFile("checkKey() refuses other characters, other lengths, and the names of routes", () => {
  for (const key of [...BAD_KEYS, ...RESERVED]) {
    const error = assertThrows(() => checkKey(key), StoreError, "invalid key");
    assertEquals(error.kind, "invalid key");
  }
});

inFile("checkKey() reserves the names of all routes", () => {
  const names = "add api favicon.ico healthz metrics readyz robots.txt rpc";
  assertEquals([...RESERVED].sort(), names.split(" "));
});
