import {
  assert,
  assertEquals,
  assertFalse,
  assertObjectMatch,
  assertStrictEquals,
} from "@std/assert";
import { it } from "@std/testing/bdd";
import { Journal } from "../journal/journal.ts";
import { formatPosition, parsePosition } from "../journal/position.ts";
import { serveRPC } from "../rpc.ts";
import { URLStore } from "../store.ts";
import { placeOf } from "./places.ts";
import { tempDir } from "./processes.ts";

const place = placeOf(import.meta.url);

const URL1 = "https://example.com/1";
const URL2 = "https://example.com/2";

/** A store with one link, "a", and the RPC that serves it. */
async function serve() {
  const dir = tempDir();
  const store = await place.open(dir, { host: "go.example" });
  await store.put(URL1, "a");
  const errors: unknown[] = [];
  const rpc = serveRPC(store, (error) => errors.push(error));
  let closed: Promise<void> | undefined;
  const close = () => closed ??= store.close();
  return {
    store,
    dir: dir.path,
    errors,
    close,
    rpc,
    /** Sends a text, or else a value as JSON, and gives the answer's value, if there is one. */
    async ask(request: unknown): Promise<unknown> {
      const { text } = await rpc(typeof request === "string" ? request : JSON.stringify(request));
      return text === undefined ? undefined : JSON.parse(text);
    },
    /** Calls a method: its result, or the code of its error. */
    async call(method: string, params?: unknown): Promise<unknown> {
      const answer = await this.ask({ jsonrpc: "2.0", method, params, id: 1 });
      const { id, result, error } = answer as Answer;
      assertEquals(id, 1);
      return error ? error.code : result;
    },
    async [Symbol.asyncDispose]() {
      await close();
      dir[Symbol.dispose]();
    },
  };
}

interface Answer {
  id: unknown;
  result?: unknown;
  error?: { code: number; message: string; data?: string };
}

const ok = (id: unknown, result: unknown) => ({ jsonrpc: "2.0", id, result });
const bad = (id: unknown, code: number, message: string) => ({
  jsonrpc: "2.0",
  id,
  error: { code, message },
});
const invalid = bad(null, -32600, "Invalid Request");

// The examples of the specification, section 7, with our methods for its own.
it("JSON-RPC: a call with positional parameters", async () => {
  await using rpc = await serve();
  const request = `{"jsonrpc": "2.0", "method": "Store.Get", "params": ["a"], "id": 1}`;
  assertEquals(await rpc.ask(request), ok(1, URL1));
});

it("JSON-RPC: a call with named parameters, in any order", async () => {
  await using rpc = await serve();
  const forth =
    `{"jsonrpc": "2.0", "method": "Store.Put", "params": {"url": "${URL2}", "key": "b"}, "id": 3}`;
  assertEquals(await rpc.ask(forth), ok(3, "b"));
  const back =
    `{"jsonrpc": "2.0", "method": "Store.Put", "params": {"key": "c", "url": "${URL2}"}, "id": 4}`;
  assertEquals(await rpc.ask(back), ok(4, "c"));
});

it("JSON-RPC: a notification is obeyed and not answered", async () => {
  await using rpc = await serve();
  const put = { jsonrpc: "2.0", method: "Store.Put", params: [URL2, "b"] };
  assertStrictEquals(await rpc.ask(put), undefined);
  assertEquals(await rpc.store.get("b"), URL2);
  for (const [method, params] of [["Store.Put", [URL2, "b"]], ["Store.Get", [1]], ["foobar", []]]) {
    assertStrictEquals(await rpc.ask({ jsonrpc: "2.0", method, params }), undefined);
  }
});

it("JSON-RPC: a call of a method that does not exist", async () => {
  await using rpc = await serve();
  const notFound = bad("1", -32601, "Method not found");
  for (const method of ["foobar", "store.get", "", "constructor", "rpc.discover"]) {
    assertEquals(await rpc.ask({ jsonrpc: "2.0", method, id: "1" }), notFound);
  }
});

