/** What comes in is taken exactly, or refused in one line that says why. */
import { assert, assertEquals, assertFalse, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readEncoded, takeFields } from "../http/fields.ts";
import { HTTPError } from "../http/problem.ts";
import { StoreError } from "../links/errors.ts";
import { checkURL, isName, plainHost } from "../links/link.ts";
import { quote, trim } from "../links/text.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, follow, type Goto } from "./processes.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const JSON_BODY = { "content-type": "application/json" };
const HTML = { accept: "text/html,*/*;q=0.8" };

/** Asks as a client does that follows no redirect. */
async function ask({ url }: Goto | Here, path: string, init: RequestInit = {}) {
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(url + path, { redirect: "manual", signal, ...init });
  const text = (await response.text()).trim();
  return { status: response.status, text, headers: response.headers };
}

const post = (goto: Goto | Here, path: string, body: BodyInit, headers: HeadersInit = FORM) =>
  ask(goto, path, { method: "POST", headers, body });

/** How many links there are. */
const count = async ({ url }: Goto | Here) => (await (await fetch(`${url}/readyz`)).json()).links;

/** A form of parts, whose bytes are Latin-1. */
function multipart(text: string): [Uint8Array<ArrayBuffer>, Record<string, string>] {
  const parts = text.replaceAll("\n", "\r\n");
  return [
    Uint8Array.from(parts, (char) => char.charCodeAt(0)),
    { "content-type": "multipart/form-data; boundary=X" },
  ];
}

const part = (name: string, value: string) =>
  `--X\ncontent-disposition: form-data; name="${name}"\n\n${value}\n`;

