/**
 * A master whose answers and feed are spoiled on their way, over raw sockets.
 *
 * @module
 */
import { formatPosition } from "../../journal/position.ts";
import { serveRPC } from "../../rpc.ts";
import type { URLStore } from "../../store.ts";
import { count, mutate, oneOf, type Pick, type Report } from "./mutate.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What is done to the answers. */
export type Fault =
  | "none"
  | "head" // a header is missing, or says something else
  | "status" // another one
  | "page" // 200, and something else than was asked for
  | "cut" // the answer breaks off
  | "garbage" // bytes that no answer has
  | "blanks" // blank lines, many or where none may be
  | "endless" // a line without an end
  | "other" // another journal, which is older
  | "silence" // no answer
  | "reset"; // the connection is closed at once

/** The faults that each kind of answer may have. */
export const FAULTS: Record<"health" | "call" | "feed", Fault[]> = {
  health: ["none", "head", "status", "page", "cut", "garbage", "other", "silence", "reset"],
  call: ["none", "status", "page", "cut", "garbage", "reset"],
  feed: ["none", "head", "status", "page", "cut", "garbage", "blanks", "endless", "other", "reset"],
};

/** What is sent in place of an answer. */
const PAGES = [
  "<h1>Back soon</h1>",
  "",
  '""',
  "null",
  "[]",
  "{}",
  '{"jsonrpc":"2.0","id":0,"result":""}',
  '{"jsonrpc":"2.0","id":0,"result":{}}',
  '{"jsonrpc":"2.0","id":0,"result":{"ready":"yes"}}',
  '[{"jsonrpc":"2.0","id":0,"result":7}]',
  '[{"jsonrpc":"2.0","id":0,"result":""}]',
  '[{"jsonrpc":"2.0","id":0,"error":{"code":7}}]',
  '{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"what?"}}',
];

/** Values of headers that are none. Those that would only be a lie are not among them. */
const VALUES = [
  "",
  "-1",
  "1.5",
  "1e3",
  "0x10",
  "NaN",
  "9999999999999999999",
  "7 8",
  "\u00e9",
  "end",
];
const STATUSES = [
  "204 No Content",
  "301 Moved",
  "302 Found",
  "404 Not Found",
  "500 Oops",
  "503 No",
];
/** Bytes that make a line a bad one wherever they stand, or end it. */
const BYTES = [0, 1, 8, 10, 13, 31, 255, 192];

/** Serves a store, and another one in its place. */
export class HostileMaster implements AsyncDisposable {
  readonly url: string;
  /** What is done to each kind of answer. */
  faults: Record<"health" | "call" | "feed", Fault> = {
    health: "none",
    call: "none",
    feed: "none",
  };
  /** How often it was asked how it is, or for the feed. */
  asked = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #serving = new Set<Promise<void>>();
  readonly #running: Promise<void>;

  /** @param other a journal that is older than the true one */
  constructor(
    private readonly store: URLStore,
    private readonly other: URLStore,
    private readonly pick: Pick,
    private readonly report: Report,
  ) {
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#running = this.#run();
  }

