/**
 * What a reader of links makes of files: what it takes, what it refuses and why, what it says.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readLinks, Remarks, type Row } from "../cli/formats.ts";

/** All rows of a file, which comes in pieces; and what is said of it, and why it isn't read to its end. */
async function read(file: string | Uint8Array, size = 1 << 16) {
  const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file;
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  const remarks = new Remarks();
  const rows: Row[] = [];
  let error;
  try {
    for await (const row of readLinks(pieces(), remarks)) rows.push(row);
  } catch (thrown) {
    error = (thrown as Error).message;
  }
  return { rows, remarks: remarks.lines, error };
}

/** The only row of a table. */
async function rowOf(header: string, row: string): Promise<Row> {
  const { rows, error } = await read(`${header}\n${row}\n`);
  assertEquals([rows.length, error], [1, undefined], `${header} ${row}`);
  return rows[0];
}

const URL = "https://example.com/";

describe("a key in a table", () => {
  it("stays as it is, but for whole short URLs", async () => {
    const cases: [text: string, key: string | undefined][] = [
      ["docs", "docs"],
      ["foo/bar", undefined],
      ["/docs", undefined],
      ["docs/", undefined],
      ["https://s.example.com/docs", "docs"],
      ["HTTP://localhost:8080/docs", "docs"],
      ["https://s.example.com/a/docs", undefined],
      ["https://s.example.com/docs/", undefined],
      ["https://s.example.com/", undefined],
      ["https://s.example.com", undefined],
      ["https://s.example.com/docs?x=1", undefined],
      ["https://s.example.com/docs#x", undefined],
      ["https://ada@s.example.com/docs", undefined],
      ["https:/docs", undefined],
      ["//s.example.com/docs", undefined],
      ["s.example.com/docs", undefined],
      ["bit.ly/docs", undefined],
      ["", undefined],
    ];
    for (const [text, key] of cases) {
      const row = await rowOf("key,url", `${text},${URL}`);
      assertEquals(row.reason === undefined ? row.key : undefined, key, text);
    }
  });

  it("has no scheme only in Bitly's columns", async () => {
    for (const header of ["Link,Long URL", "Bitlink,Destination URL", "link,long_url"]) {
      assertEquals((await rowOf(header, `bit.ly/docs,${URL}`)).key, "docs");
      assertEquals((await rowOf(header, `docs,${URL}`)).key, "docs");
      assertMatch((await rowOf(header, `bit.ly/a/b,${URL}`)).reason!, /no slash/);
      assertMatch((await rowOf(header, `docs/b,${URL}`)).reason!, /no slash/);
    }
    assertMatch((await rowOf("keyword,url", `bit.ly/docs,${URL}`)).reason!, /no slash/);
  });

  it("is the same in all columns that have it", async () => {
    const header = "shortCode,shortUrl,longUrl";
    for (const short of ["https://s.test/a", "https://s.test/base/a", "a", ""]) {
      assertEquals((await rowOf(header, `a,${short},${URL}`)).reason, undefined, short);
    }
    for (const short of ["https://s.test/b", "https://s.test/", "https://s.test/xa", "b"]) {
      const { reason } = await rowOf(header, `a,${short},${URL}`);
      assertEquals(reason, `shortUrl "${short}" doesn't end with its shortCode`);
    }
  });
});

describe("a table", () => {
  it("has as many fields in each row as in its header", async () => {
    const { rows } = await read(
      `key,url\ndocs,https://example.com/a,b,c\ndocs\nmap,${URL}\n"q,${URL}","x"y\n`,
    );
    assertEquals(rows.map(({ line, key, reason }) => [line, key, reason]), [
      [2, "", "it has 4 fields, and the header has 2"],
      [3, "", "it has 1 field, and the header has 2"],
      [4, "map", undefined],
      [5, "", "it has text behind a quote that closes a field"],
    ]);
    const shifted = await rowOf("url,key", "https://example.com/map?ll=1.5,2.5,docs2");
    assertEquals([shifted.key, shifted.reason], ["", "it has 3 fields, and the header has 2"]);
  });

  it("gives no link for its header, where it stands there again", async () => {
    assertEquals((await rowOf("key,url", "key,url")).reason, "it is the header again");
  });

  it("is refused where two columns could be one thing, and they are named", async () => {
    for (
      const [header, reason] of [
        ["key,slug,url", "key and slug could both be the key"],
        ["slug,short url,url", "slug and short url could both be the key"],
        ["Key,URL,Target", "URL and Target could both be the URL"],
        ["key,url,url", "url and url are one name"],
        ["key,Long URL,long_url", "Long URL and long_url are one name"],
        ["key,url,note,note", "note and note are one name"],
        [
          "key,url,expires,valid until",
          "expires and valid until could both be what is expires here",
        ],
        ["shortcode,alias,longurl", "shortcode and alias could both be the key"],
        ["link,long_url,url", "long_url and url could both be the URL"],
      ]
    ) {
      const { rows, error } = await read(`${header}\n${"x,".repeat(8)}\n`);
      assertEquals([rows, error], [[], `${reason}: leave one of them out`], header);
    }
  });

  it("is refused where it has no key, or no URL", async () => {
    for (const text of ["key,title\n", "url,title\n", "<!doctype html>\n", "docs\n", "\u0000"]) {
      assertMatch((await read(text)).error!, /^no links in it: use lines like/, text);
    }
    assertEquals((await read("")).rows, []);
    assertEquals((await read(" \n\n")).rows, []);
  });

  it("names each column that is ignored, and no control character of it", async () => {
    const { remarks } = await read(`key,url,title,clicks,\u001b[31m,\n`);
    assertEquals(remarks, ["ignored: title, clicks, \\u001b[31m"]);
    const many = Array.from({ length: 200 }, (_, i) => `c${i}`);
    assertMatch((await read(`key,url,${many}\n`)).remarks[0], /, c49, and more$/);
  });
});

