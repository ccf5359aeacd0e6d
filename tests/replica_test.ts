import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { wholeLines } from "../journal/feed.ts";
import { startHere } from "./here.ts";
import { add, breathe, eventually, follow, run, start, tempDir, within } from "./processes.ts";
import { Proxy } from "./proxy.ts";
import { random } from "./random.ts";
import {
  agree,
  change,
  following,
  freePort,
  journal,
  keep,
  memory,
  ready,
  where,
} from "./replicas.ts";
import { rounds } from "./rounds.ts";

interface Call {
  id: number;
  params: string[];
}

/** A master made for the test, which answers `Store.Link` when and how `get` says. */
class SlowMaster implements AsyncDisposable {
  /** How often it was asked for a link. */
  gets = 0;
  #feed?: ReadableStreamDefaultController<Uint8Array>;
  #position = 0;
  #opened = Promise.withResolvers<void>();
  #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(private readonly get: (key: string) => Promise<string | undefined>) {
    const onListen = () => {};
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, (req) => {
      if (req.method === "POST") return this.#answer(req);
      const body = new ReadableStream<Uint8Array>({
        start: (feed) => void (this.#feed = feed),
        cancel: () => void (this.#feed = undefined),
      });
      this.#opened.resolve();
      return new Response(body, { headers: { "goto-log-offset": "0", "goto-log-size": "0" } });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Tells of a change, once somebody follows. */
  async tell(key: string, url: string) {
    await within(5000, "a follower", this.#opened.promise);
    const line = new TextEncoder().encode(`{"Key":"${key}","URL":"${url}"}\n`);
    this.#position += line.length;
    this.#feed!.enqueue(line);
  }

  async #answer(req: Request): Promise<Response> {
    const body = await req.json();
    const headers = { "goto-position": `${this.#position}` };
    if (!Array.isArray(body)) {
      return Response.json({ jsonrpc: "2.0", id: 0, result: { ready: true } }, { headers });
    }
    return Response.json(
      await Promise.all(body.map(async ({ id, params: [key] }: Call) => {
        this.gets++;
        const result = await this.get(key);
        const error = { code: -32001, message: "key not found" };
        return result === undefined
          ? { jsonrpc: "2.0", id, error }
          : { jsonrpc: "2.0", id, result: { key, url: result } };
      })),
      { headers },
    );
  }

  async [Symbol.asyncDispose]() {
    this.#feed?.close();
    await this.#server.shutdown();
  }
}

it("a replica doesn't keep the old URL when a change overtakes the answer", async () => {
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  let url = "https://example.com/old";
  await using master = new SlowMaster(async () => {
    const found = url;
    asked.resolve();
    await late.promise;
    return found;
  });
  await using replica = await startHere("-rpc", `-master=${master.url}`);
  // What the replica has taken in, it passes on: that shows when it has.
  const passed = await eventually(async () => {
    const { status, body } = await fetch(`${replica.url}/rpc/log?offset=end`);
    if (status === 200 && body) return body;
    await body?.cancel();
    throw new Error(`status ${status}`);
  });

  const before = follow(replica.url, "k");
  await asked.promise;
  url = "https://example.com/new";
  await master.tell("k", url);
  for await (const lines of wholeLines(passed)) if (lines.length > 0) break;
  late.resolve();
  assertEquals((await before).location, "https://example.com/old"); // asked before the change
  assertEquals((await follow(replica.url, "k")).location, "https://example.com/new");
  assertEquals(master.gets, 2);
  assertEquals((await follow(replica.url, "k")).location, "https://example.com/new");
  assertEquals(master.gets, 2); // now it is kept
});

it("a replica asks once for what many ask for, and for what is unknown once a second", async () => {
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  await using master = new SlowMaster(async (key) => {
    if (key === "unknown") return;
    asked.resolve();
    await late.promise;
    return "https://example.com/";
  });
  await using replica = await startHere(`-master=${master.url}`);
  // Until it follows the feed, it keeps nothing.
  await eventually(async () => {
    await follow(replica.url, "unknown");
    const before = master.gets;
    await follow(replica.url, "unknown");
    return master.gets === before;
  });
  let before = master.gets;
  const many = Array.from({ length: 50 }, () => follow(replica.url, "k"));
  await asked.promise;
  late.resolve();
  for (const { status } of await Promise.all(many)) assertEquals(status, 302);
  assertEquals(master.gets - before, 1);

  before = master.gets;
  const started = performance.now();
  for (let i = 0; i < 100; i++) assertEquals((await follow(replica.url, "unknown")).status, 404);
  assertLess(master.gets - before, 2 + (performance.now() - started) / 1000);
});

it("replicas agree with the master after random changes under load", async () => {
  const { seed, pick } = random();
  await using master = await startHere("-rpc");
  await using plain = await startHere(`-master=${master.url}`, "-rpc", "-cache=20");
  await using mirror = await startHere(`-master=${master.url}`, "-file=mirror.jsonl");
  await using behind = await startHere(`-master=${plain.url}`);
  const nodes = [master, plain, mirror, behind];
  const keys = Array.from({ length: 48 }, (_, i) => `k${i}`);
  const urls = new Map<string, string | undefined>();

  let changing = true;
  const readers = nodes.map(async ({ url }) => {
    while (changing) {
      await follow(url, keys[pick(keys.length)]);
      await breathe();
    }
  });
  // Each writer has keys of its own, so it knows what must be there.
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = rounds(30, 125); i > 0; i--) {
      const key = keys[writer * 6 + pick(6)];
      const { url: base } = nodes[pick(nodes.length)];
      const url = urls.get(key) && pick(3) === 0 ? undefined : `https://example.com/${writer}/${i}`;
      if (url === undefined || urls.get(key)) await change(base, key, url);
      else await add(base, url, key);
      urls.set(key, url);
      assertEquals(await where(base, key), url, `its own write, seed ${seed}`);
    }
  });
  await Promise.all(writers).finally(() => changing = false);
  await Promise.all(readers);
  for (const key of keys) {
    assertEquals(await where(master.url, key), urls.get(key), `seed ${seed}`);
    await agree(nodes, key, urls.get(key));
  }
});