it("JSON-RPC: a call with invalid JSON", async () => {
  await using rpc = await serve();
  const parseError = bad(null, -32700, "Parse error");
  const texts = [
    `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`,
    `[
      {"jsonrpc": "2.0", "method": "Store.Get", "params": ["a"], "id": "1"},
      {"jsonrpc": "2.0", "method"
    ]`,
    "",
    "\ufeff{}",
    "[".repeat(1 << 20),
  ];
  for (const text of texts) assertEquals(await rpc.ask(text), parseError);
});

it("JSON-RPC: a call with an invalid request object", async () => {
  await using rpc = await serve();
  const requests = [
    { jsonrpc: "2.0", method: 1, params: "bar" },
    { jsonrpc: "2.0" },
    { method: "Store.Get", params: ["a"] },
    { jsonrpc: "2.0", method: "Store.Get", params: ["a"], id: {} },
    { jsonrpc: "2.0", method: "Store.Get", params: ["a"], id: [1] },
    { jsonrpc: "2.0", method: "Store.Get", params: ["a"], id: true },
    {},
  ];
  for (const request of requests) assertEquals(await rpc.ask(request), invalid);
  for (const text of ["null", "1", "true", `"Store.Get"`]) {
    assertEquals(await rpc.ask(text), invalid);
  }
  for (const jsonrpc of ["1.0", 2, "2.00", null]) {
    const request = { jsonrpc, method: "Store.Get", params: ["a"], id: 7 };
    assertEquals(await rpc.ask(request), { ...invalid, id: 7 });
  }
});

it("JSON-RPC: an empty array, and batches of nonsense", async () => {
  await using rpc = await serve();
  assertEquals(await rpc.ask([]), invalid);
  assertEquals(await rpc.ask([1]), [invalid]);
  assertEquals(await rpc.ask([1, 2, 3]), [invalid, invalid, invalid]);
  assertEquals(await rpc.ask([[]]), [invalid]);
});

it("JSON-RPC: a batch of calls, notifications and mistakes", async () => {
  await using rpc = await serve();
  const answers = await rpc.ask([
    { jsonrpc: "2.0", method: "Store.Put", params: [URL2, "b"], id: "1" },
    { jsonrpc: "2.0", method: "Store.Put", params: [URL2, "c"] },
    { jsonrpc: "2.0", method: "Store.Get", params: ["a"], id: "2" },
    { foo: "boo" },
    { jsonrpc: "2.0", method: "foo.get", params: { name: "myself" }, id: "5" },
    { jsonrpc: "2.0", method: "Store.Get", params: ["none"], id: "8" },
    { jsonrpc: "2.0", method: "Store.Get", params: {}, id: "9" },
  ]);
  const notFound = bad("8", -32001, "key not found").error;
  assertEquals(answers, [
    ok("1", "b"),
    ok("2", URL1),
    invalid,
    bad("5", -32601, "Method not found"),
    { jsonrpc: "2.0", id: "8", error: { ...notFound, data: "not found" } },
    bad("9", -32602, "Invalid params"),
  ]);
  assertEquals(await rpc.store.get("c"), URL2);
});

it("JSON-RPC: a param that isn't known is refused by its name", async () => {
  await using rpc = await serve();
  const put = { jsonrpc: "2.0", method: "Store.Put", id: 1 };
  const names = { kee: `"kee"`, Key: `"Key"`, 'a"b': `"a\\"b"`, __proto: `"__proto"` };
  for (const [name, shown] of Object.entries(names)) {
    const params = { url: URL2, [name]: "docs" };
    const answer = bad(1, -32602, `Invalid params: ${shown} is not known`);
    assertEquals(await rpc.ask({ ...put, params }), answer);
  }
  assertEquals(rpc.store.count, 1);
  const params = { url: URL2, ["k".repeat(1000)]: "docs" };
  const text = JSON.stringify(await rpc.ask({ ...put, params }));
  assert(text.length < 200, text);
});