describe("a time in a table", () => {
  it("is one that there is; a day begins what was made and ends what ends", async () => {
    const cases: [text: string, created: number | undefined, expires: number | undefined][] = [
      ["2099-12-24T18:00:00+01:00", 4101814800, 4101814800],
      ["2099-12-24T17:00:00.123Z", 4101814800, 4101814800],
      ["2099-12-24 17:00:00", 4101814800, 4101814800],
      ["2099-12-24 18:00:00+01", 4101814800, 4101814800],
      ["2099-12-24T18:00:00+0100", 4101814800, 4101814800],
      ["2099-12-24 17:00:00 UTC", 4101814800, 4101814800],
      ["2099-12-24", 4101753600, 4101840000],
      ["", undefined, undefined],
      ["NULL", undefined, undefined],
      ["\\N", undefined, undefined],
    ];
    for (const [text, created, expires] of cases) {
      const row = await rowOf("key,url,created_at,expires_at", `k,${URL},${text},${text}`);
      assertEquals([row.created, row.expires, row.reason], [created, expires, undefined], text);
    }
  });

  it("is refused where it is none, and not taken for another", async () => {
    for (
      const text of [
        "2099-02-30",
        "2099-02-30T00:00:00Z",
        "2099",
        "12/24/2099",
        "24.12.2099",
        "2099-12",
        "2099-12-24T25:00:00Z",
        "2099-12-24T18:00",
        "24 Dec 2099",
        "4101840000",
        "86400",
        "in 30 days",
        "tomorrow",
        "2199-01-01",
        "0",
        "false",
      ]
    ) {
      for (const column of ["created", "expires"]) {
        const row = await rowOf(`key,url,${column}`, `k,${URL},${text}`);
        assertMatch(row.reason!, new RegExp(`^${column} ".*" is (?:not a time|after)`), text);
      }
    }
  });

  it("is in UTC where it has no zone, which is said once", async () => {
    const rows = `a,${URL},2024-05-01 10:00:00\nb,${URL},2024-05-01\n`;
    const { remarks } = await read(`key,url,created\n${rows}`);
    assertEquals(remarks, ["times without a zone are taken for UTC"]);
    assertEquals((await read(`key,url,created\na,${URL},2024-05-01T10:00:00Z\n`)).remarks, []);
  });

  it("may be a number of seconds where a program writes one", async () => {
    const ends = async (text: string) => {
      const { expires, reason } = await rowOf("short_url,long_url,expiry_time", `k,${URL},${text}`);
      return reason === undefined ? expires : "refused";
    };
    assertEquals(await Promise.all(["4101814800", "0", "", "1577836800"].map(ends)), [
      ...[4101814800, undefined, undefined, 1577836800],
    ]);
    for (const text of ["4101814800000", "-1", "1.5", "2099-12-24", "1e9", "soon"]) {
      assertEquals(await ends(text), "refused", text);
    }
  });
});

describe("a link that isn't for everybody", () => {
  it("is refused by name", async () => {
    for (
      const [column, value] of [
        ["password", "true"],
        ["password", "secret"],
        ["Password", "0"],
        ["has_password", "1"],
        ["Max visits", "10"],
        ["max_clicks", "1"],
        ["valid since", "2099-01-01"],
        ["valid_since", "soon"],
        ["banned", "true"],
        ["disabled_at", "2024-01-01"],
        ["ios", "https://example.com/app"],
      ]
    ) {
      const row = await rowOf(`key,url,${column}`, `k,${URL},${value}`);
      assertEquals(row.reason?.includes(column), true, `${column} ${value}: ${row.reason}`);
    }
    for (
      const [column, value] of [
        ["password", "false"],
        ["password", ""],
        ["password", "NULL"],
        ["has_password", "0"],
        ["max_visits", "0"],
        ["valid_since", "2020-01-01"],
        ["banned", "false"],
      ]
    ) {
      const row = await rowOf(`key,url,${column}`, `k,${URL},${value}`);
      assertEquals(row.reason, undefined, `${column} ${value}`);
    }
  });
});

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
      [undefined, "a", undefined],
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
      { key: "a", url: URL, expires: 4101814800, ...facts },
      { key: "b/c", url: URL, clicks: 3, ...facts },
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
      ].map((line) => JSON.stringify(line)).join("\n"),
    );
    assertEquals(rows.map(({ key, line, reason }) => [key, line, reason]), [
      ["a", 2, 'Created "yesterday" is not a time that can be kept'],
      ["b", 3, "Author 7 is not a name that can be kept"],
      ["c", 4, `"Author" and "By" don't say the same`],
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
