import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { it } from "@std/testing/bdd";
import { BatchClient } from "../replica/client.ts";
import { Masters } from "../replica/masters.ts";
import { HTTPTransport, type Transport } from "../replica/transport.ts";
import { StoreError } from "../links/errors.ts";
import { within } from "./processes.ts";

interface Request {
  id: number;
  method: string;
  params?: string[];
}

/** A master made for the test: `answer` has the calls of each request that isn't a sign of life. */
function serve(answer: (calls: Request[], body: string) => unknown, port = 0) {
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async (req) => {
    const body = await req.text();
    const request = JSON.parse(body);
    if (!Array.isArray(request)) {
      return Response.json({ jsonrpc: "2.0", id: 0, result: { ready: true } });
    }
    const response = await answer(request, body);
    return response instanceof Response ? response : Response.json(response);
  });
  return {
    port: server.addr.port,
    transport: new HTTPTransport(`http://127.0.0.1:${server.addr.port}`),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Answers each call with its own parameter. */
function echo(calls: Request[]) {
  return calls.map(({ id, params }) => ({ jsonrpc: "2.0", id, result: params?.[0] }));
}

function connect(...masters: { transport: Transport }[]) {
  const client = new BatchClient(new Masters(masters.map(({ transport }) => transport)));
  const close = () => client.masters.close();
  const get = async (key: string) => (await client.call("Store.Get", [key])).result;
  return Object.assign(client, { get, close, [Symbol.dispose]: close });
}

it("Client sends the calls that come while a request is under way in one other", async () => {
  const sizes: number[] = [];
  await using master = serve((calls) => {
    sizes.push(calls.length);
    return echo(calls);
  });
  using client = connect(master);
  const first = client.get("first");
  await Promise.resolve(); // now it is on its way
  const rest = Array.from({ length: 500 }, (_, i) => client.get(`${i}`));
  assertEquals(await first, "first");
  assertEquals(await Promise.all(rest), Array.from({ length: 500 }, (_, i) => `${i}`));
  assertEquals(sizes, [1, 500]);
});

it("Client gives each call its own answer, in whatever order they come", async () => {
  await using master = serve((calls) => echo(calls).reverse().filter(({ id }) => id !== 1));
  using client = connect(master);
  const [a, b, c] = ["a", "b", "c"].map((key) => client.get(key));
  assertEquals(await a, "a");
  await assertRejects(() => b, StoreError, "master gave no answer");
  assertEquals(await c, "c");
});

it("Client bounds a request in calls and in bytes", async () => {
  let most = 0;
  let longest = 0;
  await using master = serve((calls, body) => {
    most = Math.max(most, calls.length);
    longest = Math.max(longest, new TextEncoder().encode(body).length);
    return echo(calls);
  });
  using client = connect(master);
  const long = "\u{10ffff}".repeat(4096); // four bytes a character, as many as a URL may have
  const keys = Array.from({ length: 4000 }, (_, i) => i < 120 ? `${i}${long}` : `${i}`);
  const answers = await Promise.allSettled(keys.map((key) => client.get(key)));
  for (const [i, answer] of answers.entries()) {
    if (answer.status === "fulfilled") assertEquals(answer.value, keys[i]);
    else assertMatch(`${answer.reason}`, /in time/); // on a busy machine
  }
  assert(answers.some(({ status }) => status === "fulfilled"));
  assertLessOrEqual(most, 2000);
  assertLessOrEqual(longest, 1 << 20); // what a master takes
});

it("Client refuses at once what is more than can wait", async () => {
  const { promise: hang, resolve: answer } = Promise.withResolvers<void>();
  await using master = serve(async (calls) => {
    await hang;
    return echo(calls);
  });
  using client = connect(master);
  const results = Array.from({ length: 30_000 }, () => client.get("k"));
  const busy = results.at(-1)!;
  await assertRejects(() => within(500, "a refusal", busy), StoreError, "too many calls");
  answer();
  // How many of the others are answered in time is up to the machine.
  const reasons = await Promise.all(results.map((result) => result.then(() => "", String)));
  const taken = reasons.filter((reason) => !reason.includes("too many calls")).length;
  assert(taken >= 20_000 && taken <= 22_000, `${taken} were not refused`);
});

it("Client goes to the next address when one fails, and stays there", async () => {
  const served: string[] = [];
  const named = (name: string, port = 0) =>
    serve((calls) => {
      served.push(name);
      return echo(calls);
    }, port);
  const a = named("a");
  await using b = named("b");
  using client = connect(a, b);
  await client.get("k");
  await a[Symbol.asyncDispose]();
  assertEquals(await client.get("k"), "k");
  await using _again = named("a again", a.port);
  await client.get("k");
  assertEquals(served, ["a", "b", "b"]);
});

it("Client asks the next address at once for what was under way at a master that is lost", async () => {
  await using next = serve(echo);
  const asked = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let signs = 0;
  // It takes a call, and then gives no more signs of life.
  const lost: Transport = {
    address: "lost",
    call(text, _since, signal) {
      if (!text.startsWith("[")) {
        signs++;
        return Promise.reject(new Error("lost"));
      }
      asked.resolve();
      signal.addEventListener("abort", () => ended.resolve());
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    },
    feed: () => Promise.reject(new Error("lost")),
  };
  using client = connect({ transport: lost }, next);
  const answer = client.get("first");
  await asked.promise;
  assert(!await client.masters.probe(client.masters.session));
  assertEquals(await within(1500, "an answer", answer), "first");
  await ended.promise;
  assert(signs > 0);
});

it("Client passes over what is no answer", async () => {
  const nonsense = [
    null,
    1,
    "",
    [],
    {},
    { id: "0", result: "x" },
    { id: -1, result: "x" },
    {
      id: 99,
      result: "x",
    },
    { id: 0, error: "broken" },
    { id: 0, error: { code: "x", message: "x" } },
    {
      id: 0,
      error: { code: 1 },
    },
  ];
  await using master = serve((calls) => [...nonsense, ...echo(calls), ...nonsense]);
  using client = connect(master);
  assertEquals(await client.get("k"), "k");
});

it("Client takes nobody for a master who doesn't say how it is", async () => {
  const says: [up: boolean, address: string][] = [];
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ jsonrpc: "2.0", id: 0, error: { code: -32601, message: "what?" } }),
  );
  await using _other = { [Symbol.asyncDispose]: () => other.shutdown() };
  await using master = serve(echo);
  const wrong = `http://127.0.0.1:${other.addr.port}`;
  const masters = new Masters(
    [new HTTPTransport(wrong), master.transport],
    (up, address) => says.push([up, address]),
  );
  const client = new BatchClient(masters);
  assertEquals((await client.call("Store.Get", ["k"])).result, "k");
  client.masters.close();
  assertEquals(says, [[true, master.transport.address]]);
});

