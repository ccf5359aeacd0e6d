/**
 * Requests for a server: good ones, with what must be answered, and spoiled ones.
 *
 * @module
 */
import { mutate, oneOf, type Pick } from "./mutate.ts";

/** What goes over one connection; latin1. */
export interface Request {
  text: string;
  /** What must be answered, where all of it is good. */
  expected?: { status: number; location?: string }[];
  /** Whether the answer isn't HTTP/1. */
  isHTTP2?: boolean;
}

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";
const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"];
const ODD_METHODS = ["OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "G\tT", "", "M-SEARCH"];
const TARGETS = [
  ...["/", "/k1", "/k1/", "/k1+", "/add", "/add?url=https://example.com/", "/api", "/api/links"],
  ...["/api/links/k1", "/api/links?limit=2&q=k", "/.all", "/.detail/k1", "/.export", "/healthz"],
  ...["/readyz", "/metrics", "/rpc", "/rpc", "/rpc/log?offset=0", "/rpc/log?offset=end"],
  ...["/favicon.ico", "/robots.txt", "/api/links/k1/hits", "/api/links?order=hits"],
];
const ODD_TARGETS = [
  ...["", "*", "k1", "//", "//k1", "/..", "/../../etc/passwd", "/%", "/%zz", "/%00", "/%2e%2e/"],
  ...["/%e2%28%a1", "/\xff\xfe", "/a b", "/a#b", "http://h/k1", "http://x:y@h:99999/k1", "h:80"],
  ...["/api/links/%2f", "/api/links/", "/api/links/..", "/.detail/", "/rpc/log?offset=-1"],
  ...["/rpc/log?offset=1e3&check=x", "/api/links?limit=0", "/api/links?after=\xff", "/?url=%zz"],
  ...["/api/links/none/hits", "/api/links//hits", "/api/links?order=hits&after=1-1-1-1"],
  `/${"x".repeat(9000)}`,
  `/${"x".repeat(80_000)}`,
  `/add?url=${"%41".repeat(3000)}`,
];
const HEADERS = [
  ...["Accept: text/html", "Accept: */*;q=0.1, text/plain", "Accept-Encoding: gzip, br"],
  ...["Authorization: Bearer x", "Cookie: a=b", "Connection: keep-alive", "Connection: close"],
  ...["goto-position: 0-0", "Origin: http://h", "Sec-Fetch-Site: same-origin", "X-Y: z"],
];
const ODD_HEADERS = [
  ...["Host:", "Host: a/b", "Host: a?b#c", "Host: h:99999", "Host: [::1]:80", "Host: \xff"],
  ...["Origin: null", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"],
  ...["Content-Length: -1", "Content-Length: +5", "Content-Length: 0x5", "Content-Length: 5, 5"],
  ...["Content-Length: 99999999999999999999", "Content-Length: 4", "Content-Length: 1000000"],
  ...["Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: x"],
  ...["Transfer-Encoding : chunked", "Expect: 100-continue", "Expect: x", "Upgrade: websocket"],
  ...["Connection: upgrade", "Accept: ;;;q=,", "Authorization: Basic \xff", "Range: bytes=0-1"],
  ...["If-None-Match: *", "goto-position: -1-x", "Content-Type: text/plain", "Content-Type: ;"],
  ...["Content-Type: multipart/form-data; boundary=", " folded", ": no name", "no colon"],
  ...["X-Forwarded-For: \x00", "A: \x0b", `X-Long: ${"y".repeat(70_000)}`],
  Array.from({ length: 200 }, (_, i) => `X-${i}: 1`).join("\r\n"),
];
const BODIES: [type: string, body: string][] = [
  [FORM, "url=https%3A%2F%2Fexample.com%2F"],
  [FORM, "url=https%3A%2F%2Fexample.com%2F&key=k1"],
  [FORM, "url=%zz&key=%00&&=&url"],
  [JSON_TYPE, '{"url":"https://example.com/","key":"k1"}'],
  [JSON_TYPE, '{"url":"https://example.com/"}'],
  [JSON_TYPE, '{"url":1,"key":{},"more":[null]}'],
  [JSON_TYPE, "[".repeat(5000)],
  [JSON_TYPE, `{"url":"https://example.com/${"x".repeat(9000)}"}`],
  [JSON_TYPE, '{"jsonrpc":"2.0","method":"Store.Get","params":["k1"],"id":1}'],
  [JSON_TYPE, '[{"jsonrpc":"2.0","method":"Store.Delete","params":["k1"],"id":1},{}]'],
  [
    JSON_TYPE,
    '{"jsonrpc":"2.0","method":"Store.Put","params":{"url":"https://x.example/"},"id":1}',
  ],
  [
    "multipart/form-data; boundary=b",
    '--b\r\nContent-Disposition: form-data; name="url"\r\n\r\nx\r\n--b--',
  ],
  ["text/plain", "x".repeat(70_000)],
  [JSON_TYPE, "\xff\xfe\x00"],
];
const PIECES = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  ":",
  "/",
  "HTTP/1.1",
  "\t",
  "%",
  "\xff",
  "0",
  ";",
  ",",
];

/** A request of which any part may be odd, and in which bytes may be anything. */
export function makeSpoiled(pick: Pick): Request {
  if (pick(40) === 0) {
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const frames = Array.from({ length: pick(100) }, () => String.fromCharCode(pick(256))).join("");
    return { text: preface + frames, isHTTP2: true };
  }
  let text = "";
  for (let left = 1 + (pick(4) === 0 ? pick(3) : 0); left > 0; left--) text += makeOne(pick);
  if (pick(2) === 0) text = mutate(text, pick, PIECES);
  return { text, isHTTP2: text.startsWith("PRI ") };
}

function makeOne(pick: Pick): string {
  const odd = (of: number) => pick(of) === 0;
  const method = oneOf(pick, odd(12) ? ODD_METHODS : METHODS);
  const target = oneOf(pick, odd(5) ? ODD_TARGETS : TARGETS);
  const version = odd(20)
    ? oneOf(pick, ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.11", ""])
    : "HTTP/1.1";
  const headers = odd(15) ? [] : ["Host: h"];
  for (let left = pick(4); left > 0; left--) {
    headers.push(oneOf(pick, odd(3) ? ODD_HEADERS : HEADERS));
  }
  let body = "";
  if (method === "POST" || method === "PUT" || odd(20)) {
    const [type, content] = oneOf(pick, BODIES);
    body = odd(4) ? mutate(content, pick, PIECES) : content;
    if (!odd(15)) headers.push(`Content-Type: ${type}`);
    if (odd(4)) {
      headers.push("Transfer-Encoding: chunked");
      body = chunked(pick, body);
    } else if (!odd(15)) {
      headers.push(`Content-Length: ${body.length + (odd(15) ? pick(20) - 10 : 0)}`);
    }
  }
  return `${method} ${target} ${version}\r\n${
    headers.map((line) => `${line}\r\n`).join("")
  }\r\n${body}`;
}

/** A body in chunks, of which some are odd. */
function chunked(pick: Pick, body: string): string {
  let text = "";
  for (let at = 0; at < body.length;) {
    const part = body.slice(at, at += 1 + pick(body.length));
    const size = part.length.toString(16);
    const head = pick(15) === 0
      ? oneOf(pick, ["", "g", "-1", "ffffffffffffffff", `${size};a=b`])
      : size;
    text += `${head}\r\n${part}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

/** A link's whole life, over one connection; nobody else uses its key. */
export function makeGood(pick: Pick, key: string): Request {
  const [url, changed] = [`https://example.com/${key}`, `https://example.com/${key}?changed`];
  const requests: string[] = [];
  const expected: Request["expected"] = [];
  const ask = (
    method: string,
    path: string,
    status: number,
    location?: string,
    body?: string,
    type = JSON_TYPE,
  ) => {
    const headers = ["Host: h", ...Array.from({ length: pick(3) }, () => oneOf(pick, HEADERS))]
      .filter((line) => !/^(?:Connection|Origin|Sec-|Accept: text)/.test(line))
      .map((line) => line.replace(/^[^:]+/, (name) => pick(2) ? name : name.toUpperCase()));
    if (body !== undefined) {
      headers.push(`Content-Type: ${type}`);
      const whole = pick(2) === 0;
      headers.push(whole ? `Content-Length: ${body.length}` : "Transfer-Encoding: chunked");
      if (!whole) body = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    }
    requests.push(`${method} ${path} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n${body ?? ""}`);
    expected.push({ status, location });
  };
  const look = (path: string, location?: string) => {
    for (let left = pick(3); left > 0; left--) {
      ask("GET", path, location === undefined ? 404 : 302, location);
    }
  };
  look(`/${key}`);
  if (pick(2) === 0) {
    ask("POST", "/add", 200, undefined, `url=${encodeURIComponent(url)}&key=${key}`, FORM);
  } else {
    ask("POST", "/api/links", 201, `/api/links/${key}`, JSON.stringify({ url, key }));
  }
  look(`/${key}`, url);
  ask("POST", "/api/links", 409, undefined, JSON.stringify({ url: changed, key }));
  look(`/${key}?query`, url);
  if (pick(2) === 0) {
    ask("PUT", `/api/links/${key}`, 200, undefined, JSON.stringify({ url: changed }));
    look(`/${key}`, changed);
  }
  ask("DELETE", `/api/links/${key}`, 204);
  look(`/${key}`);
  ask("GET", `/api/links/${key}`, 404);
  const last = requests.pop()!.replace("\r\n", "\r\nConnection: close\r\n");
  return { text: [...requests, last].join(""), expected };
}