describe("a form", () => {
  it("with a field that isn't known, or that comes twice, is refused by name", async () => {
    await using master = await startHere();
    const wrong: [body: string, says: RegExp][] = [
      ["url=https://example.com/?a=1&b=2", /^the field "b" is not known; .*written as %26$/],
      ["url=https://example.com/&expire=", /^the field "expire" is not known; known: url, key, ex/],
      ["url=https://example.com/&=1", /^the field "" is not known/],
      ["url=https://example.com/&URL=https://example.com/", /^the field "URL" is not known/],
      ["url=https://example.com/1&url=https://example.com/2", /^the field "url" comes twice$/],
      ["url=https://example.com/&expires=3600&expires=", /^the field "expires" comes twice$/],
      ["url=https://example.com/&a%E2%80%A8b", /^the field "a\\u2028b" is not known/],
    ];
    for (const [body, says] of wrong) {
      const { status, text } = await post(master, "/add", body);
      assertMatch(text, says, body);
      assertEquals(status, 400, body);
    }
    assertEquals((await post(master, "/add", "&url=https://example.com/&&")).status, 200);
    // A stray "%" stands for itself, as browsers have it.
    assertEquals([...readEncoded("a%=100%+%C3%A9%zz")], [["a%", "100% é%zz"]]);
    const typed = part("url", "https://example.com/");
    for (
      const [more, says] of [
        [part("expire", ""), /^the field "expire" is not known/],
        [part("url", "https://example.com/2"), /^the field "url" comes twice$/],
      ] as const
    ) {
      const { status, text } = await post(master, "/add", ...multipart(`${typed}${more}--X--\n`));
      assertMatch(text, says);
      assertEquals(status, 400, more);
    }
    assertEquals(await count(master), 1);
  });

  it("whose end is missing makes nothing", async () => {
    await using master = await startHere();
    const typed = part("url", "https://example.com/");
    const torn = `${typed}--X\ncontent-disposition: form-data; name="expires"\n\n36`;
    const { status, text } = await post(master, "/add", ...multipart(torn));
    assertEquals([status, text], [400, "the form breaks off"]);
    const file =
      `${typed}--X\ncontent-disposition: form-data; name="key"; filename="a"\n\nk\n--X--\n`;
    assertEquals(
      await post(master, "/add", ...multipart(file)).then(({ text }) => text),
      'the field "key" is a file',
    );
    assertEquals((await post(master, "/add", ...multipart(`${typed}--X--\n`))).status, 200);
    assertEquals(await count(master), 1);
  });

  it("with a part that can't be read is refused, and none is passed over", async () => {
    await using master = await startHere();
    const typed = part("url", "https://example.com/");
    const field = 'content-disposition: form-data; name="expires"';
    const wrong: [body: string, says: string][] = [
      [`${typed}--X\ncontent-disposition: form-data\n\n3600\n--X--\n`, "a part without a name"],
      [`${typed}--X\nx-name: expires\n\n3600\n--X--\n`, "a part without a name"],
      [`${typed}--X\n\n3600\n--X--\n`, "a part without a name"],
      [`${typed}--X\n${field}; name="key"\n\n3600\n--X--\n`, "a part without a name"],
      [`${typed}--X\n${field} x\n\n3600\n--X--\n`, "a part without a name"],
      [`${typed}--X\n${field.replace("form-data", "inline")}\n\n3600\n--X--\n`, "a part with"],
      [`${typed}--X\n${field}\n${field}\n\n3600\n--X--\n`, "the body is no form"],
      [`${typed}--X\nexpires\n\n3600\n--X--\n`, "the body is no form"],
      [`${typed}--X\n${field}\n3600\n--X--\n`, "the body is no form"],
      [`${typed}--Xy\n${field}\n\n3600\n--X--\n`, "the body is no form"],
      [`${typed}--X\n${field}; filename*=UTF-8''a\n\n3600\n--X--\n`, 'the field "expires" is a'],
      [`${typed}--X--\n${part("expires", "3600")}--X--\n`, "the form goes on behind its end"],
      [`${typed}--X--\nexpires`, "the form goes on behind its end"],
      [typed, "the form breaks off"],
      ["", "the body is no form"],
      [
        `--X\n${field.replace("expires", "url")}\ncontent-transfer-encoding: quoted-printable\n\n` +
        "https://example.com/=C3=A9\n--X--\n",
        'the field "url" is encoded: "quoted-printable"',
      ],
    ];
    for (const [body, says] of wrong) {
      const { status, text } = await post(master, "/add", ...multipart(body));
      assertEquals(status, 400, body);
      assertMatch(text, new RegExp(RegExp.escape(says)), body);
    }
    assertEquals(await count(master), 0);
  });

  it("of parts is taken in every form that there is", async () => {
    await using master = await startHere();
    const good: [body: string, type: string][] = [
      [part("url", "https://example.com/"), "multipart/form-data; boundary=X"],
      [part("url", "https://example.com/"), 'Multipart/Form-Data; charset=utf-8; Boundary="X"'],
      [`\n${part("url", "https://example.com/")}`, "multipart/form-data; boundary=X"],
      [`a form:\n${part("url", "https://example.com/")}`, "multipart/form-data; boundary=X"],
      [
        "--X  \nCONTENT-DISPOSITION:FORM-DATA;NAME=url\nContent-Type: text/plain; charset=UTF-8\n" +
        "Content-Transfer-Encoding: 8bit\n\nhttps://example.com/\n",
        "multipart/form-data; boundary=X",
      ],
      [
        '--X\ncontent-disposition: form-data;\n name="url"\n\nhttps://example.com/\n',
        "multipart/form-data; boundary=X",
      ],
    ];
    for (const [body, type] of good) {
      const [bytes] = multipart(`${body}${part("key", "")}--X--\n`);
      const { status, text } = await post(master, "/add", bytes, { "content-type": type });
      assertEquals(status, 200, body + text);
      const { location } = await follow(master.url, text.slice(text.lastIndexOf("/") + 1));
      assertEquals(location, "https://example.com/", body);
    }
    const form = new FormData();
    form.set("url", "https://example.com/é--X");
    form.set("key", "runtime");
    assertEquals((await ask(master, "/add", { method: "POST", body: form })).status, 200);
    const { location } = await follow(master.url, "runtime");
    assertEquals(location, "https://example.com/%C3%A9--X");
  });

  it("is not made of a query, of which the body's fields would be parts", async () => {
    await using master = await startHere();
    const { status, text } = await post(master, "/add?key=docs", "url=https://example.com/");
    assertEquals([status, text], [400, 'the parameter "key" is not known']);
    assertEquals(await count(master), 0);
  });

  it("that changes a link takes its own fields, and no other action", async () => {
    await using master = await startHere();
    await add(master.url, "https://example.com/", "docs");
    const wrong: [string, string][] = [
      ["url=https://example.com/?a=1&b=2", 'the field "b" is not known'],
      ["action=remove", 'the field "action" must be change or delete'],
      ["action=delete&action=change", 'the field "action" comes twice'],
      ["url=%FF", '"url" is not UTF-8'],
    ];
    for (const [body, says] of wrong) {
      const { status, text } = await post(master, "/.detail/docs", body);
      assertEquals([status, text.slice(0, says.length)], [400, says], body);
    }
    assertEquals((await follow(master.url, "docs")).location, "https://example.com/");
  });

  it("never cuts what was typed: what is too long is refused, and stays in its field", async () => {
    await using master = await startHere();
    await add(master.url, "https://example.com/", "docs");
    for (const path of ["/", "/.detail/docs", "/.all"]) {
      assertFalse((await ask(master, path, { headers: HTML })).text.includes("maxlength"), path);
    }
    const url = `https://example.com/${"x".repeat(8192)}`;
    const key = "k".repeat(65);
    const body = new URLSearchParams({ url, key, expires: "y".repeat(65) });
    for (const path of ["/add", "/.detail/docs"]) {
      if (path !== "/add") body.delete("key");
      const { status, text } = await post(master, path, `${body}`, { ...FORM, ...HTML });
      assertEquals(status, 400);
      assert(text.includes(`value="${url}"`), path);
      assert(text.includes(`value="${"y".repeat(65)}"`), path);
      if (path === "/add") assert(text.includes(`value="${key}"`));
    }
    const q = "q".repeat(201);
    const search = await ask(master, `/.all?q=${q}`, { headers: HTML });
    assertEquals(search.status, 400);
    assertMatch(search.text, /must have at most 200 characters/);
    assert(search.text.includes(`value="${q}"`));
  });
});

