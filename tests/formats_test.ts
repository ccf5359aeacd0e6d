/**
 * What a reader of links makes of tables: what it takes, what it refuses and why, what it says.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { read, rowOf, URL } from "./reader.ts";

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
    for (const source of ["docs", "/docs", "docs/", "/docs/"]) {
      assertEquals((await rowOf("source,target,hits", `${source},${URL},1`)).key, "docs");
    }
  });

  it("is no host, and no link of a domain itself", async () => {
    for (
      const [header, text] of [
        ["Link,Long URL", "bit.ly"],
        ["Bitlink,Long URL", "bit.ly"],
        ["Short URL,Original URL", "sho.rt"],
        ["Short link,Destination URL", "dub.sh"],
      ]
    ) {
      const { reason } = await rowOf(header, `${text},${URL}`);
      assertMatch(reason!, /is a host without a part behind it$/);
    }
    const { reason } = await rowOf("Key,Destination URL", `_root,${URL}`);
    assertEquals(reason, 'key "_root" is the link of a domain itself');
    assertEquals((await rowOf("key,url", `v1.2,${URL}`)).key, "v1.2");
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
    assertEquals((await rowOf("key;url", "a;b,c;d")).url, "a;b,c;d", "as it stands in the file");
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

describe("a URL in a table", () => {
  it("begins with its scheme in files of programs, and nowhere with half of it", async () => {
    for (
      const [header, text, taken] of [
        ["shortlink,longlink", "example.com/x", false],
        ["shortlink,longlink", "example.com:8080/x", false],
        ["shortlink,longlink", "localhost:8080/x", false],
        ["shortlink,longlink", "https:/example.com/", false],
        ["slug,url", "https:/example.com/", false],
        ["slug,url", "https:example.com/", false],
        ["slug,url", "https:\\\\example.com/", false],
        ["slug,url", "example.com/x", true],
        ["slug,url", "HTTPS://example.com/x", true],
        ["slug,url", "www.example.com:8080?x", true],
        ["slug,url", "пример.рф", true],
        ["slug,url", "xn--e1afmkfd.xn--p1ai", true],
        ["slug,url", "ftp://example.com/", true], // of which a store says more
        ["slug,url", "1.234", false],
        ["slug,url", "24.12.2099", false],
        ["slug,url", "10.0.0.5", false],
        ["slug,url", "n.a.", false],
        ["slug,url", "v. 2", false],
        ["slug,url", "localhost:80", false],
        ["shortlink,longlink", " HTTPS://example.com/x", true],
      ] as const
    ) {
      const row = await rowOf(header, `k,${text}`);
      const [reason] = /doesn't begin with https:\/\/ or http:\/\/$/.exec(row.reason ?? "") ?? [];
      assertEquals(reason === undefined, taken, `${header} ${text}`);
    }
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
        "2099-12-24T24:00:00Z",
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

  it("is no end where there is none, and no beginning before the year 1970", async () => {
    for (
      const text of ["1970-01-01", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-00-00"]
    ) {
      const row = await rowOf("key,url,created", `k,${URL},${text}`);
      assertEquals([row.created, row.reason], [undefined, undefined], text);
    }
    for (const text of ["1969-12-31T23:59:59Z", "1899-12-30", "1066-10-14"]) {
      const { reason } = await rowOf("key,url,created", `k,${URL},${text}`);
      assertEquals(reason, `created "${text}" is before the year 1970`);
    }
  });

  it("ends a link whatever its end is called", async () => {
    for (const name of ["expires on", "Expire date", "valid to", "available until", "ends"]) {
      const row = await rowOf(`key,url,${name}`, `k,${URL},2099-12-24`);
      assertEquals([row.expires, row.reason], [4101840000, undefined], name);
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
        ["passphrase", "0"],
        ["is_private", "yes"],
        ["is_disabled", "t"],
        ["visit limit", "3"],
        ["starts at", "2099-01-01"],
        ["Valid from", "soon"],
        ["active", "FALSE"],
        ["is_active", "0"],
        ["enabled", "FALSCH"],
        ["expired", "true"],
        ["expires when", "2020-01-01"],
        ["expires in days", "30"],
        ["TTL", "3600"],
        ["androidURL", "https://example.com/app"],
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
        ["banned", "f"],
        ["is_active", "1"],
        ["active", "TRUE"],
        ["enabled", "t"],
        ["active", ""],
        ["expired", "no"],
        ["expiredUrl", "https://example.com/gone"],
        ["starts at", "2020-01-01"],
      ]
    ) {
      const row = await rowOf(`key,url,${column}`, `k,${URL},${value}`);
      assertEquals(row.reason, undefined, `${column} ${value}`);
    }
  });
});
