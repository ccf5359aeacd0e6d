/** What a master says that can't be true, and what becomes of it at a replica. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { today } from "../hits/counts.ts";
import { isTraffic } from "../hits/traffic.ts";
import { parsePosition } from "../journal/position.ts";
import { ConnectDatabase } from "../kv/connect.ts";
import { isHealth } from "../links/health.ts";
import { isListing, MAX_LIMIT } from "../links/query.ts";
import { HTTPTransport } from "../replica/transport.ts";
import { Replica } from "../replica/replica.ts";
import type { ProxyStore } from "../rpc.ts";
import { startHere } from "./here.ts";
import { eventually } from "./processes.ts";

const LINK = { key: "k", url: "https://example.com/" };

/** A server that answers as `answer` says. */
function serve(answer: (req: Request, body: string) => Response | Promise<Response>) {
  const onListen = () => {};
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen },
    async (req) => answer(req, await req.text()),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A master that is healthy, and gives `results` to what is called by name. */
function lie(results: Record<string, unknown>) {
  return serve((req, body) => {
    if (new URL(req.url).pathname === "/rpc/log") {
      const headers = { "goto-log-offset": "0", "goto-log-size": "0" };
      return new Response(new ReadableStream(), { headers });
    }
    const calls = JSON.parse(body);
    const answer = ({ id, method }: { id: number; method: string }) => {
      if (method in results) return { jsonrpc: "2.0", id, result: results[method] };
      return { jsonrpc: "2.0", id, result: { ready: true, position: 0 } };
    };
    const answers = Array.isArray(calls) ? calls.map(answer) : answer(calls);
    return Response.json(answers, { headers: { "goto-position": "0" } });
  });
}

describe("isListing()", () => {
  it("takes a page of links as a master gives it", () => {
    const full = { ...LINK, created: 1, expires: 2, author: "ada", editor: "bob", hits: 0 };
    assert(isListing({ links: [], count: 0 }));
    assert(isListing({ links: [LINK, full], next: "12-3", count: 2 ** 40 }));
  });

  it("refuses all that a page or JSON can't show", () => {
    const one = (link: unknown) => ({ links: [link], count: 1 });
    const bad: unknown[] = [
      null,
      "",
      {},
      { links: {}, count: 1 },
      { links: [] },
      ...["<b>", "1", -1, 0.5, 2 ** 53, null, {}, []].map((count) => ({ links: [], count })),
      ...[1, null, {}, "x".repeat(5000)].map((next) => ({ links: [], next, count: 0 })),
      { links: Array(MAX_LIMIT + 1).fill(LINK), count: 1 },
      ...[null, 1, "k", { key: "k" }, { url: "u" }, { ...LINK, key: 1 }].map(one),
      ...["1", -1, 0, 1e18, 1.5, {}].map((created) => one({ ...LINK, created })),
      ...["1", -1, 1e18, {}].map((expires) => one({ ...LINK, expires })),
      ...[1, {}, "a\nb", "x".repeat(101)].map((author) => one({ ...LINK, author })),
      ...[1, {}, "a\nb"].map((editor) => one({ ...LINK, editor })),
      ...["1", -1, 1.5, {}, 2 ** 53].map((hits) => one({ ...LINK, hits })),
    ];
    for (const page of bad) {
      assertEquals(isListing(page), false, JSON.stringify(page)?.slice(0, 99));
    }
  });
});

it("isTraffic() refuses days that are none, and more of them than there are", () => {
  const good = { hits: 1, previews: 0, last: today(), days: [[today(), 1]] };
  assert(isTraffic(good));
  assert(isTraffic({ hits: 0, previews: 0, days: [] }));
  const bad = [
    null,
    [],
    { ...good, hits: "1" },
    { ...good, hits: -1 },
    { ...good, previews: 0.5 },
    { ...good, last: 1e15 },
    { ...good, last: "x" },
    { ...good, days: {} },
    ...[[1e15, 1], ["1", 1], [1, "<b>"], [1, -1], [1], [1, 1, 1], null].map((day) => {
      return { ...good, days: [day] };
    }),
    { ...good, days: Array(91).fill([today(), 1]) },
  ];
  for (const traffic of bad) assertEquals(isTraffic(traffic), false, JSON.stringify(traffic));
});

it("isHealth() refuses what can't be passed on", () => {
  assert(isHealth({ ready: true }));
  assert(isHealth({ ready: false, reason: "because", position: 7, time: 1.5, clockSeconds: -1 }));
  const bad = [
    null,
    [],
    {},
    { ready: 1 },
    ...["x", 1, 0, null].map((writable) => ({ ready: true, writable })),
    ...[1, {}, null, "x".repeat(5000)].map((reason) => ({ ready: true, reason })),
    ...["7", -1, 0.5, 1e300].map((position) => ({ ready: true, position })),
    ...["7", 1e300, null].map((time) => ({ ready: true, time })),
    ...["7", -1e300].map((clockSeconds) => ({ ready: true, clockSeconds })),
    ...[{}, [], null, "x".repeat(5000)].map((other) => ({ ready: true, other })),
    { ready: true, infinite: JSON.parse("1e999") },
    { ready: true, path: 1 },
    { ready: true, host: 1 },
    { ready: true, ...Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`d${n}`, n])) },
  ];
  for (const health of bad) assertEquals(isHealth(health), false, JSON.stringify(health));
});

it("parsePosition() takes no position that ends before it begins", () => {
  assertEquals(parsePosition("41-82"), { from: 41, to: 82 });
  assertEquals(parsePosition("82-41"), { from: -1, to: -1 });
});