describe("a query", () => {
  it("with a parameter that would be passed over is refused by name", async () => {
    await using master = await startHere();
    await add(master.url, "https://example.com/", "docs");
    const wrong: [path: string, name: string][] = [
      ["/?url=https://example.com/?a=1&b=2", "b"],
      ["/add?url=https://example.com/&expire=3600", "expire"],
      ["/.all?ordr=hits", "ordr"],
      ["/.all?q=a&q=b", "q"],
      ["/api/links?limt=1", "limt"],
      ["/api/links?search=docs", "search"],
      ["/api/links?limit=1&limit=2", "limit"],
      ["/.export?q=docs", "q"],
    ];
    for (const [path, name] of wrong) {
      const { status, text } = await ask(master, path);
      assertEquals(status, 400, path);
      assertMatch(
        text,
        new RegExp(`the parameter (\\\\"|"|&#34;)${name}(\\\\"|"|&#34;) (is not|comes)`, "i"),
      );
    }
    for (const path of ["/?utm_source=x", "/api/links/docs?x", "/docs?x&x", "/.all?deleted=x&q="]) {
      assert((await ask(master, path)).status < 400, path);
    }
    const changes: [string, string, string?][] = [
      ["PUT", "/api/links/docs?expires=3600", '{"url":"https://example.com/2"}'],
      ["DELETE", "/api/links/docs?dry-run=1"],
      ["POST", "/api/links?key=a", '{"url":"https://example.com/"}'],
    ];
    for (const [method, path, body] of changes) {
      const { status } = await ask(master, path, { method, body, headers: JSON_BODY });
      assertEquals(status, 400, path);
    }
    assertEquals([await count(master), (await follow(master.url, "docs")).location], [
      1,
      "https://example.com/",
    ]);
  });

  it("fills in all of the form, when the link ends, too", async () => {
    await using master = await startHere();
    const { text } = await ask(master, "/?url=example.com/%26b&key=docs&expires=in+30+days");
    assertMatch(text, / value="example.com\/&#38;b"/);
    assertMatch(text, /name="key"[^>]* value="docs"/);
    assertMatch(text, /name="expires"[^>]* value="in 30 days"/);
  });
});

