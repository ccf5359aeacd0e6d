/** The pages in a real browser. What they look like is left in screenshots/. */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { afterAll, beforeAll, it } from "@std/testing/bdd";
import { today } from "../hits/counts.ts";
import { hitsAt } from "./counting.ts";
import { Table } from "../links/table.ts";
import { Browser, type Look, noBrowser } from "./driver.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, follow, tempDir } from "./processes.ts";
import { journal } from "./replicas.ts";
import { rounds } from "./rounds.ts";
import { tool } from "./tools.ts";

const TAB = "\ue004";
const ENTER = "\ue007";

if (noBrowser !== undefined) console.log(`tests of pages in a browser are ignored: ${noBrowser}`);

/** The browser of all tests but those that need one that is otherwise. */
let shared: Browser;
if (noBrowser === undefined) {
  beforeAll(async () => void (shared = await Browser.open()));
  afterAll(() => shared[Symbol.asyncDispose]());
}

/** The browser, as if it had been opened just now. */
async function open(look: Look = {}): Promise<Browser> {
  await shared.appear(look);
  return shared;
}

function inBrowser(name: string, test: () => Promise<void>, ignore = false): void {
  (noBrowser !== undefined || ignore ? it.ignore : it)(name, test);
}

async function picture(browser: Browser, name: string): Promise<void> {
  await Deno.mkdir("screenshots", { recursive: true });
  await Deno.writeFile(`screenshots/${name}.png`, await browser.picture());
}

/** Waits until an element says this: a page may be on its way. */
async function says(browser: Browser, selector: string, text: string): Promise<void> {
  await eventually(async () => assertEquals(await browser.text(selector), text));
}

/** What the browser complains of, but for answers that are errors. */
async function complaints(browser: Browser): Promise<string[]> {
  return (await browser.complaints()).filter((text) => !/status of 4\d\d/.test(text));
}

async function count({ url }: Here): Promise<number> {
  return (await (await fetch(`${url}/readyz`)).json()).links;
}

inBrowser(
  "a link is added by keyboard, shown, copied, and not added again by a refresh",
  async () => {
    await using master = await startHere();
    const browser = await open();
    await browser.go(master.url);
    await browser.press(..."https://example.com/long", TAB, ..."my.link", ENTER);
    await eventually(async () => assertMatch(await browser.url(), /\/\.detail\/my\.link\?new$/));
    await says(browser, ".note", "Your link is ready.");
    await picture(browser, "new");
    await browser.refresh();
    assertEquals([await browser.text("h1"), await count(master)], ["my.link", 1]);

    await browser.allowClipboard(master.url);
    await browser.click("button[data-copy]");
    await says(browser, "button[data-copy]", "Copied");
    assertEquals(await browser.property(".short output", "textContent"), "Copied");
    const copied = await browser.run<string>("return navigator.clipboard.readText()");
    assertMatch(copied, /^http:\/\/localhost:\d+\/my\.link$/);
    assertEquals(await complaints(browser), []);
  },
);

inBrowser("a link is copied where the page is not secure, too", async () => {
  await using master = await startHere("-host=go");
  const key = await add(master.url, "https://example.com/");
  await using browser = await Browser.open({ hosts: "MAP go 127.0.0.1" });
  await browser.go(`http://go:${new URL(master.url).port}/.detail/${key}`);
  assertEquals(await browser.run("return isSecureContext"), false);
  await browser.click("button[data-copy]");
  await says(browser, "button[data-copy]", "Copied");
  await browser.go(`http://go:${new URL(master.url).port}/`);
  await browser.click("#url");
  await browser.paste();
  assertEquals(await browser.property("#url", "value"), `http://go/${key}`);
});

