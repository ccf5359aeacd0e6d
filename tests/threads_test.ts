import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import type { Events } from "../journal/events.ts";
import { Rate } from "../http/rate.ts";
import { Journal } from "../journal/journal.ts";
import { URLStore } from "../store.ts";
import { Workers } from "../threads/workers.ts";
import type { Config } from "./testdata/mortal.ts";
import {
  add,
  breathe,
  eventually,
  follow,
  type Goto,
  run,
  start,
  tempDir,
  within,
} from "./processes.ts";
import { agree, change, following } from "./replicas.ts";
import { rounds } from "./rounds.ts";

const CONNECTIONS = 16; // all to one of two threads: once in 32,768 times

/** An answer, read to its end. */
interface Answer {
  status: number;
  headers: Headers;
  body: string;
}

/** The server ended a connection before it began to answer. */
class ConnectionEnded extends Error {}

/** A connection that stays with the thread which accepted it. */
class Connection implements Disposable {
  #rest = "";
  private constructor(private readonly conn: Deno.Conn, private readonly host: string) {}

  static async open(base: string): Promise<Connection> {
    const { hostname, port, host } = new URL(base);
    return new Connection(await Deno.connect({ hostname, port: Number(port) }), host);
  }

  /** Sends a request and reads its answer; fails when the server ends the connection instead. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const type = body === undefined ? "" : "content-type: application/json\r\n";
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.host}\r\n${type}`;
    const bytes = new TextEncoder().encode(`${head}content-length: ${text.length}\r\n\r\n${text}`);
    try {
      for (let n = 0; n < bytes.length;) n += await this.conn.write(bytes.subarray(n));
    } catch {
      throw new ConnectionEnded();
    }
    return await within(10_000, `${method} ${path}`, this.#read(method));
  }

  async #read(method: string): Promise<Answer> {
    let end;
    while ((end = this.#rest.indexOf("\r\n\r\n")) === -1) await this.#more();
    const [first, ...lines] = this.#rest.slice(0, end).split("\r\n");
    const headers = new Headers(lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    this.#rest = this.#rest.slice(end + 4);
    const length = method === "HEAD" ? 0 : Number(headers.get("content-length") ?? 0);
    while (this.#rest.length < length) await this.#more();
    const body = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return { status: Number(first.split(" ")[1]), headers, body };
  }

  async #more(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    const n = await this.conn.read(buffer).catch((error) => {
      if (error instanceof Deno.errors.ConnectionReset) return null;
      throw error;
    });
    if (n === null && this.#rest === "") throw new ConnectionEnded();
    assert(n !== null, `the connection was ended after ${this.#rest}`);
    this.#rest += new TextDecoder("latin1").decode(buffer.subarray(0, n));
  }

  [Symbol.dispose](): void {
    try {
      this.conn.close();
    } catch {
      // It was closed.
    }
  }
}

/** So many connections that every thread has some. */
async function connections(base: string): Promise<Connection[] & Disposable> {
  const open = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => Connection.open(base)),
  );
  return Object.assign(open, {
    [Symbol.dispose]: () => open.forEach((connection) => connection[Symbol.dispose]()),
  });
}

/** A change through one connection, seen through every other as soon as it is answered. */
async function assertSeenByAll(base: string, times: number): Promise<void> {
  using all = await connections(base);
  const locations = async (key: string) => {
    const answers = await Promise.all(all.map((one) => one.ask("GET", `/${key}`)));
    return new Set(answers.map(({ status, headers }) => headers.get("location") ?? status));
  };
  for (let i = 0; i < times; i++) {
    const writer = (n: number) => all[(i * 3 + n) % all.length];
    const [key, first, second] = [`k${i}`, `https://example.com/${i}`, `https://example.org/${i}`];
    // Every thread remembers for a while that there is no such link.
    assertEquals(await locations(key), new Set([404]));
    assertEquals((await writer(0).ask("POST", "/api/links", { url: first, key })).status, 201);
    assertEquals(await locations(key), new Set([first]));
    assertEquals((await writer(1).ask("PUT", `/api/links/${key}`, { url: second })).status, 200);
    assertEquals(await locations(key), new Set([second]));
    assertEquals((await writer(2).ask("DELETE", `/api/links/${key}`)).status, 204);
    assertEquals(await locations(key), new Set([404]));
  }
}

it("-threads=2: a change through any thread is seen through all at once", async () => {
  await using master = await start("-threads=2");
  assertEquals((await master.waitForLog(({ msg }) => msg === "serving")).threads, 2);
  await assertSeenByAll(master.url, rounds(10, 50));
});

it("-threads=2 on a replica: a change through any thread is seen through all at once", async () => {
  await using master = await start("-rpc");
  await using replica = await start("-threads=2", `-master=${master.url}`);
  await assertSeenByAll(replica.url, rounds(6, 25));
});