it("a new link is at once everywhere", async () => {
  await using master = await startHere("-rpc");
  await using plain = await startHere(`-master=${master.url}`, "-rpc");
  await using mirror = await startHere(`-master=${master.url}`, "-file=mirror.jsonl");
  await using behind = await startHere(`-master=${plain.url}`);
  const nodes = [master, plain, mirror, behind];
  for (let i = 0; i < rounds(12, 40); i++) {
    const url = `https://example.com/${i}`;
    const key = await add(nodes[i % 4].url, url);
    assertEquals(await Promise.all(nodes.map((node) => where(node.url, key))), Array(4).fill(url));
  }
});

it("cut connections cost no answer, make no second link and leave nothing stale", async () => {
  const { seed, pick } = random();
  await using master = await startHere("-rpc");
  await using link = new Proxy(master.url);
  await using replica = await startHere(`-master=${link.url}`);
  const key = await add(master.url, "https://example.com/0");
  const added: string[] = [];
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; i < rounds(20, 40); i++) {
      const url = `https://example.com/${writer}/${i}`;
      const made = await add(replica.url, url);
      added.push(url);
      assertEquals(await where(replica.url, made), url, `seed ${seed}`);
      // In the middle of a batch, of its answer, or of the feed.
      if (added.length % 5 === 0) pick(3) === 0 ? link.cut() : link.cutAfter(1 + pick(1000));
    }
  });
  const changes = (async () => {
    for (let i = 1; i <= 40; i++) {
      assertEquals(await change(master.url, key, `https://example.com/${i}`), 200);
      await where(replica.url, key);
    }
  })();
  await Promise.all([...writers, changes]);
  await agree([replica], key, "https://example.com/40");
  assert(link.connections > 10, "the proxy cut nothing");

  const log = await fetch(`${master.url}/rpc/log`);
  const lines: string[] = [];
  for await (const block of wholeLines(log.body!)) {
    if (block.length === 0) break; // that was all
    lines.push(...new TextDecoder().decode(block).trim().split("\n"));
  }
  const links = lines.map((line) => JSON.parse(line)).filter(({ Key }) => Key !== key);
  assertEquals(links.map(({ URL }) => URL).sort(), added.sort());
});

it("a master that hangs costs one deadline, then misses fail at once, until it goes on", async () => {
  await using master = await start("-rpc");
  const cached = await add(master.url, "https://example.com/cached");
  const other = await add(master.url, "https://example.com/other");
  await using replica = await start(`-master=${master.url}`);
  await keep(replica, cached);

  master.kill("SIGSTOP");
  const began = performance.now();
  const first = await Promise.all(
    Array.from({ length: 30 }, (_, i) => follow(replica.url, `unknown${i}`)),
  );
  assertEquals(new Set(first.map(({ status }) => status)), new Set([503]));
  assertLess(performance.now() - began, 3000);
  const failing = performance.now();
  for (let i = 0; i < 20; i++) assertEquals((await follow(replica.url, other)).status, 503);
  assertEquals(await change(replica.url, other, "https://example.com/changed"), 503);
  assertLess(performance.now() - failing, 1000);
  assertEquals((await follow(replica.url, cached)).location, "https://example.com/cached");
  const { status, reason } = await within(1000, "/readyz", ready(replica.url));
  assertEquals([status, reason], [200, "master out of reach"]);

  master.kill("SIGCONT");
  await agree([replica], other, "https://example.com/other");
  assertEquals(await change(master.url, cached, "https://example.com/changed"), 200);
  await agree([replica], cached, "https://example.com/changed");
});

