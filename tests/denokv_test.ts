/** Several masters on one service, each with threads, and with a replica below. */
import { assert, assertEquals } from "@std/assert";
import { afterAll, describe, it as test } from "@std/testing/bdd";
import { DENOKV, Denokv, TOKEN } from "./denokv.ts";
import { add, breathe, eventually, follow, type Goto, run, start, within } from "./processes.ts";
import { agree, change, following, keep, ready, where } from "./replicas.ts";
import { rounds } from "./rounds.ts";

const it = (name: string, fn: () => Promise<void>) =>
  test(name, { ignore: DENOKV === undefined }, fn);
const url = (name: string | number) => `https://example.com/${name}`;

/** Two masters on a service, and a replica below each. */
async function cluster(...flags: string[]) {
  const service = await Denokv.start();
  const nodes: Goto[] = [];
  const begin = async (...args: string[]) => {
    const node = await start(service.options, ...args);
    nodes.push(node);
    return node;
  };
  try {
    const one = await begin(`-kv=${service.url}`, "-rpc", "-threads=2", ...flags);
    const two = await begin(`-kv=${service.url}`, "-rpc", "-threads=2", ...flags);
    const below = [await begin(`-master=${one.url}`), await begin(`-master=${two.url}`)];
    for (const node of nodes) await following(node);
    return {
      service,
      masters: [one, two],
      below,
      nodes,
      async [Symbol.asyncDispose]() {
        await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
        await service[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    for (const node of nodes) await node[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
    throw error;
  }
}

/** A cluster that several tests share, which hurt nobody. */
let common: Awaited<ReturnType<typeof cluster>> | undefined;
const shared = async () => common ??= await cluster();

// It outlives a test.
describe("a service", { sanitizeResources: false, sanitizeOps: false }, () => {
  afterAll(() => common?.[Symbol.asyncDispose]());

  it("masters on one service make no key twice, and each has what the others were told", async () => {
    const all = await shared();
    const keys: string[] = [];
    for (let n = 0; n < 5; n++) {
      keys.push(
        ...await Promise.all(
          Array.from({ length: 40 }, (_, i) => add(all.nodes[i % 4].url, url(40 * n + i))),
        ),
      );
    }
    assertEquals(new Set(keys).size, 200);
    for (const { url: base } of all.nodes) {
      for (const [i, key] of keys.entries()) assertEquals(await where(base, key), url(i));
    }
  });

  it("an alias that is wanted at all masters at once goes to exactly one", async () => {
    const all = await shared();
    for (let round = 0; round < 10; round++) {
      const results = await Promise.allSettled(
        all.nodes.flatMap(({ url: base }, i) => [
          add(base, url(i), `alias-${round}`),
          add(base, url(i), `own-${round}-${i}`), // which must not fail with it
        ]),
      );
      const made = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
      assertEquals(made.filter((key) => key === `alias-${round}`).length, 1);
      assertEquals(made.filter((key) => key.startsWith("own-")).length, 4);
      for (const result of results) {
        if (result.status === "rejected") {
          assertEquals(result.reason.message, "POST /add: 409 key already exists");
        }
      }
    }
  });

  it("a change at one master is seen at the others, and below them", async () => {
    const all = await shared();
    await add(all.masters[0].url, url("first"), "docs");
    await agree(all.nodes, "docs", url("first"));
    for (const [i, node] of [...all.nodes, ...all.nodes].entries()) {
      assertEquals(await change(node.url, "docs", url(i)), 200);
      await agree(all.nodes, "docs", url(i));
    }
    assertEquals(await change(all.masters[1].url, "docs"), 204);
    await agree(all.nodes, "docs", undefined);
  });

  it("an id that comes again at another master gets its first answer", async () => {
    const all = await shared();
    const call = async (node: Goto, method: string, params: string[]) => {
      const response = await fetch(`${node.url}/rpc`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 }),
        signal: AbortSignal.timeout(10_000),
      });
      const { result, error } = await response.json();
      return result ?? error.message;
    };
    const [one, two] = all.masters;
    const put = { url: url("a"), id: "put" };
    const byName = async (node: Goto) => {
      const response = await fetch(`${node.url}/rpc`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", method: "Store.Put", params: put, id: 1 }),
      });
      return (await response.json()).result;
    };
    const keys = await Promise.all([byName(one), byName(two), byName(one), byName(two)]);
    assertEquals(new Set(keys).size, 1);
    assertEquals(await call(one, "Store.Put", [url("b"), "alias", "alias"]), "alias");
    assertEquals(await call(two, "Store.Put", [url("b"), "alias", "alias"]), "alias");
    assertEquals(await call(one, "Store.Update", ["alias", url("c"), "first"]), true);
    assertEquals(await call(two, "Store.Update", ["alias", url("d"), "second"]), true);
    assertEquals(await call(two, "Store.Update", ["alias", url("c"), "first"]), true);
    assertEquals(await call(two, "Store.Get", ["alias"]), url("d"));
    assertEquals(await call(two, "Store.Delete", ["alias", "gone"]), true);
    assertEquals(await call(one, "Store.Delete", ["alias", "gone"]), true);
    assertEquals(await call(one, "Store.Delete", ["alias", "again"]), "key not found");
  });
});