inBrowser("what is refused is said beside its field, with what was typed", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/there", "taken");
  const browser = await open();
  await browser.go(`${master.url}/?url=ftp%3A%2F%2Fexample.com&key=k`);
  await browser.click("main button");
  await picture(browser, "refused");
  await says(browser, "#url-error", "Invalid URL: it must start with http:// or https://");
  assertEquals(await browser.property("#url", "value"), "ftp://example.com");
  assertEquals(await browser.run("return document.activeElement.id"), "url");
  await browser.type("#url", "example.com/mine");
  await browser.type("#key", "taken");
  await browser.click("main button");
  await picture(browser, "taken");
  await says(browser, "#key-error", "taken is taken: it leads to\nhttps://example.com/there");
  assertEquals(await browser.run("return document.activeElement.id"), "key");
  assertEquals(await browser.property("#url", "value"), "example.com/mine");
  await browser.type("#key", "not allowed");
  await browser.click("main button");
  assertEquals(await browser.run("return document.querySelector('#key').validity.valid"), false);
  assertEquals(await count(master), 1);
  assertEquals(await complaints(browser), []);
});

inBrowser("an unknown key offers to make its link, on a phone, too", async () => {
  await using master = await startHere();
  const browser = await open({ width: 390, height: 844 });
  await browser.go(`${master.url}/holidays`);
  await picture(browser, "unknown-phone");
  assertEquals(await browser.property("#key", "value"), "holidays");
  await browser.type("#url", "example.com/holidays");
  await browser.press(ENTER);
  await eventually(async () => assertMatch(await browser.url(), /\/\.detail\/holidays\?new$/));
  assertEquals((await follow(master.url, "holidays")).location, "https://example.com/holidays");
});

inBrowser(
  "a short link that a phone has no room for goes on with its key in a line of its own",
  async () => {
    await using master = await startHere("-host=localhost:8080");
    await add(master.url, "https://example.com/", "docs");
    const browser = await open({ width: 390, height: 844 });
    await browser.go(`${master.url}/.detail/docs`);
    const lines = await browser.run(`
    const range = document.createRange();
    range.selectNodeContents(document.querySelector(".short a").lastChild);
    return [range.toString(), range.getClientRects().length]`);
    assertEquals(lines, ["docs", 1]);
  },
);

inBrowser("the bookmarklet brings the address of any page into the form", async () => {
  await using master = await startHere();
  await add(master.url, "https://example.com/", "docs");
  const browser = await open();
  await browser.go(master.url);
  const bookmark = `${await browser.property(".bookmarklet", "href")}`;
  assertMatch(bookmark, /^javascript:/);
  const elsewhere = `${master.url}/.detail/docs?a=b&c=%20d#e`;
  await browser.go(elsewhere);
  await browser.run(decodeURIComponent(bookmark.slice("javascript:".length)));
  await eventually(async () => assertEquals(await browser.property("#url", "value"), elsewhere));
  assertMatch(await browser.url(), /^http:\/\/localhost:\d+\/\?url=/);
});

inBrowser("links are listed, searched as one types, changed and deleted", async () => {
  await using master = await startHere();
  for (let i = 0; i < 120; i++) await add(master.url, `https://example.com/page/${i}`);
  await add(master.url, "https://example.com/docs", "docs");
  const browser = await open();
  await browser.go(`${master.url}/.all`);
  await picture(browser, "all");
  await says(browser, "#found", "121 links");
  await says(browser, ".links .key", "docs");
  await browser.click("a[rel=next]");
  await browser.click("a[rel=next]");
  const keys = () =>
    browser.run<string[]>("return [...document.querySelectorAll('.key')].map((e) => e.innerText)");
  assertEquals((await keys()).at(-1), "0");

  await browser.type("#q", "page/11");
  await says(browser, "#found", "11 of 121 links");
  assertEquals((await keys()).length, 11);
  assertMatch(await browser.url(), /\/\.all\?q=page%2F11$/);
  assertEquals(await browser.run("return document.activeElement.id"), "q");
  await picture(browser, "search");
  await browser.type("#q", "none such");
  const none = "None of 121 links holds that.";
  await says(browser, "#found", none);

  await browser.type("#q", "docs");
  await eventually(async () => assertEquals(await keys(), ["docs"]));
  await browser.click(".links .key");
  await browser.type("#url", "https://example.org/");
  await browser.click("button[value=change]");
  await says(browser, ".note", "The link is changed.");
  assertEquals((await follow(master.url, "docs")).location, "https://example.org/");
  await picture(browser, "detail");
  assertEquals(await browser.shows("button[value=delete]"), false);
  await browser.click("summary");
  await picture(browser, "delete");
  await browser.click("button[value=delete]");
  await says(browser, ".note", "docs is deleted.");
  assertEquals((await follow(master.url, "docs")).status, 404);
  assertEquals(await complaints(browser), []);
});

