/** The program as users run it: a master with two replicas, real processes, real sockets. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { placeOf } from "./places.ts";
import { add, eventually, follow, lineOf, run, tempDir, within } from "./processes.ts";

const place = placeOf(import.meta.url);
const { start } = place;

const URL1 = "https://example.com/1";
const URL2 = "https://example.com/2";

/** A request whose answer is read to its end. */
async function ask(url: string, init: RequestInit = {}) {
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(url, { redirect: "manual", signal, ...init });
  const { status, headers } = response;
  return { status, headers, text: lineOf(await response.text()) };
}

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

function json(method: string, body: unknown): RequestInit {
  return { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

it("a link added through one replica is followed through all", async () => {
  await using master = await start("-rpc");
  await using one = await start(`-master=${master.url}`);
  await using two = await start(`-master=${master.url}`);

  assertEquals(await add(one.url, URL1), "0");
  assertEquals(await add(two.url, URL2), "1");
  assertEquals(await add(two.url, URL2, "chosen"), "chosen");
  for (const { url } of [master, one, two]) {
    assertEquals((await follow(url, "0")).location, URL1);
    assertEquals((await follow(url, "1")).location, URL2);
    assertEquals((await follow(url, "chosen")).location, URL2);
    const unknown = await follow(url, "none");
    assertEquals([unknown.status, unknown.body], [404, "key not found"]);
  }
});

it("a replica refuses what its master refuses, in the same words", async () => {
  await using master = await start("-rpc", "-host=https://go.example");
  await using replica = await start(`-master=${master.url}`);
  await add(replica.url, URL1, "taken");
  const refused: [fields: Record<string, string>, status: number, text: string][] = [
    [{ url: "foo" }, 400, "invalid URL: it can't be parsed"],
    [{ url: "https://go.example/x" }, 400, "invalid URL: it points back at this server"],
    [{ url: URL1, key: "add" }, 400, `invalid key: "add" is reserved`],
    [{ url: URL1, key: "taken" }, 409, "key already exists"],
  ];
  for (const [fields, status, text] of refused) {
    for (const { url } of [master, replica]) {
      const answer = await ask(`${url}/add`, { method: "POST", body: new URLSearchParams(fields) });
      assertEquals([answer.status, answer.text], [status, text]);
    }
  }
  for (const method of ["GET", "DELETE"]) {
    assertEquals((await ask(`${replica.url}/api/links/none`, { method })).status, 404);
  }
});

it("a change made through one replica is seen by all", async () => {
  await using master = await start("-rpc");
  await using one = await start(`-master=${master.url}`);
  await using two = await start(`-master=${master.url}`);
  const all = [master, one, two];
  const seenByAll = (location: string | null) =>
    eventually(async () => {
      for (const { url } of all) assertEquals((await follow(url, "a")).location, location);
    });

  await add(one.url, URL1, "a");
  await seenByAll(URL1); // and so it is in both caches
  const changed = await ask(`${two.url}/api/links/a`, json("PUT", { url: URL2 }));
  assertEquals(changed.status, 200);
  assertEquals((await follow(two.url, "a")).location, URL2, "who made it sees it at once");
  await seenByAll(URL2);
  assertEquals((await ask(`${one.url}/api/links/a`, { method: "DELETE" })).status, 204);
  assertEquals((await follow(one.url, "a")).status, 404, "who made it sees it at once");
  await seenByAll(null);
});

it("a key that is wanted through all replicas at once goes to exactly one", async () => {
  await using master = await start("-rpc");
  await using one = await start(`-master=${master.url}`);
  await using two = await start(`-master=${master.url}`);
  const answers = await Promise.all(Array.from({ length: 60 }, async (_, n) => {
    const { url } = [master, one, two][n % 3];
    const body = new URLSearchParams({ url: `https://example.com/${n}`, key: "wanted" });
    return { n, ...await ask(`${url}/add`, { method: "POST", body }) };
  }));
  const [won, ...others] = answers.filter(({ status }) => status === 200);
  assertEquals(others, []);
  assertEquals(answers.filter(({ status }) => status === 409).length, 59);
  for (const { url } of [master, one, two]) {
    assertEquals((await follow(url, "wanted")).location, `https://example.com/${won.n}`);
  }
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  it(`replicas outlive a restart of their master (${signal})`, async () => {
    await using master = await start("-rpc");
    await using one = await start(`-master=${master.url}`);
    await using two = await start(`-master=${master.url}`);
    const replicas = [one, two];
    await add(master.url, URL1, "cached");
    await add(master.url, URL2, "missed");
    // Kept only while its changes would be heard of, which each replica takes a moment to arrange.
    for (const { url } of replicas) {
      await eventually(async () => {
        await follow(url, "cached");
        return JSON.parse((await ask(`${url}/readyz`)).text).links > 0;
      });
    }

    master.kill(signal);
    await master.status;
    for (const replica of replicas) {
      const { url } = replica;
      await replica.waitForLog(({ msg }) => msg === "lost the master");
      const missed = await within(1000, "503 at once", ask(`${url}/missed`));
      assertEquals([missed.status, missed.headers.get("retry-after")], [503, "1"]);
      const form = { method: "POST", body: new URLSearchParams({ url: URL1 }) };
      assertEquals((await ask(`${url}/add`, form)).status, 503);
      const { status, text } = await within(1000, "/readyz", ask(`${url}/readyz`));
      const { ready, writable, reason } = JSON.parse(text);
      assertEquals({ status, ready, writable, reason }, {
        status: 200,
        ready: true,
        writable: false,
        reason: "master out of reach",
      });
      assertEquals((await ask(`${url}/healthz`)).status, 200);
      assertEquals((await follow(url, "cached")).location, URL1);
    }

    await master.restart();
    assertEquals(master.links, 2);
    for (const { url } of replicas) {
      await eventually(async () => assertEquals((await follow(url, "missed")).location, URL2));
      assertEquals((await follow(url, "cached")).location, URL1);
      assertEquals((await ask(`${url}/readyz`)).status, 200);
      const key = await add(url, URL1);
      assertEquals((await follow(master.url, key)).location, URL1);
    }
  });
}

it("a replica's restart loses nothing and stops nobody", async () => {
  await using master = await start("-rpc");
  await using one = await start(`-master=${master.url}`);
  await using two = await start(`-master=${master.url}`);
  await add(one.url, URL1, "a");
  for (const replica of [one, two]) {
    const { code } = await replica.stop();
    assertEquals(code, 0);
    for (const other of [master, one, two]) {
      if (other !== replica) assertEquals((await follow(other.url, "a")).location, URL1);
    }
    await replica.begin();
    assertEquals((await follow(replica.url, "a")).location, URL1);
    const key = await add(replica.url, URL2);
    for (const { url } of [master, one, two]) {
      assertEquals((await follow(url, key)).location, URL2);
    }
  }
});

it("a replica may be started before its master", async () => {
  await using master = await start("-rpc");
  await add(master.url, URL1, "a");
  await master.stop();
  await using replica = await start(`-master=${master.url}`);
  await replica.waitForLog(({ msg }) => msg === "lost the master");
  const early = await within(1000, "503 at once", follow(replica.url, "a"));
  assertEquals(early.status, 503);
  assertEquals((await ask(`${replica.url}/readyz`)).status, 503);
  await master.begin();
  await eventually(async () => assertEquals((await follow(replica.url, "a")).location, URL1));
});

it("only a replica that has the token is served", async () => {
  await using master = await start("-rpc", "-rpc-token=s3cret");
  await add(master.url, URL1, "a");
  await using stranger = await start(`-master=${master.url}`);
  await using replica = await start({ env: { GOTO_RPC_TOKEN: "s3cret" } }, `-master=${master.url}`);
  assertEquals((await follow(replica.url, "a")).location, URL1);
  assertEquals((await follow(stranger.url, "a")).status, 503);
  const lost = await stranger.waitForLog(({ msg }) => msg === "lost the master");
  assertMatch(lost.reason, /^401 /);
});

it("a master goes on where it stopped, with no key twice", async () => {
  await using goto = await start();
  assertEquals(goto.links, 0);
  assertEquals(await add(goto.url, URL1), "0");
  assertEquals(await add(goto.url, URL1), "1");
  await ask(`${goto.url}/api/links/1`, { method: "DELETE" });
  await goto.restart();
  assertEquals(goto.links, 1);
  assertEquals(await add(goto.url, URL2), "2");
  assertEquals((await follow(goto.url, "0")).location, URL1);
  assertEquals((await follow(goto.url, "1")).status, 404);
});

it("-keys=random makes keys that can't be guessed", async () => {
  await using goto = await start("-keys=random");
  const key = await add(goto.url, URL1);
  assertMatch(key, /^[0-9a-zA-Z]{10}$/);
  assertEquals((await follow(goto.url, key)).location, URL1);
});

it("-http=:0 picks a free port and says what is served", async () => {
  await using goto = await start("-http=:0");
  const { time: _, url, ...serving } = await goto.waitForLog(({ msg }) => msg === "serving");
  assertMatch(url, /^http:\/\/localhost:\d{4,5}$/);
  assertEquals(serving, {
    level: "info",
    msg: "serving",
    role: "master",
    links: 0,
    ...(place.isFile ? { file: "store.jsonl" } : { database: "links.db" }),
    threads: Number(Deno.env.get("GOTO_THREADS") ?? 1),
  });
  assertEquals((await ask(`${url}/healthz`)).text, "ok");
});

it("-http=:PORT answers over IPv4 and IPv6", { ignore: !hasIPv6() }, async () => {
  await using goto = await start("-http=:0");
  const { port } = new URL(goto.url);
  for (const host of ["127.0.0.1", "[::1]"]) {
    assertEquals((await ask(`http://${host}:${port}/healthz`)).text, "ok");
  }
});

it("short links start with -host, or else with localhost and the port", async () => {
  await using plain = await start();
  await using hosted = await start("-host=https://go.example/");
  const body = new URLSearchParams({ url: URL1 });
  const short = async (url: string) => (await ask(`${url}/add`, { method: "POST", body })).text;
  assertEquals(await short(plain.url), `http://localhost:${new URL(plain.url).port}/0`);
  assertEquals(await short(hosted.url), "https://go.example/0");
});

it("-access logs every request", async () => {
  await using goto = await start("-access");
  await follow(goto.url, "none?x=1");
  const { time, ms, ...request } = await goto.waitForLog(({ msg }) => msg === "request");
  assertMatch(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert(ms >= 0);
  const url = `${goto.url}/none?x=1`;
  const client = "127.0.0.1";
  assertEquals(request, { level: "info", msg: "request", client, method: "GET", url, status: 404 });
});

it("-log=text, the default, writes one line an event", async () => {
  using dir = tempDir();
  await Deno.writeTextFile(`${dir.path}/a b.jsonl`, `{"Key`);
  const { code, stderr } = await run({ cwd: dir.path }, "-compact", "-file=a b.jsonl");
  assertEquals(code, 0);
  const [time, ...event] = stderr.split(" ");
  assertMatch(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const text =
    `warn  cut off a torn last line file="a b.jsonl" bytes=5 kept="a b.jsonl.bad" text="{\\"Key"\n`;
  assertEquals(event.join(" "), text);
});

it("-healthcheck asks the running server", async () => {
  await using goto = await start();
  const flags = [`-http=${new URL(goto.url).host}`, "-healthcheck"];
  assertEquals(await run(...flags), { code: 0, stdout: "ok\n", stderr: "" });
  await goto.stop();
  const { code, stdout, stderr } = await run(...flags);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "is not alive");
});