it("JSON-RPC: a batch of notifications is not answered", async () => {
  await using rpc = await serve();
  const batch = ["b", "c"].map((key) => ({
    jsonrpc: "2.0",
    method: "Store.Put",
    params: { url: URL2, key },
  }));
  assertStrictEquals(await rpc.ask(batch), undefined);
  assertEquals(rpc.store.count, 3);
});

it("JSON-RPC: an id comes back as it was", async () => {
  await using rpc = await serve();
  for (const id of [0, -1, 1.5, 9007199254740991, "", 'x"é\u2028', null]) {
    const request = { jsonrpc: "2.0", method: "Store.Get", params: ["a"], id };
    assertEquals(await rpc.ask(request), ok(id, URL1));
    assertEquals(await rpc.ask({ ...request, method: "x" }), bad(id, -32601, "Method not found"));
  }
});

it("Store.Get, Put, Update and Delete do what the store does", async () => {
  await using rpc = await serve();
  assertEquals(await rpc.call("Store.Put", ["example.com/x"]), "0");
  assertEquals(await rpc.call("Store.Get", ["0"]), "https://example.com/x");
  assertEquals(await rpc.call("Store.Update", ["0", URL2]), true);
  assertEquals(await rpc.call("Store.Get", { key: "0" }), URL2);
  assertEquals(await rpc.call("Store.Delete", { key: "0" }), true);
  assertEquals(await rpc.call("Store.Get", ["0"]), -32001);
  const health = await rpc.call("Store.Health") as Record<string, unknown>;
  assertObjectMatch(health, { ready: true, links: 1 });
});

it("Store.Put, Update and Delete with an id are done once", async () => {
  await using rpc = await serve();
  assertEquals(await rpc.call("Store.Put", [URL2, null, "x"]), "0");
  assertEquals(await rpc.call("Store.Put", { url: URL2, id: "x" }), "0");
  assertEquals(rpc.store.count, 2);
  assertEquals(await rpc.call("Store.Delete", ["a", "y"]), true);
  assertEquals(await rpc.call("Store.Delete", ["a", "y"]), true);
  assertEquals(await rpc.call("Store.Delete", ["a"]), -32001);
  assertEquals(await rpc.call("Store.Update", ["0", URL1, "z"]), true);
  await rpc.call("Store.Update", ["0", URL2]);
  assertEquals(await rpc.call("Store.Update", ["0", URL1, "z"]), true);
  assertEquals(await rpc.store.get("0"), URL2);
});

it("a store's refusals have codes, messages and kinds of their own", async () => {
  await using rpc = await serve();
  const refusals: [
    method: string,
    params: string[],
    code: number,
    message: string,
    kind: string,
  ][] = [
    ["Store.Get", ["none"], -32001, "key not found", "not found"],
    ["Store.Update", ["none", URL2], -32001, "key not found", "not found"],
    ["Store.Put", [URL2, "a"], -32002, "key already exists", "exists"],
    ["Store.Put", ["foo"], -32003, "invalid URL: it can't be parsed", "invalid url"],
    [
      "Store.Put",
      ["go.example"],
      -32003,
      "invalid URL: it points back at this server",
      "invalid url",
    ],
    ["Store.Put", [URL2, "rpc"], -32004, `invalid key: "rpc" is reserved`, "invalid key"],
  ];
  for (const [method, params, code, message, data] of refusals) {
    assertEquals(await rpc.ask({ jsonrpc: "2.0", method, params, id: 1 }), {
      jsonrpc: "2.0",
      id: 1,
      error: { code, message, data },
    });
  }
  await rpc.close();
  const down = await rpc.ask({ jsonrpc: "2.0", method: "Store.Put", params: [URL2], id: 1 });
  assertEquals((down as Answer).error, {
    code: -32005,
    message: "shutting down",
    data: "unavailable",
  });
  assertEquals(rpc.errors, []);
});

