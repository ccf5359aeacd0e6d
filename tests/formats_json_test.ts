/**
 * What a reader of links makes of JSON, of lines of ours, and of what isn't text.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { read, URL } from "./reader.ts";

describe("JSON", () => {
  const link = { address: "a", target: URL, expire_in: "2099-12-24T17:00:00Z" };
  const wanted = [["a", URL, 4101814800], ["b", URL, 4101814800]];
  const links = [link, { ...link, address: "b" }];

  it("is read line by line, over several lines, as an array, and as APIs answer", async () => {
    const pretty = (value: unknown) => JSON.stringify(value, null, 2);
    const texts = [
      links.map((link) => JSON.stringify(link)).join("\n"),
      links.map((link) => JSON.stringify(link)).join("\r\n") + "\r\n\r\n",
      links.map(pretty).join("\n"),
      JSON.stringify(links),
      pretty(links),
      `\ufeff\n  ${pretty(links)}\n`,
      JSON.stringify({ total: 2, data: links }),
      pretty({ data: links, total: 2 }),
      links.map((link) => JSON.stringify({ total: 2, data: [link] })).join("\n"), // two pages
      links.map((link) => pretty({ total: 2, data: [link] })).join("\n"),
      `[${JSON.stringify(links[0])}]\n[${JSON.stringify(links[1])}]\n`,
    ];
    for (const text of texts) {
      for (const size of [1, 7, 1 << 16]) {
        const { rows, remarks, error } = await read(text, size);
        assertEquals(rows.map(({ key, url, expires }) => [key, url, expires]), wanted, text);
        assertEquals([remarks, error], [[], undefined], text);
      }
    }
  });

  it("says what is wrong in which line, and reads on where that is sure", async () => {
    const lines = await read(
      `{"Key":"a","URL":"${URL}"}\n{"Key":"b","URL\n\n[]\n3\n{"slug":"c"}\n{"slug":"d","url":"${URL}"}\n`,
    );
    assertEquals(lines.rows.map(({ line, key, reason }) => [line, key, reason]), [
      [2, "", "bad JSON"],
      [4, "", "it is not a JSON object"],
      [5, "", "it is not a JSON object"],
      [6, "", "it has no URL"],
      [7, "d", undefined],
      [1, "a", undefined],
    ]);
    const array = await read(`[\n {"slug":"a","url":"${URL}","slug":"b"},\n {"slug":1,"url":2},\n`);
    assertEquals(array.rows.map(({ line, reason }) => [line, reason]), [
      [2, "a member stands in it twice"],
      [3, "url 2 is not a URL"],
    ]);
    assertEquals(array.error, "line 4: the JSON ends too soon");
    for (
      const [text, error] of [
        [`[\n3]`, "line 2: a link is an object, {...}"],
        [`[\n{"a":1}]\nx`, "line 3: bad JSON"],
        [`{\n"a":`, "line 2: the JSON ends too soon"],
      ]
    ) assertEquals((await read(text)).error, error);
  });

  it("may be pages that stand in one line, as curl writes them into one file", async () => {
    const pages = ["a", "b"].map((key) =>
      JSON.stringify({ total: 2, data: [{ address: key, target: URL, password: false }] })
    );
    for (const between of ["", " ", "\n"]) {
      const { rows, remarks } = await read(pages.join(between));
      assertEquals(rows.map(({ key, reason }) => [key, reason]), [
        ["a", undefined],
        ["b", undefined],
      ]);
      assertEquals(remarks, []);
    }
    const { rows } = await read(`{"slug":"a","url":"${URL}"}{"slug":"b","url":"${URL}"}`);
    assertEquals(rows.map(({ key }) => key), ["a", "b"]);
  });

  it("is refused where a member stands in it twice, wherever, or where it is nested deep", async () => {
    const TWICE = "a member stands in it twice";
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const inner =
      `{"shortCode":"a","longUrl":"${URL}","meta":{"validUntil":"x","validUntil":null}}`;
    for (
      const [text, reason] of [
        [`{"Short":"a","Long":"${URL}","Long":"${URL}b"}`, TWICE],
        [`{"Short":"a","L\\u006fng":"${URL}","Long":"${URL}b"}`, TWICE],
        [inner, TWICE],
        [`[${inner}]`, TWICE],
        [`{"Short":"a","Long":"${URL}?a=\\":\\\\"}`, undefined],
        [
          `{"shortlink":"a","longlink":"${URL}","password":${deep}}`,
          "it is nested more than 100 deep",
        ],
        [`{"shortlink":${deep},"longlink":"${URL}"}`, "it is nested more than 100 deep"],
      ] as const
    ) {
      const { rows, error } = await read(`${text}\n`);
      assertEquals(
        [rows.map(({ reason }) => reason), error],
        [[reason], undefined],
        text.slice(0, 99),
      );
    }
  });

  it("loses no link that has an array where answers have their links", async () => {
    const reason = "it is a link that has an array of links in it";
    for (
      const link of [
        `{"Key":"a","URL":"${URL}","data":[]}`,
        `{"slug":"a","url":"${URL}","links":[]}`,
      ]
    ) {
      for (const text of [link, `${link}\n${link}`, link.replaceAll(",", ",\n")]) {
        const { rows } = await read(text);
        const links = text.split("[]").length - 1;
        assertEquals(rows.map((row) => row.reason), Array(links).fill(reason), text);
      }
    }
  });

  it("has one name for one thing", async () => {
    const { rows } = await read(
      `{"slug":"a","key":"b","url":"${URL}"}\n{"slug":"a","url":"${URL}","URL":"${URL}b"}\n`,
    );
    assertEquals(rows.map(({ reason }) => reason), [
      "slug and key could both be the key",
      "url and URL are one name",
    ]);
  });

  it("of other programs gives what has a place here", async () => {
    const { rows } = await read(JSON.stringify([
      { Short: "go", Long: URL, Created: "2022-06-02T09:30:00Z", Owner: "ada@example.com" },
      { Short: "go", Long: URL, Owner: "x".repeat(101) },
      { shortlink: "ch", longlink: URL, hits: 3, expiry_time: 4101814800 },
      { shortCode: "sh", longUrl: URL, meta: { validUntil: "2099-12-24T17:00:00Z" } },
    ]));
    assertEquals(rows.map(({ line: _, url: __, ...row }) => row), [
      { key: "go", created: 1654162200, author: "ada@example.com" },
      { key: "go", reason: rows[1].reason },
      { key: "ch", expires: 4101814800, clicks: 3 },
      { key: "sh", expires: 4101814800 },
    ]);
    assertMatch(rows[1].reason!, /^Owner "x{40}…" is not 1 to 100 bytes/);
  });
});

it("a list of our API is read", async () => {
  const { rows, remarks } = await read(JSON.stringify({
    links: [
      {
        key: "docs",
        url: "https://example.com/{path}",
        short: "http://go/docs",
        created: "2026-11-25T09:00:00Z",
        author: "ada",
        hits: 1,
      },
    ],
    next: "x",
    count: 2,
  }));
  assertEquals(rows, [{
    key: "docs",
    url: "https://example.com/{path}",
    created: 1795597200,
    author: "ada",
    clicks: 1,
    line: 1,
  }]);
  assertEquals(remarks, ["it has 1 of 2 links: get the other pages, too", "ignored: hits"]);
});

describe("lines of ours", () => {
  it("are read, also with the names that they had before, and the last one counts", async () => {
    const { rows, remarks } = await read(
      [
        { Key: "", URL: "", Term: 2, Base: 0 },
        { Key: "a", URL: "old" },
        { Key: "a", URL: URL, Made: 1795600000, Expires: 4101814800, By: "ada", ChangedBy: "bob" },
        {
          Key: "b/c",
          URL: URL,
          Created: 1795600000,
          Author: "ada",
          Editor: "bob",
          ID: "x",
          Hits: 3,
        },
        { Key: "gone", URL: URL },
        { Key: "gone", URL: "" },
      ].map((line) => JSON.stringify(line)).join("\n"),
    );
    const facts = { created: 1795600000, author: "ada", editor: "bob", own: true };
    assertEquals(JSON.parse(JSON.stringify(rows)), [
      { key: "a", url: URL, expires: 4101814800, line: 3, ...facts },
      { key: "b/c", url: URL, clicks: 3, line: 4, ...facts },
    ]);
    assertEquals(remarks, ["ignored: Hits"]);
  });

  it("are refused where they can't be kept, and leave nothing old behind", async () => {
    const { rows } = await read(
      [
        { Key: "a", URL: "https://example.com/old" },
        { Key: "a", URL: URL, Created: "yesterday" },
        { Key: "b", URL: URL, Author: 7 },
        { Key: "c", URL: URL, Author: "ada", By: "bob" },
        { Key: "d", URL: "https://example.com/old" },
      ].map((line) => JSON.stringify(line)).join("\n") + `\n{"Key":"d","URL":"x","URL":"y"}\n`,
    );
    assertEquals(rows.map(({ key, line, reason }) => [key, line, reason]), [
      ["a", 2, 'Created "yesterday" is not a time that can be kept'],
      ["b", 3, "Author 7 is not a name that can be kept"],
      ["c", 4, `"Author" and "By" don't say the same`],
      ["d", 6, "a member stands in it twice"],
    ]);
  });
});

describe("a file that isn't UTF-8", () => {
  it("is refused, with the line", async () => {
    const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
    for (const size of [1, 2, 5, 1 << 16]) {
      const { error } = await read(
        latin1("key,url\r\na,https://a.b/\r\nb,https://a.b/\xe9\r\n"),
        size,
      );
      assertEquals(error, "not UTF-8, line 3");
      const cut = await read(latin1(`{"Key":"a","URL":"${URL}"}\n{"Key":"b\xc3`), size);
      assertEquals(cut.error, "not UTF-8, line 2");
    }
  });

  it("gives the rows before it, as any file that can't be read to its end", async () => {
    const before = `key,url\na,${URL}\nb,${URL}\n`;
    for (
      const [text, error] of [
        [`${before}c,\xe9\n`, "not UTF-8, line 4"],
        [`${before}"c,\n`, "line 4: a quote is not closed"],
        [`[\n{"key":"a","url":"${URL}"},{"key":"b","url":"${URL}"},\nx`, "line 3: a link is"],
      ]
    ) {
      const { rows, error: said } = await read(Uint8Array.from(text, (c) => c.charCodeAt(0)));
      assertEquals(rows.map(({ key }) => key), ["a", "b"]);
      assertEquals(said?.startsWith(error), true, said);
    }
  });

  it("is said to be UTF-16", async () => {
    const utf16 = new Uint8Array(
      new Uint16Array(Array.from("key,url", (c) => c.charCodeAt(0))).buffer,
    );
    for (const bytes of [utf16, new Uint8Array([0xff, 0xfe, ...utf16])]) {
      assertEquals((await read(bytes)).error, "it is UTF-16: save it as UTF-8");
    }
  });

  it("but UTF-8 is read wherever it is cut", async () => {
    for (let size = 1; size < 9; size++) {
      const { rows } = await read(`\ufeffkey,url\n😀,https://example.com/ä€😀\n`, size);
      assertEquals(rows[0].url, "https://example.com/ä€😀");
      assertEquals(rows[0].key, "😀");
    }
  });
});