it("Client repeats no more than a few times what can never succeed, then refuses it", async () => {
  const sent = new Map<string, number>();
  await using master = serve((calls) => {
    for (const { method } of calls) sent.set(method, (sent.get(method) ?? 0) + 1);
    return new Response("broken", { status: 500 });
  });
  using client = connect(master);
  const start = performance.now();
  const read = client.get("k");
  const write = client.call("Store.Put", ["https://example.com/"]);
  await assertRejects(() => read, StoreError, "out of reach");
  await assertRejects(() => write, StoreError, "in time");
  assertLess(performance.now() - start, 2500);
  for (const [method, times] of sent) assertLess(times, 12, method);
});

it("Masters asks one that answers every other time after longer and longer pauses", async () => {
  let asked = 0;
  const reset = new Error("connection reset");
  const master: Transport = {
    address: "in memory",
    call: () =>
      asked++ % 2
        ? Promise.reject(reset)
        : Promise.resolve({ text: '{"result":{"ready":true}}', position: { from: 0, to: 0 } }),
    feed: () => Promise.reject(reset),
  };
  const masters = new Masters([master]);
  using _masters = { [Symbol.dispose]: () => masters.close() };
  const start = performance.now();
  await masters.probe(masters.session);
  const LOST = 7;
  for (let lost = 0; lost < LOST; lost++) {
    assertEquals(await masters.probe(masters.session), false);
    await within(5000, "a master that is found again", masters.up());
  }
  assertEquals(asked, 1 + 2 * LOST);
  // At once, then after a half of 50 ms at least, of 100, 200, and of 400 three times.
  assertGreaterOrEqual(performance.now() - start, (50 + 100 + 200 + 3 * 400) / 2 - 10);
});

it("Client.close() lets nobody wait", async () => {
  const { promise: hang, resolve: answer } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  await using master = serve(async (calls) => {
    ask();
    await hang;
    return echo(calls);
  });
  const client = connect(master);
  const calls = [client.get("a")];
  await asked;
  calls.push(client.get("b"));
  client.close();
  for (const call of [...calls, client.get("c")]) {
    await assertRejects(() => within(500, "a refusal", call), StoreError, "out of reach");
  }
  answer();
});

it("Client doesn't take another master's refusal for an answer where the first one may still do it", async () => {
  const made = (address: string, answer: (request: Request[] | Request) => unknown) => {
    const call = (text: string) => {
      const reply = {
        text: JSON.stringify(answer(JSON.parse(text))),
        position: { from: 0, to: 0 },
      };
      return Promise.resolve(reply);
    };
    return { transport: { address, call, feed: () => Promise.reject(new Error("none")) } };
  };
  const alive = { jsonrpc: "2.0", id: 0, result: { ready: true } };
  let gone = false;
  const first = made("first", (request) => {
    gone ||= Array.isArray(request);
    if (gone) throw new Error("the connection was lost");
    return alive;
  });
  const errors = [[-32001, "key not found"], [-32002, "key already exists"], [-32003, "bad"]];
  let sent = 0;
  const second = made("second", (request) => {
    if (!Array.isArray(request)) return alive;
    return request.map(({ id }) => {
      const [code, message] = errors[sent++ % 3];
      return { jsonrpc: "2.0", id, error: { code, message } };
    });
  });
  using client = connect(first, second);
  const call = async (): Promise<string> => {
    const { error } = await client.call("Store.Update", ["key", "https://example.com/"])
      .catch((error) => ({ error }));
    return error.message;
  };
  assertEquals(await Promise.all([call(), call(), call()]), [
    "may have been saved",
    "may have been saved",
    "bad",
  ]);
  // What the first one never saw is refused.
  const refused = ["key not found", "key already exists", "bad"];
  assertEquals(await Promise.all([call(), call(), call()]), refused);
});