it("a replica finds its master again: on its file, compacted, or on another file", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/other.jsonl`, journal(100));
  const address = `-http=127.0.0.1:${freePort()}`;
  const startMaster = (file: string) => start({ cwd: dir.path }, address, "-rpc", `-file=${file}`);
  const first = await startMaster("links.jsonl");
  await using link = new Proxy(first.url);
  await using replica = await start(`-master=${link.url}`);
  const key = await add(first.url, "https://example.com/");
  const logged = (what: string) => replica.logs.filter(({ msg }) => msg.startsWith(what)).length;

  let master = first;
  for (const file of ["the same", "compacted", "other.jsonl"]) {
    const url = `https://example.com/before/${file.length}`;
    for (let i = 0; i < 10; i++) await change(master.url, key, `${url}/${i}`);
    assertEquals(await change(master.url, key, url), 200);
    await agree([replica], key, url);
    await eventually(async () =>
      // what the feed brings later would take the link away again
      assertEquals((await ready(replica.url)).position, (await ready(master.url)).position)
    );
    await keep(replica, key);
    const [lost, dropped] = [logged("lost the master"), logged("dropping the cache")];
    master.kill("SIGKILL");
    await master.stop();
    await eventually(() => logged("lost the master") > lost);
    assertEquals(await where(replica.url, key), url); // what is known is answered meanwhile
    assertEquals((await follow(replica.url, "unknown")).status, 503);

    // A change that the replica can't hear of.
    link.refuses = true;
    if (file === "compacted") {
      const { stdout } = await run({ cwd: dir.path }, "-compact", "-file=links.jsonl");
      assertMatch(stdout, /before; 2 lines/);
    }
    master = await startMaster(file === "other.jsonl" ? file : "links.jsonl");
    const changed = `https://example.com/after/${file.length}`;
    assertEquals(await change(master.url, key, changed), 200);
    link.refuses = false;
    await agree([replica], key, changed);
    await following(replica);
    await eventually(() =>
      assertEquals(logged("dropping the cache") - dropped, file === "other.jsonl" ? 1 : 0, file)
    );
  }
  await master.stop();
});

it("a replica may be started before its master", async () => {
  const port = freePort();
  await using replica = await startHere(`-master=127.0.0.1:${port}`);
  await replica.waitForLog(({ msg }) => msg === "lost the master");
  assertEquals((await follow(replica.url, "0")).status, 503);
  assertEquals((await ready(replica.url)).status, 503);
  await using master = await startHere(`-http=127.0.0.1:${port}`, "-rpc");
  const key = await add(master.url, "https://example.com/");
  await agree([replica], key, "https://example.com/");
  assertEquals((await ready(replica.url)).status, 200);
});

it("a flood of misses neither melts the master nor fills memory", async () => {
  // Where it is filled, this is the end of a process.
  const env = { DENO_V8_FLAGS: "--max-old-space-size=24" };
  await using master = await start({ env }, "-rpc");
  const key = await add(master.url, "https://example.com/");
  await using replica = await start({ env }, `-master=${master.url}`);
  const { hostname, port } = new URL(replica.url);
  const name = "x".repeat(900);
  let misses = 0;
  await Promise.all(Array.from({ length: rounds(15, 60) }, async (_, client) => {
    using conn = await Deno.connect({ hostname, port: Number(port) });
    const buffer = new Uint8Array(64 << 10);
    for (let sent = 0; sent < 500; sent += 100) {
      let requests = "";
      for (let i = 0; i < 100; i++) {
        requests += `GET /${name}-${client}-${sent + i} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`;
      }
      const bytes = new TextEncoder().encode(requests);
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
      let answers = "";
      let statuses: string[] = [];
      while (statuses.length < 100) {
        const n = await within(20_000, "answers", conn.read(buffer));
        assert(n, "the replica hung up");
        answers += new TextDecoder().decode(buffer.subarray(0, n));
        statuses = Array.from(answers.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => status);
      }
      // On a machine that is too busy for all that, the master may not answer some in time.
      const unknown = statuses.filter((status) => status === "404").length;
      assertEquals(unknown + statuses.filter((status) => status === "503").length, 100);
      misses += unknown;
    }
  }));
  assertGreater(misses, 0);
  await agree([master, replica], key, "https://example.com/");
});

it("followers that read get every byte, and those that don't are not buffered for", async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  const long = `https://example.com/${"x".repeat(1000)}`;
  const lines = Array.from({ length: 25_000 }, (_, i) => `{"Key":"${i}","URL":"${long}"}\n`);
  await Deno.writeTextFile(file, lines.join("")); // 25 MiB
  await using master = await start({ cwd: dir.path }, "-rpc");
  const { size } = await Deno.stat(file);
  const live = await Promise.all(
    Array.from({ length: 20 }, () => fetch(`${master.url}/rpc/log?offset=end`)),
  );
  const before = await memory(master);
  const idle = await Promise.all(Array.from({ length: 20 }, () => fetch(`${master.url}/rpc/log`)));
  for (let i = 0; i < 20; i++) await add(master.url, `https://example.com/new${i}`);

  const expected = (await Deno.readTextFile(file)).slice(size);
  await Promise.all(live.map(async ({ body }) => {
    let text = "";
    for await (const lines of wholeLines(body!)) {
      text += new TextDecoder().decode(lines);
      if (text.length >= expected.length) break;
    }
    assertEquals(text, expected);
  }));
  const used = await memory(master) - before;
  assertLess(used, 200, "MiB more, where 480 are unread");
  await Promise.all(idle.map(({ body }) => body!.cancel()));
});