it("params that a method does not take are refused, whatever is wrong with them", async () => {
  await using rpc = await serve();
  const wrong: [method: string, params: unknown][] = [
    ["Store.Get", undefined],
    ["Store.Get", []],
    ["Store.Get", {}],
    ["Store.Get", null],
    ["Store.Get", "a"],
    ["Store.Get", [1]],
    ["Store.Get", [null]],
    ["Store.Get", [["a"]]],
    ["Store.Get", ["a", "b"]],
    ["Store.Get", { Key: "a" }],
    ["Store.Get", { key: "a", more: 1 }],
    ["Store.Get", { key: "a", constructor: "x" }],
    ["Store.Put", [URL2, 1]],
    ["Store.Put", [null, "b"]],
    ["Store.Put", { key: "b" }],
    ["Store.Put", [URL2, "b", "x".repeat(65)]],
    ["Store.Put", [URL2, "b", "x", "never", "y", "1", "z", "more"]],
    ["Store.Update", ["a"]],
    ["Store.Update", { url: URL2 }],
    ["Store.Delete", []],
    ["Store.Health", [1, 2]],
    ...["x", "1e3", "0x10", " 1", "", -1, 1.5, 1e300, 1e15, true, {}].map((term) =>
      ["Store.Health", [term]] as [string, unknown]
    ),
  ];
  for (const [method, params] of wrong) {
    assertEquals(await rpc.call(method, params), -32602, `${method} ${JSON.stringify(params)}`);
  }
  assertEquals((await rpc.store.list()).links.map(({ key, url }) => [key, url]), [["a", URL1]]);
  assertEquals(await rpc.call("Store.Put", [URL2, null, "x".repeat(64)]), "0");
  assertEquals(await rpc.call("Store.Put", { url: URL2, key: null, id: null }), "1");
});

it("a batch holds up to 10,000 calls", async () => {
  await using rpc = await serve();
  const calls = (n: number) =>
    Array.from({ length: n }, (_, id) => ({
      jsonrpc: "2.0",
      method: "Store.Get",
      params: ["a"],
      id,
    }));
  const answers = await rpc.ask(calls(10_000)) as Answer[];
  assertEquals(answers.map(({ id, result }) => result === URL1 && id), [...answers.keys()]);
  assertEquals(answers.length, 10_000);
  const { id, error } = await rpc.ask(calls(10_001)) as Answer;
  assertEquals([id, error?.code], [null, -32600]);
});

it("an error of ours is an internal error, is reported, and shows nothing of itself", async () => {
  await using rpc = await serve();
  class Broken extends URLStore {
    override get(): never {
      throw new TypeError("secret of the house");
    }
  }
  const reported: unknown[] = [];
  const journal = await Journal.open(`${rpc.dir}/broken.jsonl`);
  const broken = serveRPC(new Broken(journal), (error) => reported.push(error));
  const answer = await broken(`{"jsonrpc":"2.0","method":"Store.Get","params":["a"],"id":1}`);
  assertEquals(JSON.parse(answer.text ?? ""), bad(1, -32603, "Internal error"));
  assertEquals(reported.map(String), ["TypeError: secret of the house"]);
  await journal.close();
});

it("what is known is answered at once, without a promise", async () => {
  await using rpc = await serve();
  const get = `{"jsonrpc":"2.0","method":"Store.Get","params":["a"],"id":1}`;
  for (const text of [get, `[${get},${get}]`]) assertFalse(rpc.rpc(text) instanceof Promise);
});

it("a position in a header is read as it was written, and what is none shows nothing", () => {
  for (const [from, to, text] of [[0, 0, "0"], [41, 41, "41"], [41, 82, "41-82"]] as const) {
    assertEquals(formatPosition({ from, to }), text);
    assertEquals(parsePosition(text), { from, to });
  }
  const none = { from: -1, to: -1 };
  for (const text of [null, "", "-", "x", "1-", "-1", "1-2-3", "1e3", "1".repeat(16)]) {
    assertEquals(parsePosition(text), none, String(text));
  }
});