it("-threads=2 on a mirror: a change through any thread is seen through all at once", async () => {
  await using master = await start("-rpc");
  await using mirror = await start("-threads=2", "-file=mirror.jsonl", `-master=${master.url}`);
  await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
  await assertSeenByAll(mirror.url, rounds(6, 25));
});

it("-threads=2: a change made elsewhere reaches every thread of a replica", async () => {
  await using master = await start("-rpc");
  await using replica = await start("-threads=2", `-master=${master.url}`);
  using all = await connections(replica.url);
  const shown = async () => {
    const answers = await Promise.all(all.map((one) => one.ask("GET", "/elsewhere")));
    return answers.map(({ headers }) => headers.get("location"));
  };
  await add(master.url, "https://example.com/old", "elsewhere");
  await eventually(async () => (await shown()).every((url) => url === "https://example.com/old"));
  using writer = await Connection.open(master.url);
  await writer.ask("PUT", "/api/links/elsewhere", { url: "https://example.com/new" });
  await eventually(async () => (await shown()).every((url) => url === "https://example.com/new"));
});

it("-threads=2: a replica below keeps no old value, whichever threads its connections reach", async () => {
  await using master = await start("-rpc", "-threads=2");
  await using middle = await start(`-master=${master.url}`, "-rpc", "-threads=2");
  await using leaf = await start(`-master=${middle.url}`);
  const nodes = [master, middle, leaf];
  const keys = ["a", "b", "c"];
  for (const key of keys) await add(master.url, "https://example.com/", key);
  await following(leaf);
  const latest = new Map<string, string>();
  let done = false;
  const read = async (node: Goto) => {
    while (!done) {
      await Promise.all(keys.map((key) => follow(node.url, key)));
      await breathe();
    }
  };
  const reading = [middle, leaf, leaf].map(read);
  for (let i = 0; i < rounds(20, 60); i++) {
    const key = keys[i % keys.length];
    const url = `https://example.com/${i}`;
    const node = nodes[i % 2]; // whose own connection is another one each time
    assertEquals(await change(node.url, key, url), 200);
    latest.set(key, url);
  }
  done = true;
  await Promise.all(reading);
  for (const [key, url] of latest) await agree(nodes, key, url);
});

it("-threads=4: what is written as soon as a server is ready is done", async () => {
  await using master = await start("-rpc", "-threads=4");
  await using replica = await start(`-master=${master.url}`, "-threads=4");
  for (const [n, { url }] of [master, replica].entries()) {
    using all = await connections(url);
    const answers = await Promise.all(
      all.map((one, i) =>
        one.ask("POST", "/api/links", { url: "https://example.com/", key: `${n}-${i}` })
      ),
    );
    assertEquals(new Set(answers.map(({ status }) => status)), new Set([201]));
  }
});

it("-threads=2: a repeated id gets its first answer through any thread", async () => {
  await using master = await start("-rpc", "-threads=2");
  await using mirror = await start(
    `-master=${master.url}`,
    "-file=mirror.jsonl",
    "-rpc",
    "-threads=2",
  );
  const params = ["https://example.com/", null, "one id"];
  for (const { url } of [master, mirror, master, mirror]) {
    using all = await connections(url);
    const answers = await Promise.all(
      all.map((one) =>
        one.ask("POST", "/rpc", { jsonrpc: "2.0", id: 1, method: "Store.Put", params })
      ),
    );
    assertEquals(new Set(answers.map(({ body }) => JSON.parse(body).result)), new Set(["0"]));
  }
  const health = await fetch(`${master.url}/readyz`);
  assertEquals((await health.json()).links, 1);
});

it("-threads=2: every thread gives the same answers and keeps the same limits", async () => {
  await using master = await start("-threads=2", "-rpc", "-host=localhost:1");
  await add(master.url, "https://example.com/", "there");
  const call = { jsonrpc: "2.0", id: 1, method: "Store.Get", params: ["there"] };
  const requests: [method: string, path: string, body: unknown, status: number][] = [
    ["GET", "/there", undefined, 302],
    ["HEAD", "/there", undefined, 302],
    ["GET", "/nowhere", undefined, 404],
    ["GET", `/${"x".repeat(2000)}`, undefined, 404],
    ["POST", "/there", undefined, 405],
    ["GET", "/", undefined, 200],
    ["GET", "/healthz", undefined, 200],
    ["GET", "/readyz", undefined, 200],
    ["GET", "/api/links/there", undefined, 200],
    ["GET", "/api/links/nowhere", undefined, 404],
    ["POST", "/api/links", { url: "https://example.com/", key: "there" }, 409],
    ["POST", "/api/links", { url: "http://localhost:1/there" }, 400],
    ["POST", "/api/links", { url: "javascript:alert(1)" }, 400],
    ["POST", "/api/links", { url: "https://example.com/", key: "add" }, 400],
    ["POST", "/api/links", { url: "x".repeat(70_000) }, 413],
    ["PUT", "/api/links/nowhere", { url: "https://example.com/" }, 404],
    ["POST", "/rpc", call, 200],
    ["POST", "/rpc", [call, { ...call, id: 2, params: ["nowhere"] }], 200],
    ["POST", "/rpc", "x".repeat(1 << 20), 413],
  ];
  for (const [method, path, body, status] of requests) {
    const answers = new Set<string>();
    using all = await connections(master.url);
    for (const connection of all) {
      const answer = await connection.ask(method, path, body);
      assertEquals(answer.status, status, `${method} ${path}: ${answer.body}`);
      answer.headers.delete("date");
      // The only things that may differ: hits are counted some time later.
      const text = answer.body.replace(
        /"time":[\d.]+|"(?:hits|previews)":\d+|,"lastHit":"[^"]*"/g,
        "",
      );
      answer.headers.delete("content-length");
      answers.add(JSON.stringify([...answer.headers, text]));
    }
    assertEquals([...answers].length, 1, `${method} ${path}: ${[...answers].join("\n")}`);
  }
});