describe("what is no UTF-8", () => {
  it("by its own account is refused, unless it is ASCII", async () => {
    await using master = await startHere("-rpc");
    const typed = (value: string, more = "") =>
      multipart(
        `--X\ncontent-disposition: form-data; name="url"\n${more}\n${value}\n--X--\n`,
      )[0];
    const bodies: [path: string, type: string, body: (url: string) => BodyInit][] = [
      ["/add", "application/x-www-form-urlencoded", (url) => `url=${encodeURIComponent(url)}`],
      [
        "/add",
        "multipart/form-data; boundary=X",
        (url) => typed(String.fromCharCode(...new TextEncoder().encode(url))),
      ],
      ["/api/links", "application/json", (url) => JSON.stringify({ url })],
      [
        "/rpc",
        "application/json",
        (url) => JSON.stringify({ jsonrpc: "2.0", method: "Store.Put", params: [url], id: 1 }),
      ],
    ];
    for (const [path, type, body] of bodies) {
      // The bytes of "é" in UTF-8 are "Ã©" in Latin-1.
      const send = (charset: string, url: string) =>
        post(master, path, body(url), { "content-type": `${type}; charset=${charset}` });
      for (const charset of ["ISO-8859-1", '"windows-1251"', "utf-16", "utf-7", "shift_jis"]) {
        const { status, text } = await send(charset, "https://example.com/é");
        assertEquals(status, 400, path + charset);
        assertMatch(text, /is not read: use charset=utf-8/);
      }
      assertEquals((await send("utf-16", "https://example.com/a")).status, 400);
      for (const charset of ["ISO-8859-1", "us-ascii", "UTF-8", '"utf8"']) {
        assert((await send(charset, "https://example.com/a")).status < 300, path + charset);
      }
      assert((await send("utf-8", "https://example.com/é")).status < 300);
    }
    const part = "content-type: text/plain; charset=iso-8859-1\n";
    const type = { "content-type": "multipart/form-data; boundary=X" };
    assertEquals((await post(master, "/add", typed("https://a/Ã©", part), type)).status, 400);
    assertEquals((await post(master, "/add", typed("https://a/e", part), type)).status, 200);
  });

  it("is refused in forms, queries, JSON and RPC", async () => {
    await using master = await startHere("-rpc");
    for (const bytes of ["%E9", "%FF", "%C3", "%ED%A0%80", "%C0%AF", "a%F0%9F%92"]) {
      const { status, text } = await post(master, "/add", `url=https://example.com/${bytes}`);
      assertEquals([status, text], [400, '"url" is not UTF-8'], bytes);
      for (const path of [`/?url=${bytes}`, `/api/links?q=${bytes}`, `/.all?q=${bytes}`]) {
        assertEquals((await ask(master, path)).status, 400, path);
      }
    }
    assertEquals(
      (await post(master, "/add", "%FF=x")).text,
      'the field "" is not known; known: url, key, expires',
    );
    const raw = Uint8Array.from("url=https://example.com/\xe9", (char) => char.charCodeAt(0));
    assertEquals((await post(master, "/add", raw)).text, "the body is not UTF-8");
    const form = multipart(`${part("url", "https://example.com/\xe9")}--X--\n`);
    assertEquals((await post(master, "/add", ...form)).text, "the body is not UTF-8");
    for (const half of ["\\ud800", "\\udc00", "\\udc00\\ud800", "x\\uD83D"]) {
      const json = `{"url":"https://example.com/${half}"}`;
      const { status, text } = await post(master, "/api/links", json, JSON_BODY);
      assertEquals(status, 400, text);
      assertMatch(text, /lone surrogate/);
      const key = `{"url":"https://example.com/","key":"${half}"}`;
      assertEquals((await post(master, "/api/links", key, JSON_BODY)).status, 400);
      const params = `["https://example.com/${half}"]`;
      const call = `{"jsonrpc":"2.0","id":1,"method":"Store.Put","params":${params}}`;
      const answer = JSON.parse((await post(master, "/rpc", call, JSON_BODY)).text);
      assertEquals([answer.error.code, answer.error.message], [
        -32602,
        "Invalid params: a lone surrogate is no character",
      ]);
    }
    assertEquals(await count(master), 0);
  });

  it("stays what it is where it is written in a URL", async () => {
    await using master = await startHere("-suffix");
    const { status, text } = await post(
      master,
      "/api/links",
      '{"url":"https://example.com/%E9\\ud83d\\ude00","key":"docs"}',
      JSON_BODY,
    );
    assertEquals(status, 201);
    assertEquals(JSON.parse(text).url, "https://example.com/%E9%F0%9F%98%80");
    await add(master.url, "https://example.com/", "a");
    assertEquals(
      (await follow(master.url, "a/%E9?x=%FF")).location,
      "https://example.com/%E9?x=%FF",
    );
  });
});

