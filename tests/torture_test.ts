import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { torture } from "../scripts/torture.ts";
import { check } from "../scripts/torture/checks.ts";
import { ask } from "../scripts/torture/clients.ts";
import { Cluster } from "../scripts/torture/cluster.ts";
import { LAYOUTS, SMALL } from "../scripts/torture/layouts.ts";
import { settle } from "../scripts/torture/settle.ts";
import { DENOKV } from "./denokv.ts";
import { random } from "./random.ts";

/** A proxy for clients that answers each read but the first of a key as it answered the first one. */
function liar(target: string) {
  const told = new Map<string, Response>();
  const onListen = () => {};
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, async (req) => {
    const { pathname } = new URL(req.url);
    const before = req.method === "GET" && told.get(pathname);
    if (before) return before.clone();
    const { method, headers } = req;
    const body = method === "GET" ? undefined : await req.text();
    const response = await fetch(target + pathname, { method, headers, body, redirect: "manual" });
    const answer = new Response(response.status === 204 ? null : await response.text(), response);
    if (method === "GET") told.set(pathname, answer.clone());
    return answer;
  });
}

describe("torture", () => {
  it("finds no broken promise in a few rounds of everything", async () => {
    const { seed } = random();
    const report = await torture({ rounds: 4, seed, light: true, layouts: [SMALL] });
    const { broken, operations, writes, unknown, undecided, linearizable } = report;
    console.log(`seed ${seed}:`, { ...report, broken: broken.length });
    assertEquals(broken, [], `deno task torture -- --layout=small --rounds=4 --seed=${seed}`);
    assertEquals(undecided, 0);
    assertGreater(linearizable, 10);
    assertGreater(operations, 100);
    assertGreater(writes, unknown);
  });

  it("finds none with masters on a service that they lose, and that is restored", {
    ignore: DENOKV === undefined,
  }, async () => {
    const { seed } = random();
    const only = ["database", "kill service", "copy database", "restore database"];
    const layouts = [LAYOUTS.service];
    const report = await torture({ rounds: 3, seed, only, light: true, layouts });
    assertEquals(report.broken, [], `deno task torture -- --layout=service --seed=${seed}`);
    assertEquals(report.undecided, 0);
    assertGreater(report.operations, 50);
  });

  it("finds a server that answers with an older version, to a reader and for good", async () => {
    await using cluster = await Cluster.start(SMALL, random(1).pick);
    const [master, , cache] = cluster.machines;
    await ask(cluster, master, "put", "k0");
    assertEquals(await settle(cluster), []);
    const proxy = liar(cache.url);
    cache.front = `http://127.0.0.1:${proxy.addr.port}`;
    await ask(cluster, cache, "get", "k0");
    await ask(cluster, cache, "update", "k0");
    await ask(cluster, cache, "get", "k0");
    const settled = await settle(cluster);
    await proxy.shutdown();
    assertEquals(settled.length, 1);
    assertMatch(settled[0], /^cache shows 1 links wrong for good, ready true, lag 0: k0 /);
    const { broken, linearizable } = check(cluster.history.operations, cluster.observer.epochs);
    assertEquals(linearizable, 1); // the master is honest
    assert(broken.length > 0);
    assertMatch(
      broken[0],
      /^cache, process 1, k0: .* was read at \d+ ms, \d+ ms after the update of /,
    );
  });
});
