import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseCounts } from "../hits/counts.ts";
import { isPreview } from "../hits/previews.ts";
import { readForm, readJSONText } from "../http/body.ts";
import { browserCheck } from "../http/browser.ts";
import { clientOf, networkOf } from "../http/client.ts";
import { cors } from "../http/cors.ts";
import { toLocation } from "../http/location.ts";
import { checkHost, decode, keyOf, mediaType, prefersHTML, query } from "../http/request.ts";
import { hasPlaces, place, restOf } from "../http/suffix.ts";
import { authorizeCaller, authorizeWriter } from "../http/token.ts";
import { withUser } from "../http/user.ts";
import { parsePosition } from "../journal/position.ts";
import { serve } from "../jsonrpc/server.ts";
import { checkKey, checkURL, isName, parseName } from "../links/link.ts";
import { Matcher } from "../links/matcher.ts";
import { Order } from "../links/order.ts";
import { readQuery } from "../links/query.ts";
import { decodeAll, toReadable } from "../links/readable.ts";
import { parseExpires } from "../links/time.ts";
import type { Store } from "../store.ts";
import { factRows } from "../web/facts.ts";
import { escapeHTML, linkTo, sentence } from "../web/page.ts";

const MOST = 3; // times as long for twice as much
const TIMES = 5;
const SMALL = 32 << 10;
const PROBE = 1 << 10; // enough to tell which shape is the worst
const LEAST_MS = 25; // the square of 64 KB takes a second: what is faster is linear, and noise tells nothing of it

/** Repeats a text until it has so many characters. */
const fill = (text: string, length: number) =>
  text.repeat(Math.ceil(length / text.length)).slice(0, length);

/** What each text is made of: a beginning, what is repeated, an end. */
const SHAPES: [start: string, again: string, end: string][] = [];
for (
  const again of [
    ...".:/?#@%,;=+-_ \t&{}[]\\\"'<0a~*é\u0301й\u200b",
    "..",
    "{path}",
    "{query}",
    "%2",
    "%41",
    "%D0%9C",
    "%ff",
    "a.",
    ".@",
    "/../",
    "//",
    "a=1&",
    ", ",
    "; q=",
    "text/html,",
    "text/html;q=0.1,",
    "a:b",
    "1.1.1.1,",
    "::",
    "bearer ",
    "xn--a.",
    "xn--80adxhks",
    "localhost.",
    "in 1 day",
    "[[",
    '{"a":',
    "\r\n",
    "--x\r\n",
  ]
) {
  for (const start of ["", "https://example.com/", "text/", "Bearer a"]) {
    for (const end of ["", "@"]) SHAPES.push([start, again, end]);
  }
}

const headers = (entries: Record<string, string>, url = "http://localhost/add") => {
  try {
    return new Request(url, { headers: entries });
  } catch {
    return undefined; // the platform takes no such header
  }
};

const nothing = () => {
  throw new Error("not asked for");
};
const store: Store = {
  get: nothing,
  link: nothing,
  put: nothing,
  update: nothing,
  delete: nothing,
  list: nothing,
  traffic: nothing,
  health: nothing,
};
const check = browserCheck("https://go.example.com", ["https://a.example"]);
const share = cors(["https://a.example"]);
const storeOf = withUser(store, "x-user");
const answer = serve(new Map([["Echo", { params: [{ name: "text" }], call: () => true }]]), () => ({
  code: 1,
  message: "failed",
}));
const asMultipart = "multipart/form-data; boundary=x";

/** What a stranger can feed, by name. */
const PARSERS: Record<string, (text: string) => unknown> = {
  checkURL: (text) => checkURL(text, "localhost"),
  "checkURL, as long as it may be": (text) => {
    for (let at = 0; at < text.length; at += 8192) {
      attempt(() => checkURL(text.slice(at, at + 8192)));
    }
  },
  checkKey,
  parseName,
  isName,
  parseExpires,
  parsePosition,
  parseCounts,
  isPreview,
  keyOf: (text) => keyOf(`http://localhost/${text}`),
  restOf: (text) => restOf(`http://localhost/${text}`),
  decode,
  query: (text) => readQuery({ limit: query({ url: `/?${text}` } as Request).get("limit") ?? "" }),
  "Order.parse": (text) => new Order("newest").parse(`n0-${text}`),
  Matcher: (text) => new Matcher(text),
  "Matcher.matches": (text) => new Matcher("é a").matches({ key: "k", url: text, author: text }),
  "Matcher.mayMatchIn": (text) => new Matcher("йa.").mayMatchIn(text),
  decodeAll,
  toReadable,
  hasPlaces,
  "place: a link": (text) => place(text, { path: "a", query: "b" }),
  "place: a path": (text) => place("https://example.com/{path}?{query}", { path: text, query: "" }),
  "place: a query": (text) => place("https://example.com/?a={query}", { path: "", query: text }),
  toLocation,
  networkOf,
  escapeHTML,
  sentence,
  linkTo: (text) => linkTo(text),
  factRows: (text) => factRows({ key: "k", url: "", author: text }),
  "JSON-RPC": (text) => answer(text, undefined),
  "JSON-RPC: a method": (text) =>
    answer(JSON.stringify({ jsonrpc: "2.0", method: text, id: 1 }), undefined),
  "JSON-RPC: a parameter": (text) =>
    answer(JSON.stringify({ jsonrpc: "2.0", method: "Echo", id: text, params: [text] }), undefined),
  "JSON-RPC: calls": (text) =>
    answer(
      `[${
        Array(text.length >> 6).fill('{"jsonrpc":"2.0","method":"Echo","params":["x"],"id":1}')
      }]`,
      undefined,
    ),
  "JSON-RPC: names": (text) =>
    answer(
      `{"jsonrpc":"2.0","method":"Echo","id":1,"params":{${
        Array.from({ length: text.length >> 4 }, (_, i) => `"${i}":"text"`)
      }}}`,
      undefined,
    ),
};

