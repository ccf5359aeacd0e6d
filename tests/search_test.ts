import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import type { Link } from "../links/link.ts";
import { Matcher } from "../links/matcher.ts";
import { toReadable } from "../links/readable.ts";
import { Table } from "../links/table.ts";
import { random } from "./random.ts";

const LINKS: Link[] = [
  { key: "moscow", url: `https://ru.example.com/wiki/${encodeURI("Москва")}?x=1` },
  { key: "raw", url: "https://example.com/МОСКВА/Вокзал" },
  { key: "site", url: "https://xn--80adxhks.xn--p1ai/about" },
  { key: "mixed", url: "https://xn--80adxhks.xn--p1ai/%d0%bf%d1%83%d1%82%d1%8c" },
  { key: "books", url: "https://xn--bcher-kva.example/C%2B%2B" },
  { key: "latin", url: "https://example.com/Ärzte/straße" },
  { key: "odos", url: `https://example.com/${encodeURI("Οδός")}` },
  { key: "cafe", url: `https://example.com/${encodeURI("Café".normalize("NFD"))}` },
  { key: "half", url: "https://example.com/%D0%9C%FF%D0%B8%D1%80" },
  { key: "paper", url: "https://example.com/a%20white%2Fpaper", author: "Ada Lovelace" },
  {
    key: "istanbul",
    url: `https://example.com/${encodeURI("İstanbul")}/${encodeURI("DİYARBAKIR")}`,
  },
  { key: "capital", url: `https://example.com/${encodeURI("STRAẞE")}/${encodeURI("ﬁle")}` },
  {
    key: "signs",
    url: `https://example.com/${encodeURI("10\u212aΩ")}/\u212bngstrom`,
    author: "ſam",
  },
  { key: "croat", url: `https://example.com/${encodeURI("ǅep")}/ŉ` },
  {
    key: "viet",
    url: `https://example.com/${encodeURI("Vi\u00ea\u0323t")}/Vi\u1eb9\u0302n/na\u0302\u0323m`,
  },
  { key: "names", url: "https://example.com/", author: "Großer", editor: "İnci" },
  { key: "white", url: "https://xn--wei-7ka.example/" }, // weiß
  { key: "plan", url: "https://example.com/%70lan", author: "Яна", editor: "bob@example.org" },
];

const FOUND: [q: string, keys: string[]][] = [
  ["Москва", ["moscow", "raw", "site", "mixed"]],
  ["мОСК", ["moscow", "raw", "site", "mixed"]],
  ["вокзал", ["raw"]],
  ["москва путь", ["mixed"]],
  ["путь moscow", []],
  ["https://москва.рф/путь", ["mixed"]],
  ["xn--80adxhks", ["site", "mixed"]],
  ["рф about", ["site"]],
  ["https://ru.example.com/wiki/%D0%9C%D0%BE%D1%81%D0%BA%D0%B2%D0%B0", ["moscow"]],
  ["%d0%bc%d0%be%d1%81%d0%ba%d0%b2%d0%b0 wiki", ["moscow"]],
  ["BÜCHER", ["books"]],
  ["c++", ["books"]],
  ["ärzte", ["latin"]],
  ["ÄRZTE straße", ["latin"]],
  ["STRASSE", ["latin", "capital"]],
  ["straße", ["latin", "capital"]],
  ["STRAẞE", ["latin", "capital"]],
  ["istanbul", ["istanbul"]],
  ["İSTANBUL", ["istanbul"]],
  ["ISTANBUL ısta", ["istanbul"]],
  ["diyarbakır", ["istanbul"]],
  ["file", ["capital"]],
  ["10k", ["signs"]],
  ["ω", ["signs"]],
  ["ångstrom", ["signs"]],
  ["SAM", ["signs"]],
  ["ǆep", ["croat"]],
  ["Ǆep", ["croat"]],
  ["ʼn", ["croat"]],
  ["việt", ["viet"]],
  ["VIỆN".normalize("NFD"), ["viet"]],
  ["nậm", ["viet"]],
  ["WEISS", ["white"]],
  ["sse/", ["latin", "capital"].slice(1)],
  ["tras", ["latin", "capital"]],
  ["sam", ["signs"]],
  ["groß", ["names"]],
  ["osser", ["names"]],
  ["weiß.example", ["white"]],
  ["ΟΔΌΣ", ["odos"]],
  ["οδός", ["odos"]],
  ["café", ["cafe"]],
  ["CAFÉ".normalize("NFD"), ["cafe"]],
  ["мир", []],
  ["ир", ["half"]],
  ["white paper", ["paper"]],
  ["white/paper", ["paper"]],
  ["lovelace", ["paper"]],
  ["ada WHITE", ["paper"]],
  ["ЯНА", ["plan"]],
  ["яна plan", ["plan"]],
  ["bob@example.org", ["plan"]],
  ["/plan", ["plan"]],
  ["plan lovelace", []],
  ["sitehttps", []], // the end of a key and the beginning of a URL
  ["1ada", []],
  ["  example.com  ,", []],
  ["wiki\u00a0x=1", ["moscow"]],
];