describe("ProxyStore", () => {
  /** What `use` makes of a store whose master gives `result` to everything. */
  async function asked<T>(result: unknown, use: (store: ProxyStore) => Promise<T>): Promise<T> {
    const answers = (calls: { id: number }[]) => calls.map(({ id }) => ({ id, result }));
    const call = (text: string) => {
      const answer = JSON.stringify(answers(JSON.parse(text)));
      return Promise.resolve({ text: answer, position: { from: 0, to: 0 } });
    };
    const feed = () => Promise.reject(new Error("none"));
    const store = Replica.of([{ address: "lie", call, feed }]);
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }

  it("gives no key that is none", async () => {
    for (const key of [1, null, "", "a\r\nb: c", "x".repeat(65), "é", "<b>"]) {
      const put = () => asked(key, (store) => store.put(LINK.url));
      await assertRejects(put, Error, "master gave no key");
    }
    const put = (store: ProxyStore) => store.put(LINK.url, "mine");
    assertEquals((await asked("mine", put)).key, "mine");
  });

  it("tells nothing of hits that nobody can have counted, and says so", async () => {
    const traffic = (store: ProxyStore) => store.traffic("k");
    await assertRejects(() => asked({ hits: "<b>" }, traffic), Error, "no good answer");
    assertEquals(await asked(null, traffic), undefined);
  });
});

it("a replica shows nothing of a lying master's lists and numbers", async () => {
  const count = "<img src=x onerror=alert(1)>";
  await using master = lie({
    "Store.List": { links: [LINK], count },
    "Store.Link": { ...LINK, extra: "<b>" },
    "Store.Traffic": { hits: 1, previews: 0, last: 1e15, days: [] },
    "Store.Put": "a\r\nset-cookie: x=1",
  });
  await using replica = await startHere(`-master=${master.url}`);
  await eventually(async () => {
    const answer = await fetch(`${replica.url}/readyz`);
    await answer.body?.cancel();
    return answer.status === 200;
  });
  for (const path of ["/.all", "/api/links", "/.export"]) {
    const answer = await fetch(`${replica.url}${path}`);
    assertEquals(answer.status, 503, path);
    const text = await answer.text();
    assert(!text.includes("onerror"), text);
  }
  const link = await fetch(`${replica.url}/api/links/k`);
  assertEquals((await link.json()).hits, undefined);
  const hits = await fetch(`${replica.url}/api/links/k/hits`);
  assertEquals(hits.status, 503, await hits.text());
  const added = await fetch(`${replica.url}/add`, {
    method: "POST",
    body: new URLSearchParams({ url: LINK.url }),
  });
  assertEquals([added.status, added.headers.get("set-cookie")], [503, null]);
  await added.text();
});

describe("an answer without an end", () => {
  const endless = () => {
    const body = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(1 << 20).fill(32)) });
    return new Response(body);
  };
  /** 100 MB, which say that they are 100 KB. */
  const bomb = async () => {
    const body = new Response(new Uint8Array(100 << 20)).body!;
    const packed = await new Response(body.pipeThrough(new CompressionStream("gzip"))).bytes();
    return new Response(packed, { headers: { "content-encoding": "gzip" } });
  };

  for (const [name, answer] of [["endless", endless], ["packed", bomb]] as const) {
    it(`of a database is not read to its end: ${name}`, async () => {
      const told = { version: 3, endpoints: [{ url: "/data", consistency: "strong" }] };
      await using known = serve((req) => {
        return new URL(req.url).pathname === "/data/snapshot_read" ? answer() : Response.json(told);
      });
      const read = (url: string) => {
        return new ConnectDatabase(url, "token").read([["k"]], AbortSignal.timeout(30_000));
      };
      await assertRejects(() => read(known.url), Error, "an answer of over 67108864 bytes");
      await using unknown = serve(answer);
      await assertRejects(() => read(unknown.url), Error, "an answer of over 65536 bytes");
    });

    it(`of a master is not read to its end: ${name}`, async () => {
      await using master = serve(answer);
      const transport = new HTTPTransport(master.url);
      const call = () => transport.call("{}", 0, AbortSignal.timeout(30_000));
      // A replica asks for nothing packed: what is, is no text.
      const reason = name === "packed" ? "not valid" : "an answer of over 16777216 bytes";
      await assertRejects(call, Error, reason);
    });
  }

  it("of a database that refuses is cut, too", async () => {
    await using service = serve(() => new Response(endless().body, { status: 403 }));
    const database = new ConnectDatabase(service.url, "token");
    await assertRejects(() => database.read([["k"]], AbortSignal.timeout(30_000)), Error, "403");
  });
});

it("a service that tells of its database in other types is none", async () => {
  const good = { version: 3, endpoints: [{ url: "/data", consistency: "strong" }] };
  const bad = [
    null,
    7,
    {},
    { ...good, endpoints: {} },
    { ...good, endpoints: [null] },
    { ...good, endpoints: [{ url: 7, consistency: "strong" }] },
    { ...good, token: "a\nb" },
    { ...good, databaseId: {} },
    { ...good, expiresAt: 7 },
    { ...good, version: "3" },
  ];
  for (const told of bad) {
    await using service = serve(() => Response.json(told));
    const database = new ConnectDatabase(service.url, "token");
    await assertRejects(
      () => database.read([["k"]], AbortSignal.timeout(10_000)),
      Error,
      "what answers is no KV Connect service",
      JSON.stringify(told),
    );
  }
});