/** Writes `FILE.hits`: of some links of `journal(n)`, followed on most days, the first one the most. */
async function writeHits(file: string, keys: string[]): Promise<void> {
  const table = new Table();
  for (const key of keys) table.set({ key, url: "https://example.com/" });
  const hits = hitsAt(`${file}.hits`, table);
  await hits.load();
  for (let day = today() - 99; day <= today(); day++) {
    const weekday = day % 7;
    const counts = keys.map((_, i) => Math.floor((7 + (day % 11) * 5) * weekday / (i + 1) ** 2));
    hits.add({ day, hits: keys.map((key, i) => [key, counts[i], Number(weekday === 0)]) });
    await hits.append();
  }
  await hits.close();
}

for (const script of [true, false]) {
  inBrowser(
    `the most followed links are listed and searched${script ? "" : ", without JavaScript, too"}`,
    async () => {
      using dir = tempDir();
      await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(120));
      await writeHits(`${dir.path}/store.jsonl`, ["70", "17", "7", "71"]);
      await using master = await startHere({ cwd: dir.path });
      const browser = await open({ script });
      const keys = () =>
        browser.run<string[]>(
          "return [...document.querySelectorAll('.key')].map((e) => e.innerText)",
        );
      const sorted = (expected: string[]) =>
        eventually(async () => assertEquals((await keys()).slice(0, expected.length), expected));
      await browser.go(`${master.url}/.all`);
      await sorted(["119", "118", "117"]);
      await says(browser, ".orders [aria-current]", "Newest");
      await browser.click(".orders a:last-child");
      await says(browser, ".orders [aria-current]", "Most followed");
      await sorted(["70", "17", "7", "71", "119"]);
      assertMatch(await browser.text(".links .facts"), /^[\d,]+ hits$/);
      await picture(browser, `hits${script ? "" : "-plain"}`);

      await browser.type("#q", "/7");
      if (!script) await browser.click("form.search button");
      await says(browser, "#found", "11 of 120 links");
      await sorted(["70", "7", "71", "79"]);
      assertMatch(await browser.url(), /\?(?=.*\bq=%2F7\b)(?=.*\border=hits\b)/);
      await browser.click(".orders a:first-child");
      await sorted(["79", "78"]);
      assertEquals(await browser.property("#q", "value"), "/7");
      await browser.click(".orders a:last-child");
      await sorted(["70", "7", "71", "79"]);
      await browser.type("#q", "example.com");
      if (!script) await browser.click("form.search button");
      await sorted(["70", "17"]);
      await browser.click("a[rel=next]");
      await says(browser, "#found", "50 more of 120 links, and there are less followed ones");
      await browser.click("a[rel=next]");
      await eventually(async () => assertEquals((await keys()).at(-1), "0"));

      await browser.go(`${master.url}/.detail/70`);
      assertMatch(
        await browser.text(".chart figcaption"),
        /^[\d,]+ hits in 90 days, the most on 20/,
      );
      const bars = await browser.run<number>("return document.querySelectorAll('rect').length");
      assert(bars >= 75 && bars <= 78, `${bars} bars`); // six days of seven
      const [left, width] = await browser.run<[number, number]>(
        `const box = (e) => document.querySelector(e).getBoundingClientRect();
        return [box("rect:last-of-type").right - box("svg").left, box("svg").width]`,
      );
      assert(left > 0.9 * width && left <= width, `${left} of ${width}`);
      assertEquals(await complaints(browser), []);
    },
  );
}