describe("JSON", () => {
  it("with an empty end is refused: it may be one that was forgotten", async () => {
    await using master = await startHere();
    for (const expires of ["", " ", "\u200b"]) {
      const body = JSON.stringify({ url: "https://example.com/", expires });
      for (const method of ["POST", "PUT"]) {
        const path = method === "POST" ? "/api/links" : "/api/links/docs";
        const { status, text } = await ask(master, path, { method, body, headers: JSON_BODY });
        assertEquals(status, 400, method);
        assertMatch(text, /\\"expires\\" is empty/);
      }
    }
    assertEquals(await count(master), 0);
  });

  it("with a member twice is refused", async () => {
    await using master = await startHere();
    const wrong = [
      '{"url":"https://example.com/1","url":"https://example.com/2"}',
      '{"url":"https://example.com/","key":"a","key":null}',
      '{"url":"https://example.com/","\\u0075rl":"https://example.com/2"}',
      '{"url" : "https://example.com/" , "url":"https://example.com/"}',
    ];
    for (const body of wrong) {
      const { status, text } = await post(master, "/api/links", body, JSON_BODY);
      assertEquals([status, JSON.parse(text).detail], [400, "the body has a member twice"], body);
    }
    const fine = [
      '{"url":"https://example.com/\\",\\"url\\":\\""}',
      '{"url":"a.b/:\\"","key":"k"}',
    ];
    for (const body of fine) {
      assertEquals((await post(master, "/api/links", body, JSON_BODY)).status, 201, body);
    }
  });
});

describe("trim()", () => {
  it("takes away what can't be seen at either end, and nothing else", () => {
    const unseen = [
      ..." \t\n\u00a0\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e",
      ..."\u2060\u2064\u2066\u2069\u3000\u3164\ufeff\ufff9",
    ];
    for (const char of unseen) {
      assertEquals(trim(`${char}${char}a${char}b${char}`), `a${char}b`, quote(char));
    }
    assertEquals([trim(""), trim("\u200b")], ["", ""]);
    // A heart in red, and the flag of England, end with characters that belong to them.
    for (const text of ["\u2764\ufe0f", "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}", "é", "\u2800"]) {
      assertEquals(trim(text), text);
    }
  });

  it("is done to addresses, keys and times wherever they come in", async () => {
    await using master = await startHere("-rpc");
    await using replica = await startHere(`-master=${master.url}`);
    const url = "\u200bhttps://example.com/\u200e";
    const expires = "\u200f3600\u00ad";
    const keyOf = (name: string) => `\ufeff${name}\u2060`;
    for (const [goto, name] of [[master, "m"], [replica, "r"]] as const) {
      const form = new URLSearchParams({ url, key: keyOf(`${name}1`), expires });
      assertEquals((await post(goto, "/add", `${form}`)).status, 200);
      const json = JSON.stringify({ url, key: keyOf(`${name}2`), expires });
      assertEquals((await post(goto, "/api/links", json, JSON_BODY)).status, 201);
      const change = JSON.stringify({ url: "\u200bexample.com/2", key: keyOf(`${name}2`) });
      const init = { method: "PUT", headers: JSON_BODY, body: change };
      assertEquals((await ask(goto, `/api/links/${name}2`, init)).status, 200);
      assertEquals((await post(goto, "/add", `url=a.b&key=%E2%80%8B`)).status, 200, "no key");
    }
    const params = [url, keyOf("call"), null, expires];
    const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Store.Put", params });
    assertEquals(JSON.parse((await post(master, "/rpc", call, JSON_BODY)).text).result, "call");
    for (const key of ["m1", "r1", "call"]) {
      assertEquals((await follow(master.url, key)).location, "https://example.com/");
    }
    assertEquals((await follow(master.url, "r2")).location, "https://example.com/2");
    const inside = await post(master, "/api/links", '{"url":"a.b","key":"a\\u200bb"}', JSON_BODY);
    assertMatch(JSON.parse(inside.text).detail, /^invalid key/);
  });
});