for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
  it(`while the service is away, redirects go on, and masters find it again (${signal})`, async () => {
    await using all = await cluster();
    const [one, two] = all.masters;
    await add(one.url, url("a"), "docs");
    for (const node of all.nodes) assertEquals(await where(node.url, "docs"), url("a"));
    // What was asked for before the feed was followed isn't kept.
    for (const node of all.below) await keep(node, "docs");
    all.service.kill(signal);
    for (const { url: base } of all.masters) {
      await eventually(async () => {
        const { status, reason } = await ready(base);
        assertEquals([status, reason], [200, "the database is out of reach"]);
      });
      // The first ones may wait for it; then it is known to be away, and the answer is there at once.
      await eventually(async () => {
        const began = performance.now();
        const { status, body } = await follow(base, "unknown");
        assertEquals([status, body], [503, "the database is out of reach"]);
        assert(performance.now() - began < 1000);
      });
    }
    for (const node of all.nodes) assertEquals(await where(node.url, "docs"), url("a"));
    const lost = await one.waitForLog(({ msg }) => msg === "lost the database");
    assertEquals(lost.database, all.service.url);
    if (signal === "SIGSTOP") all.service.kill("SIGCONT");
    else {
      await all.service.stop();
      await all.service.begin();
    }
    await one.waitForLog(({ msg }) => msg === "the database answers");
    for (const node of all.nodes) await following(node);
    assertEquals(await change(two.url, "docs", url("b")), 200);
    await agree(all.nodes, "docs", url("b"));
    // One line when it was lost and one when it was back, whatever was tried in between.
    for (const { stderr } of all.masters) {
      assertEquals(stderr.match(/database/g)!.length < 12, true, stderr);
    }
  });
}