  /** Cuts all connections, so that everybody meets what is done from now on. */
  cut(): void {
    for (const conn of this.#open) this.#close(conn);
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    this.cut();
    await this.#running;
    await Promise.all(this.#serving);
  }

  #close(conn: Deno.Conn): void {
    if (this.#open.delete(conn)) conn.close();
  }

  async #run(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#open.add(conn);
      const serving = this.#serve(conn).catch(() => {}).finally(() => {
        this.#close(conn);
        this.#serving.delete(serving);
      });
      this.#serving.add(serving);
    }
  }

  /** Answers one request; then the connection is closed. */
  async #serve(conn: Deno.Conn): Promise<void> {
    const { path, body } = await readRequest(conn);
    const kind = path.startsWith("/rpc/log") ? "feed" : body.startsWith("[") ? "call" : "health";
    const fault = this.faults[kind];
    count(this.report, `${kind} ${fault}`);
    if (kind !== "call") this.asked++;
    if (fault === "reset") return;
    if (fault === "silence") return void await conn.read(new Uint8Array(1)); // until it is given up
    const store = fault === "other" ? this.other : this.store;
    if (kind === "feed") return await this.#feed(conn, store, path, fault);
    const { text = "", position } = await serveRPC(store)(body);
    const headers = {
      "content-type": "application/json",
      "goto-position": formatPosition(position),
    };
    const answer = fault === "page" ? oneOf(this.pick, PAGES) : text;
    const length = { "content-length": `${encoder.encode(answer).length}` };
    const head = this.#head({ ...headers, ...length }, fault);
    await write(conn, this.#spoil(encoder.encode(head + answer), fault, head.length));
  }

  async #feed(conn: Deno.Conn, store: URLStore, path: string, fault: Fault): Promise<void> {
    const { pick } = this;
    const params = new URL(path, this.url).searchParams;
    const offset = params.get("offset");
    const stream = await store.feed(
      offset === "end" ? undefined : Number(offset),
      params.get("check") ?? undefined,
    );
    const headers: Record<string, string> = {
      "goto-log-offset": `${stream.offset}`,
      "goto-log-size": `${stream.size}`,
      "goto-log-term": `${stream.term}`,
    };
    if (stream.check !== undefined) headers["goto-log-check"] = stream.check;
    const reader = stream.body.getReader();
    const gone = conn.read(new Uint8Array(1)).catch(() => {}).then(() => reader.cancel());
    try {
      await write(conn, encoder.encode(this.#head(headers, fault)));
      if (fault === "page") return await write(conn, encoder.encode(oneOf(pick, PAGES)));
      if (fault === "endless") return await writeEndless(conn, pick(20) === 0 ? 70 : pick(8));
      if (fault === "blanks") await this.#writeBlanks(conn);
      for (let chunk; (chunk = (await reader.read()).value) !== undefined;) {
        await write(conn, this.#spoil(chunk, fault));
        if (fault === "cut" && pick(2) === 0) break;
      }
    } finally {
      await reader.cancel().catch(() => {});
      this.#close(conn);
      await gone.catch(() => {});
    }
  }

  /** Blank lines as fast as they go, or a few of them. */
  async #writeBlanks(conn: Deno.Conn): Promise<void> {
    const blanks = new Uint8Array(1 + this.pick(300)).fill(10);
    for (let left = this.pick(3) === 0 ? 2000 : this.pick(3); left > 0; left--) {
      await write(conn, blanks);
    }
  }

  #head(headers: Record<string, string>, fault: Fault): string {
    const { pick } = this;
    const lines = Object.entries(headers);
    const at = pick(lines.length);
    const [name] = lines[at];
    // A check that is missing or wrong is one of another journal, which may be copied.
    if (fault === "head" && name.startsWith("goto-log-") && name !== "goto-log-check") {
      // Without a term it is the first.
      if (pick(2) === 0 && name !== "goto-log-term") lines.splice(at, 1);
      else {lines[at] = [
          name,
          name === "goto-log-term" ? oneOf(pick, ["1", "0"]) : oneOf(pick, VALUES),
        ];}
    } else if (fault === "head") {
      lines[at] = [name, oneOf(pick, VALUES)];
    }
    const status = fault === "status" ? oneOf(pick, STATUSES) : "200 OK";
    const location = /^30/.test(status) ? "location: /elsewhere\r\n" : "";
    const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return `HTTP/1.1 ${status}\r\n${text}${location}connection: close\r\n\r\n`;
  }

  /** Spoils bytes, of which the first `from` are a head. */
  #spoil(bytes: Uint8Array, fault: Fault, from = 0): Uint8Array {
    const { pick } = this;
    if (fault === "cut") return bytes.subarray(0, pick(bytes.length + 1));
    if (fault !== "garbage") return bytes;
    if (from > 0 && pick(4) === 0) {
      const head = mutate(decoder.decode(bytes.subarray(0, from)), pick, [
        ":",
        "\r\n",
        "\0",
        "HTTP",
      ]);
      return Uint8Array.of(...encoder.encode(head), ...bytes.subarray(from));
    }
    const spoiled = bytes.slice();
    for (let left = 1 + pick(3); left > 0 && spoiled.length > from; left--) {
      spoiled[from + pick(spoiled.length - from)] = oneOf(pick, BYTES);
    }
    return spoiled;
  }
}

async function readRequest(conn: Deno.Conn): Promise<{ path: string; body: string }> {
  let text = "";
  const buffer = new Uint8Array(64 << 10);
  for (let n; (n = await conn.read(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, n));
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) continue;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    const body = text.slice(end + 4);
    if (body.length >= length) return { path: text.split(" ", 2)[1], body };
  }
  throw new Error("no request");
}

async function write(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** So many MiB without a newline. */
async function writeEndless(conn: Deno.Conn, mebibytes: number): Promise<void> {
  const piece = new Uint8Array(1 << 20).fill(0x61);
  for (let left = mebibytes; left >= 0; left--) await write(conn, piece);
}