describe("checkURL()", () => {
  const refused = (text: string, why: string, host?: string) => {
    const error = assertThrows(() => checkURL(text, host), StoreError, why);
    assertEquals(error.kind, "invalid url");
  };

  it("refuses a host that can be none", () => {
    for (
      const url of [
        "https://{path}.example.com/",
        "https://{path}/",
        "https://example.com{path}",
        "https://%7Bquery%7D.example/",
        "https://./",
        "https://../x",
        "https://.example.com/",
        "https://example..com/",
        "https://example.com../",
        "https://\u00ad.com/",
      ]
    ) {
      assertThrows(() => checkURL(url), StoreError, "host", url);
    }
    assertEquals(checkURL("https://example.com./{path}"), "https://example.com./{path}");
  });

  it("refuses a scheme in place of a host", () => {
    for (
      const text of [
        "http://https://example.com/",
        "https://http://example.com/",
        "https:https//example.com/",
        "http://http//",
        "http://https",
        "HTTP://HTTPS:443/x",
        "https://https.//example.com/",
        "http.//example.com/",
        "http://\uff48ttps://example.com/",
        "http:/\\https://example.com/",
        "http://ftp://example.com/",
        "https://file:///etc/passwd",
        "\u200bhttp://https://example.com/",
      ]
    ) refused(text, "it begins with two schemes");
    for (
      const url of [
        "https://web.archive.org/web/2026/https://example.com/",
        "http://ftp/pub",
        "http://data/",
        "https://https.example.com/",
        "https://example.com//x",
      ]
    ) assertEquals(checkURL(url), url);
  });

  it("knows its own host by any port of http and https, and with a dot at its end", () => {
    for (const scheme of ["http", "https"]) {
      for (
        const host of ["go.example.com", "go.example.com.", "GO.Example.COM", "go.example.com:80"]
      ) {
        refused(`${scheme}://${host}/x`, "points back", "go.example.com");
      }
      refused(`${scheme}://go.example.com:443/`, "points back", "go.example.com");
      assertEquals(
        checkURL(`${scheme}://go.example.com:8080/`, "go.example.com"),
        `${scheme}://go.example.com:8080/`,
      );
    }
    refused("http://localhost.:8080/", "points back", "localhost:8080");
    assertEquals(plainHost(new URL("https://GO.example.:8443/")), "go.example:8443");
  });
});

describe("-host", () => {
  for (
    const host of [
      "go.example.com.",
      "GO.example.com",
      "https://go.example.com:443",
      "go.example.com.:80",
    ]
  ) {
    it(`${host} is go.example.com wherever it is compared`, async () => {
      await using master = await startHere(`-host=${host}`);
      const { text } = await post(master, "/add", "url=https://example.com/");
      assertMatch(text, /^https?:\/\/go\.example\.com\/0$/);
      for (const own of ["go.example.com", "go.example.com.", "GO.example.com:443"]) {
        const refused = await post(master, "/add", `url=https://${own}/x`);
        assertEquals([refused.status, /points back/.test(refused.text)], [400, true], own);
      }
    });
  }
});

describe("a number for when a link ends", () => {
  it("is seconds from now, up to ten years, and no time", async () => {
    await using master = await startHere();
    const end = async (expires: string) => {
      const body = `{"url":"https://example.com/","expires":${expires}}`;
      const { status, text } = await post(master, "/api/links", body, JSON_BODY);
      return { status, ...JSON.parse(text) };
    };
    const near = Date.now() + 315_360_000_000;
    const most = await end("315360000");
    assert(Math.abs(Date.parse(most.expires) - near) < 10_000, most.expires);
    for (const number of ["1798761600", '"1798761600"', "1798761600.0"]) {
      const { status, detail } = await end(number);
      assertEquals([status, detail], [
        400,
        "invalid time to expire: a number is seconds from now, at most 315360000, ten years; " +
        "if it is a time, write 2027-01-01T00:00:00Z",
      ]);
    }
    for (
      const number of [
        "315360001",
        "1798761600000",
        "9999999999",
        "-1",
        "1.5",
        "1e30",
        "0",
        '"1e3"',
        "[1]",
      ]
    ) {
      assertEquals((await end(number)).status, 400, number);
    }
    assertEquals((await post(master, "/add", "url=a.b&expires=1798761600")).status, 400);
  });
});