it("a master that is killed loses nothing that it answered for, and its place is taken", async () => {
  await using all = await cluster();
  const [one, two] = all.masters;
  const answered = new Map<string, string>();
  let stopped = false;
  const writers = Array.from({ length: 8 }, async (_, w) => {
    for (let i = 0; !stopped; i++) {
      const target = url(`${w}-${i}`);
      await breathe();
      const node = w % 2 ? one : two;
      try {
        const key = await add(node.url, target);
        assertEquals(answered.has(key), false, `${key} twice`);
        answered.set(key, target);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  });
  for (let round = 0; round < rounds(2, 6); round++) {
    const before = answered.size;
    await eventually(() => answered.size > before + 50);
    one.kill();
    await one.status;
    await one.begin();
    if (round % 2) {
      await all.service.stop();
      await all.service.begin();
    }
  }
  stopped = true;
  await within(20_000, "the writers", Promise.all(writers));
  await following(one);
  for (const [key, target] of answered) {
    for (const { url: base } of all.masters) assertEquals(await where(base, key), target);
  }
});

it("what is told at a server is never unsaid there, whatever is stopped or killed: a recorded history", async () => {
  await using all = await cluster();
  const keys = ["a", "b", "c"];
  for (const key of keys) await add(all.masters[0].url, url(0), key);
  // At each server: the latest version of each key that somebody was told of there.
  const told = all.nodes.map(() => new Map(keys.map((key) => [key, 0])));
  const tell = (node: number, key: string, version: number) =>
    told[node].set(key, Math.max(version, told[node].get(key) ?? 0));
  const problems: string[] = [];
  let [reads, writes, stopped] = [0, 0, false];
  const readers = all.nodes.map(async (node, at) => {
    for (let i = 0; !stopped; i++) {
      const key = keys[i % keys.length];
      const least = told[at].get(key) ?? 0;
      const { status, location } = await follow(node.url, key)
        .catch(() => ({ status: 503, location: null }));
      if (status === 302) {
        const version = Number(location?.slice(url("").length));
        if (version < least) problems.push(`${key} at ${at}: ${version} after ${least}`);
        tell(at, key, version);
        reads++;
      } else if (status !== 503) problems.push(`${key} at ${at}: ${status}`);
      await breathe();
    }
  });
  const latest = new Map<string, number>();
  // Where changes are sent, and how many are under way: what is stopped would make them long after.
  let open = [0, 1, 2, 3];
  const under = [0, 0, 0, 0];
  const writers = keys.map(async (key, k) => {
    for (let version = 1; !stopped; version++) {
      const at = open[(version + k) % open.length];
      under[at]++;
      const status = await change(all.nodes[at].url, key, url(version)).catch(() => 503);
      under[at]--;
      if (status === 200) {
        tell(at, key, version);
        latest.set(key, version);
        writes++;
        await breathe();
      } else if (status === 503 || status === 404) {
        // It may still be done: until that is certain, no other one shall be tried.
        await new Promise((resolve) => setTimeout(resolve, 4500));
      } else problems.push(`${key} at ${at}: ${status}`);
    }
  });
  const more = async (count: number) => {
    const before = writes;
    await eventually(() => writes >= before + count, 30_000);
  };
  await more(50);
  all.service.kill("SIGSTOP");
  await all.masters[0].waitForLog(({ msg }) => msg === "lost the database");
  all.service.kill("SIGCONT");
  await more(50);
  await all.service.stop();
  await all.service.begin();
  await more(50);
  open = [0, 2];
  await eventually(() => under[1] + under[3] === 0);
  all.masters[1].kill("SIGSTOP");
  await more(50);
  all.masters[1].kill("SIGCONT");
  open = [0, 1, 2, 3];
  await more(50);
  stopped = true;
  await within(30_000, "all of them", Promise.all([...readers, ...writers]));
  assertEquals(problems, []);
  assert(reads > 100, `${reads} reads`);
  for (const [key, version] of latest) {
    for (const { url: base } of all.nodes) {
      await eventually(async () => {
        const found = Number((await where(base, key))?.slice(url("").length));
        assert(found >= version, `${key}: ${found}, not ${version}`);
      });
    }
  }
});

it("the token is written nowhere, and a wrong one is told of in a line", async () => {
  await using service = await Denokv.start();
  await using master = await start(service.options, `-kv=${service.url}`, "-access", "-rpc");
  await add(master.url, url("a"), "docs");
  assertEquals((await ready(master.url)).status, 200);
  const { stderr } = master;
  await using other = await start({ env: { GOTO_KV_TOKEN: "wrong-token" } }, `-kv=${service.url}`);
  const { reason } = await other.waitForLog(({ msg }) => msg === "lost the database");
  assertEquals(reason, "the database answered 401 Invalid access token.");
  assertEquals((await follow(other.url, "docs")).status, 503);
  await service.stop();
  await master.waitForLog(({ msg }) => msg === "lost the database");
  for (const text of [stderr, master.stderr, other.stderr]) {
    assertEquals([text.includes(TOKEN), text.includes("wrong-token")], [false, false]);
  }
  const { stdout } = await run(service.options, "-help");
  assertEquals(stdout.includes(TOKEN), false);
});

it("a master that was away takes in what the others put meanwhile", async () => {
  await using all = await cluster();
  const [one, two] = all.masters;
  await add(one.url, url("a"), "docs");
  await agree(all.nodes, "docs", url("a"));
  two.kill("SIGSTOP");
  const long = "x".repeat(8000);
  let last = "";
  for (let i = 0; i < 2300; i += 100) { // 18 MB
    const calls = Array.from({ length: 100 }, (_, n) => {
      const params = { url: url(`${long}${i + n}`) };
      return { jsonrpc: "2.0", method: "Store.Put", params, id: n };
    });
    const response = await fetch(`${one.url}/rpc`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(calls),
    });
    const answers: { result?: string }[] = await response.json();
    assertEquals(answers.filter(({ result }) => result === undefined), []);
    last = answers.at(-1)?.result ?? "";
  }
  await change(one.url, "docs", url("b"));
  two.kill("SIGCONT");
  await agree(all.nodes, "docs", url("b"), 20_000);
  assertEquals((await where(two.url, last))?.length, url(long).length + 4);
  assertEquals((await ready(two.url)).links, (await ready(one.url)).links);
});

it("a master may be started before its service", async () => {
  await using service = await Denokv.start();
  await service.stop();
  await using master = await start(service.options, `-kv=${service.url}`);
  assertEquals((await follow(master.url, "docs")).status, 503);
  await service.begin();
  await eventually(async () => assertEquals((await ready(master.url)).status, 200));
  assertEquals(await add(master.url, url("a")), "0");
});