it("-threads=2: replicas can follow the feed through any thread", async () => {
  await using master = await start("-threads=2", "-rpc");
  await add(master.url, "https://example.com/0", "first");
  const line = (key: string, n: number) => `{"Key":"${key}","URL":"https://example.com/${n}"`;
  const logs = await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    // One connection each, so that all threads are asked.
    const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(`${master.url}/rpc/log?offset=0`, { client });
    assertEquals(response.status, 200);
    return { client, reader: response.body!.pipeThrough(new TextDecoderStream()).getReader() };
  }));
  await add(master.url, "https://example.com/1", "second");
  for (const { client, reader } of logs) {
    let text = "";
    while (!text.includes(line("second", 1))) {
      const { value, done } = await within(10_000, "a feed", reader.read());
      assert(!done, `it ended after ${text}`);
      text += value;
    }
    assert(text.startsWith(line("first", 0)), text);
    await reader.cancel();
    client.close();
  }
});

it("-threads=0 is one for each core", async () => {
  await using master = await start("-threads=0");
  const { threads } = await master.waitForLog(({ msg }) => msg === "serving");
  assertEquals(threads, navigator.hardwareConcurrency);
});

it("-threads=2: a port that another process has is refused, though threads share one", async () => {
  await using master = await start("-threads=2");
  const result = await run("-threads=2", `-http=${new URL(master.url).host}`);
  assertMatch(result.stderr, /can't listen/);
  assertEquals(result.code, 1);
});

it("-threads=2: at SIGTERM under load, what was asked is answered and nothing is lost", async () => {
  await using master = await start("-threads=2");
  await add(master.url, "https://example.com/", "there");
  const made: string[] = [];
  let served = 0;
  const busy = Promise.withResolvers<void>();
  const load = async () => {
    using connection = await Connection.open(master.url);
    for (;;) {
      try {
        const url = `https://example.com/${crypto.randomUUID()}`;
        const answer = await connection.ask("POST", "/api/links", { url });
        if (answer.status === 503) return; // it is shutting down
        assertEquals(answer.status, 201);
        made.push(JSON.parse(answer.body).key);
        const { status } = await connection.ask("GET", "/there");
        if (status === 503) return; // it is shutting down
        assertEquals(status, 302);
        if (++served === 500) busy.resolve();
      } catch (error) {
        // Between two requests a connection may be ended, just when the next one is on its way.
        if (error instanceof ConnectionEnded) return;
        throw error;
      }
    }
  };
  const loads = Promise.all(Array.from({ length: CONNECTIONS }, load));
  await within(10_000, "load", Promise.race([busy.promise, loads]));
  const { code } = await within(8000, "the end", master.stop());
  assertEquals(code, 0);
  await within(5000, "all connections", loads);
  await master.begin();
  assert(made.length >= 500, `only ${made.length} links were made before the signal`);
  // Every link that was made was answered, and every answered one is there.
  assertEquals(master.links, made.length + 1);
  for (const key of made) assertEquals((await follow(master.url, key)).status, 302, key);
});

/** Workers of the module that dies when asked to, on one port, and what was told of them. */
async function mortals(count: number, config: Partial<Config> = {}) {
  const told: { msg: string; fields?: Record<string, unknown> }[] = [];
  const times: number[] = []; // when that was
  const events: Events = (_level, msg, fields) => {
    if (/slow to start/.test(msg)) return; // which is up to the machine
    told.push({ msg, fields });
    times.push(performance.now());
  };
  const dir = tempDir();
  const store = new URLStore(await Journal.open(`${dir.path}/store.jsonl`));
  await store.load();
  // Held open, so that nobody else is given the port meanwhile; nothing is accepted there.
  const holder = Deno.listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
  const { port } = holder.addr;
  const url = import.meta.resolve("./testdata/mortal.ts");
  const service = {
    store,
    rpc: { call: () => ({ position: store.position }), feed: store.feed.bind(store) },
    limit: new Rate(0),
    addHits: () => {},
    metrics: () => Promise.resolve(""),
    write: () => {},
  };
  const workers = new Workers(url, { port, ...config }, service, events);
  store.share((memory) => workers.attach(memory));
  const started = workers.start(count);
  holder.close();
  if (!config.slow) await started;
  const ask = async (path: string) => {
    using connection = await Connection.open(`http://127.0.0.1:${port}`);
    return JSON.parse((await connection.ask("GET", path)).body);
  };
  const kill = async () => {
    using connection = await Connection.open(`http://127.0.0.1:${port}`);
    assertEquals((await connection.ask("GET", "/die")).status, 204);
  };
  return {
    workers,
    store,
    told,
    times,
    ask,
    kill,
    started,
    async [Symbol.asyncDispose]() {
      await workers.stop(5000);
      await store.close();
      dir[Symbol.dispose]();
    },
  };
}

it("a thread that dies is replaced, and counted", async () => {
  await using threads = await mortals(1);
  const { workers, told, ask, kill } = threads;
  const first = await ask("/me");
  await kill();
  await eventually(() => workers.deaths === 1);
  const second = await eventually(() => ask("/me"));
  assert(second.me !== first.me);
  assertEquals([workers.count, workers.deaths], [1, 1]);
  assertEquals(told.length, 1);
  assertMatch(told[0].msg, /a thread died/);
  assertMatch(String(told[0].fields?.reason), /on purpose/);
  assertEquals(told[0].fields?.deaths, 1);
});

it("a thread that dies at its start is replaced more and more slowly", async () => {
  await using threads = await mortals(1, { stillborn: true });
  const { workers, told, times } = threads;
  await eventually(() => workers.deaths === 3);
  assertEquals(told.map(({ fields }) => fields?.deaths), [1, 2, 3]);
  const [first, second, third] = times;
  assert(second - first >= 95, `${second - first} ms after the first`); // clocks may be a little off
  assert(third - second >= 190, `${third - second} ms after the second`);
});

it("a thread that died just before all shall stop is not replaced", async () => {
  const threads = await mortals(1, { stillborn: true });
  const { workers, told } = threads;
  await eventually(() => workers.deaths === 1);
  await threads[Symbol.asyncDispose](); // a timer that is left over would fail this test
  assertEquals([workers.count, told.length], [0, 1]);
});

it("a thread that dies while it stops is waited for no longer, and not replaced", async () => {
  const threads = await mortals(2, { fragile: true });
  await within(3000, "the end", threads[Symbol.asyncDispose]());
  assertEquals([threads.workers.count, threads.workers.deaths, threads.told], [0, 0, []]);
});

it("threads that are still starting are not waited for when all shall stop", async () => {
  const threads = await mortals(8, { slow: true });
  await within(3000, "the end", threads[Symbol.asyncDispose]());
  await within(1000, "the start", threads.started);
  assertEquals([threads.workers.count, threads.workers.deaths, threads.told], [0, 0, []]);
});

it("a thread sees each change as soon as it is made, without asking", async () => {
  await using threads = await mortals(2);
  const { store, ask } = threads;
  for (let i = 0; i < rounds(70, 300); i++) {
    const key = `k${i % 7}`;
    const url = `https://example.com/${i}`;
    await (i < 7 ? store.put(url, key) : store.update(key, url));
    const answer = await ask(`/${key}`);
    assertEquals([answer.url, answer.asked], [url, false], `${i}`);
  }
});

it("a thread asks for what it can't know, and is told why there is none", async () => {
  await using threads = await mortals(1);
  const { store, ask } = threads;
  await store.put("https://example.com/", "deleted");
  await store.delete("deleted");
  for (const key of ["unknown", "deleted"]) {
    const answer = await ask(`/${key}`);
    assertEquals([answer.asked, answer.error], [true, "StoreError: key not found"], key);
  }
});

it("a thread goes on reading while the table grows and is replaced", async () => {
  await using threads = await mortals(2);
  const { store, ask } = threads;
  let asked = 0;
  for (let round = 0; round < 16; round++) {
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => store.put("https://example.com/", `${round}-${i}`)),
    );
    for (const i of [0, 250, 499]) {
      const answer = await ask(`/${round}-${i}`);
      assertEquals(answer.url, "https://example.com/", `${round}-${i}`);
      if (answer.asked) asked++;
    }
  }
  // It asks only while the table is growing, or is being taken over.
  assert(asked < 24, `it asked ${asked} of 48 times`);
  assertEquals((await ask("/0-0")).asked, false);
});