describe("a name", () => {
  it("breaks no line, wherever lines are read", async () => {
    for (const char of "\u2028\u2029\u0085\u000b\u000c\n\r\u001c\u200e\u202e") {
      assertFalse(isName(`a${char}b`), quote(char));
    }
    assert(isName("grâce o’malley"));
    await using master = await startHere("-rpc", "-proxy=1", "-user-header=X-User");
    for (const break_ of ["\u2028", "\u2029", "\u0085"]) {
      const utf8 = new TextEncoder().encode(`a${break_}b`);
      const headers = { ...FORM, "x-user": String.fromCharCode(...utf8) };
      assertEquals((await post(master, "/add", "url=https://example.com/", headers)).status, 400);
      const params = { url: "https://example.com/", author: `a${break_}b` };
      const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Store.Put", params });
      const { error } = JSON.parse((await post(master, "/rpc", call, JSON_BODY)).text);
      assertMatch(error.message, /^invalid name/);
    }
    const trimmed = { ...FORM, "x-user": "\u00e2\u0080\u008bada" };
    assertEquals(
      (await post(master, "/add", "url=https://example.com/&key=k", trimmed)).status,
      200,
    );
    assertEquals(JSON.parse((await ask(master, "/api/links/k")).text).author, "ada");
  });

  it("that is refused is quoted in one line", () => {
    assertEquals(quote('a\u2028"\u0085\ud800'), '"a\\u2028\\"\\u0085\\ud800"');
    assertEquals(quote("x".repeat(100_000)).length, 67);
    const error = assertThrows(
      () => takeFields(readEncoded("%E2%80%A8=1"), ["url"], "field"),
      HTTPError,
    );
    assertEquals(error.message, 'the field "\\u2028" is not known; known: url');
  });
});

describe("answers", () => {
  it("that redirect, or say that there is nothing, are kept by no cache", async () => {
    await using master = await startHere("-rpc", "-suffix");
    await using replica = await startHere(`-master=${master.url}`, "-suffix");
    await add(master.url, "https://example.com/", "report.pdf");
    await add(master.url, "https://example.com/{path}", "p");
    const body = '{"url":"https://example.com/","key":"over","expires":1}';
    await post(master, "/api/links", body, JSON_BODY);
    await eventually(async () => (await ask(master, "/over")).status === 410);
    const asked: [path: string, status: number, headers?: HeadersInit][] = [
      ["/report.pdf", 302],
      ["/report.pdf", 302], // kept
      ["/p/x?y", 302],
      ["/none.pdf", 404],
      ["/none.pdf", 404, HTML],
      ["/over", 410],
      ["/over", 410, HTML],
      ["/api/links/none.pdf", 404],
      ["/api/links/report.pdf", 200],
      ["/api/links", 200],
      ["/api/links/over", 410],
      ["/api/none", 404],
      ["/.detail/none.pdf", 404, HTML],
      ["/.detail/over", 410, HTML],
      ["/healthz", 200],
      ["/readyz", 200],
      ["/metrics", 200],
    ];
    for (const goto of [master, replica]) {
      for (const [path, status, headers] of asked) {
        for (const method of ["GET", "HEAD"]) {
          const answer = await ask(goto, path, { method, headers });
          assertEquals(
            [answer.status, answer.headers.get("cache-control")],
            [status, "no-store"],
            `${method} ${path}`,
          );
        }
      }
    }
  });

  it("to HEAD say nothing wrong of their length", async () => {
    await using master = await startHere();
    await add(master.url, "https://example.com/", "docs");
    for (
      const path of [
        "/",
        "/.all",
        "/.export",
        "/api/links",
        "/docs",
        "/none",
        "/readyz",
        "/metrics",
      ]
    ) {
      // Some versions of the runtime compress what is asked for by HEAD, too.
      const headers = { "accept-encoding": "identity" };
      const head = await ask(master, path, { method: "HEAD", headers });
      const length = head.headers.get("content-length");
      const { text, status } = await ask(master, path);
      assertEquals(head.status, status, path);
      if (path === "/metrics" || path === "/readyz") continue; // they change
      const got = new TextEncoder().encode(text === "" ? "" : `${text}\n`).length;
      assert(length === null || Number(length) === got, `${path}: ${length}, and it has ${got}`);
    }
  });
});