/** Those that read a header. */
const HEADERS: Record<string, [name: string, parse: (req: Request) => unknown]> = {
  prefersHTML: ["accept", prefersHTML],
  mediaType: ["content-type", (req) => mediaType(req.headers.get("content-type") ?? "")],
  checkHost: ["host", checkHost],
  "browserCheck: Host": [
    "host",
    (req) =>
      check(
        new Request(req, {
          headers: { ...Object.fromEntries(req.headers), origin: "https://x.example" },
        }),
      ),
  ],
  "browserCheck: Origin": ["origin", check],
  cors: ["origin", (req) => share(req, "add", () => new Response())],
  authorizeWriter: ["authorization", (req) => authorizeWriter(req, "secret")],
  authorizeCaller: ["authorization", (req) => authorizeCaller(req, { token: "secret" })],
  clientOf: ["x-forwarded-for", (req) => clientOf(req, undefined, 1)],
  "clientOf, far": ["x-forwarded-for", (req) => clientOf(req, undefined, 9)],
  withUser: ["x-user", storeOf],
};

/** Those that read a body. */
const BODIES: Record<string, [type: string, parse: (req: Request) => Promise<unknown>]> = {
  "readForm: fields": ["application/x-www-form-urlencoded", (req) => readForm(req, ["url"])],
  "readForm: parts": [asMultipart, (req) => readForm(req, ["url"])],
  readJSONText: ["application/json", (req) => readJSONText(req)],
};

function attempt(parse: () => unknown): void | Promise<void> {
  try {
    const parsed = parse();
    if (parsed instanceof Promise) return parsed.then(() => {}, () => {});
  } catch {
    // Refused, which is as good.
  }
}

/** The best of some times, in milliseconds. */
async function timeOf(work: () => void | Promise<void>, times = TIMES): Promise<number> {
  let best = Infinity;
  for (let n = 0; n < times; n++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Looks for the shape that takes longest, and what twice as much of it takes. */
async function checkGrowth(
  prepare: (text: string) => (() => unknown) | undefined,
  size = SMALL,
  probe = PROBE,
): Promise<void> {
  const workOf = (shape: typeof SHAPES[number], length: number) => {
    const [start, again, end] = shape;
    const parse = prepare(start + fill(again, length - start.length - end.length) + end);
    return parse && (() => attempt(parse));
  };
  const slow: { shape: typeof SHAPES[number]; ms: number }[] = [];
  for (const shape of SHAPES) {
    const work = workOf(shape, probe);
    if (work) slow.push({ shape, ms: await timeOf(work, 2) });
  }
  slow.sort((a, b) => b.ms - a.ms);
  for (const { shape } of slow.slice(0, 3)) {
    const [half, whole] = [workOf(shape, size)!, workOf(shape, 2 * size)!];
    if (await timeOf(whole, 1) < LEAST_MS) continue;
    let [small, large] = [await timeOf(half), await timeOf(whole)];
    // A machine that is busy stops some of them: the best of more tells what they take.
    for (let n = 0; n < 8 && large >= LEAST_MS && large > MOST * small; n++) {
      small = Math.min(small, await timeOf(half));
      large = Math.min(large, await timeOf(whole));
    }
    assert(
      large < LEAST_MS || large <= MOST * small,
      `${JSON.stringify(shape)}: ${small.toFixed(2)} ms, twice as much ${large.toFixed(2)} ms`,
    );
  }
}

describe("Twice as much takes at most three times as long, however bad it is", () => {
  for (const [name, parse] of Object.entries(PARSERS)) {
    it(name, () => checkGrowth((text) => () => parse(text)));
  }
  for (const [name, [header, parse]] of Object.entries(HEADERS)) {
    it(`${name}, a header`, () =>
      checkGrowth((text) => {
        const req = headers({ [header]: text });
        return req && (() => parse(req));
      }));
  }
  for (const [name, [type, parse]] of Object.entries(BODIES)) {
    it(`${name}, a body`, () =>
      checkGrowth((text) => () => {
        const req = {
          method: "POST",
          headers: { "content-type": type },
          body: text.slice(0, 65_536),
        };
        return parse(new Request("http://localhost/add", req));
      }));
  }

  it("finds a parser that takes the square of it", async () => {
    const slow = /^[^@]*\.[^@]*$/;
    let found = false;
    await checkGrowth((text) => () => slow.test(text), 4 * PROBE, 256).catch(() => found = true);
    assertEquals(found, true);
  });
});