inBrowser("with -token a browser asks who it is before it adds or lists links", async () => {
  await using master = await startHere("-token=secret");
  const browser = await open();
  const url = new URL(master.url);
  await browser.go(`${url}.all`);
  assertEquals(await browser.shows("#results"), false);
  [url.username, url.password] = ["me", "secret"];
  await browser.go(`${url}.all`);
  await says(browser, "#found", "There are no links yet.");
  await browser.go(master.url);
  await browser.type("#url", "https://example.com/");
  await browser.click("main button");
  await says(browser, ".note", "Your link is ready.");
});

inBrowser("without JavaScript all works but copying", async () => {
  await using master = await startHere();
  const browser = await open({ script: false });
  await browser.go(`${master.url}/?url=example.com/x&key=x`);
  await browser.click("main button");
  await says(browser, ".note", "Your link is ready.");
  assertEquals(await browser.shows("button[data-copy]"), false);
  await browser.type("#url", "example.com/y");
  await browser.click("button[value=change]");
  await says(browser, ".note", "The link is changed.");
  await browser.click("nav a:last-child");
  await browser.type("#q", "/Y");
  await browser.click("form.search button");
  await says(browser, "#found", "1 of 1 link");
  await browser.click(".links .key");
  await browser.click("summary");
  await browser.click("button[value=delete]");
  await says(browser, ".note", "x is deleted.");
  assertEquals(await count(master), 0);
});

const ALL_LOOKS: [name: string, look: Look][] = [
  ["desk", {}],
  ["phone-dark", { width: 320, height: 640, dark: true }],
  ["dark", { dark: true }],
  ["phone", { width: 390, height: 844 }],
];
const LOOKS = ALL_LOOKS.slice(0, rounds(2, 4)); // light and dark, wide and narrow

/** The source of axe-core, where npm has it. */
const axe = noBrowser === undefined
  ? await tool(
    Deno.execPath(),
    "eval",
    'console.log((await import("npm:axe-core@4.10.3")).default.source)',
  ).then(({ success, stdout }) => success ? stdout : undefined, () => undefined)
  : undefined;
if (noBrowser === undefined && axe === undefined) console.log("axe-core can't be had from npm");

/** A rule that a page breaks. */
interface Violation {
  id: string;
  impact: string;
  nodes: { html: string; failureSummary: string }[];
}

inBrowser("every page is one that all can use: axe-core finds nothing serious", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/store.jsonl`, journal(200));
  await writeHits(`${dir.path}/store.jsonl`, ["7", "8", "9"]);
  await using master = await startHere({ cwd: dir.path });
  const long = `https://example.com/${"very-long-".repeat(20)}?q=${"y".repeat(300)}`;
  await add(master.url, long, "a-rather-long-key-that-somebody-chose.for-a-talk");
  const detail = "/.detail/a-rather-long-key-that-somebody-chose.for-a-talk";
  const paths = {
    form: "/",
    filled: `/?url=${
      encodeURIComponent(long)
    }&key=a-rather-long-key-that-somebody-chose.for-a-talk`,
    unknown: "/unknown.key",
    detail: `${detail}?new`,
    chart: "/.detail/7",
    // One row is as the next: a few show as much as a hundred.
    most: "/.all?order=hits&limit=10",
    all: "/.all?limit=10",
    search: "/.all?q=long",
    none: "/.all?q=nothing",
    bad: "/.all?after=x",
  };
  const backgrounds = new Set<string>();
  for (const [look, options] of LOOKS) {
    const browser = await open(options);
    for (const [name, path] of Object.entries(paths)) {
      if (look.startsWith("phone") && ["search", "none", "bad"].includes(name)) continue;
      await browser.go(`${master.url}${path}`);
      if (name === "detail") await browser.click("summary");
      await picture(browser, `${name}-${look}`);
      const violations = await browser.run<Violation[]>(`${axe};
        return axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations)`);
      const serious = violations.filter(({ impact }) => impact !== "minor");
      assertEquals(serious, [], `${name} ${look}`);
      assert(
        await browser.run(
          "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth <= clientWidth",
        ),
        `${name} ${look} is wider than the window`,
      );
    }
    backgrounds.add(
      await browser.run("return getComputedStyle(document.body).backgroundColor"),
    );
    assertEquals(await complaints(browser), []);
  }
  assertNotEquals(backgrounds.size, 1);
}, axe === undefined);