async function keysOf(table: Table, q: string): Promise<string[]> {
  const { links } = await table.list({ q, limit: 1000 });
  return links.map(({ key }) => key);
}

describe("Matcher", () => {
  it("finds the links that hold all words, as people read them", () => {
    for (const [q, keys] of FOUND) {
      const matcher = new Matcher(q);
      const found = LINKS.filter((link) => matcher.matches(link)).map(({ key }) => key);
      assertEquals(found, keys, q);
    }
  });

  it("may find in bytes whatever it finds in links", () => {
    const { seed, pick } = random();
    const letters = [
      ..."aZ9%/+ß.",
      ..."МмЯя",
      ..."σςΣ",
      ..."éÉ",
      "e\u0301",
      ..."ẞsSİıiIſ\u212akKﬁf",
      "ê\u0323",
      "ệ",
      "e\u0302\u0323",
      ..."日本ü{}",
      "😀",
    ];
    const some = (n: number) =>
      Array.from({ length: n }, () => letters[pick(letters.length)]).join("");
    for (let i = 0; i < 5000; i++) {
      const [q, text] = [some(1 + pick(2)), some(1 + pick(6))];
      const shown = pick(2) === 0 ? encodeURIComponent(text) : encodeURI(text);
      const link = { key: "k", url: `https://e/${shown}`, author: some(1 + pick(3)) };
      const matcher = new Matcher(q);
      if (!matcher.matches(link)) continue;
      const bytes = Buffer.concat([Buffer.from(link.key + link.url), Buffer.from(link.author)]);
      const what = `${q} in ${JSON.stringify(link)}, seed ${seed}`;
      assert(matcher.mayMatchIn(bytes.toString("latin1").toLowerCase()), what);
    }
  });
});

describe("Table.list() with q", () => {
  it("finds the links that hold all words, as people read them", async () => {
    for (const alone of [true, false]) {
      const table = new Table();
      for (const link of LINKS) {
        if (alone && link.key === "raw") continue; // it takes two bytes a character
        table.set(link);
      }
      for (const [q, keys] of FOUND) {
        const expected = keys.filter((key) => !alone || key !== "raw");
        assertEquals((await keysOf(table, q)).sort(), expected.toSorted(), q);
      }
    }
  });

  it("finds them among many others", async () => {
    const table = new Table();
    for (let i = 0; i < 50_000; i++) {
      const url = `https://example.com/${encodeURI(i % 2 ? "Вокзал" : "Погода")}/${i}`;
      table.set({ key: `k${i}`, url });
    }
    for (const link of LINKS) table.set(link);
    assertEquals((await keysOf(table, "москва путь")).sort(), ["mixed"]);
    assertEquals(await keysOf(table, "погода /49998"), ["k49998"]);
    assertEquals(await keysOf(table, "погода /49999"), []);
    assertEquals((await keysOf(table, "вокзал")).length, 1000);
  });
});

describe("toReadable()", () => {
  it("shows letters as they are, and a host in both forms, so that none can look like another", () => {
    const shown: [url: string, text: string][] = [
      ["https://example.com/a%20b", "https://example.com/a%20b"],
      ["https://xn--80adxhks.xn--p1ai/", "https://москва.рф (xn--80adxhks.xn--p1ai)/"],
      ["https://xn--80ak6aa92e.com/x", "https://аррӏе.com (xn--80ak6aa92e.com)/x"],
      ["http://xn--bcher-kva.example:81?q", "http://bücher.example (xn--bcher-kva.example):81?q"],
      ["https://xn--a/", "https://xn--a/"],
      ["https://example.com/?x=//xn--80adxhks", "https://example.com/?x=//xn--80adxhks"],
      ["https://ru.example.com/%D0%9C%d0%b8%2f", "https://ru.example.com/Ми%2f"],
      [
        "https://example.com/%E2%80%AE%C2%A0%E2%80%8B",
        "https://example.com/%E2%80%AE%C2%A0%E2%80%8B",
      ],
      ["https://example.com/%FF%D0%9C", "https://example.com/%FF%D0%9C"],
      ["https://example.com/%F0%9F%98%80", "https://example.com/😀"],
      ["/%", "/%"],
    ];
    for (const [url, text] of shown) assertEquals(toReadable(url), text);
  });
});
