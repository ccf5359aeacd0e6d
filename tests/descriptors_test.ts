import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, eventually, follow, type Goto, start, within } from "./processes.ts";
import { tool, works } from "./tools.ts";

const ignore = !await works("sh", "-c", "ulimit -n 128");
/** Lets a program have so few descriptors that a few clients can use them up. */
const FEW = ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh"];
const IDLE = 200;

/** Opens more connections than there are descriptors, and says nothing. Whoever is refused comes back. */
async function idle(base: string): Promise<Deno.Conn[] & Disposable> {
  const { hostname, port } = new URL(base);
  const all = await Promise.all(
    Array.from(
      { length: IDLE },
      () => eventually(() => Deno.connect({ hostname, port: Number(port) })),
    ),
  );
  return Object.assign(all, { [Symbol.dispose]: () => all.forEach((one) => one.close()) });
}

/** Resolves when the other end closes a connection. */
async function ends(conn: Deno.Conn): Promise<void> {
  await conn.read(new Uint8Array(1)).catch(() => null);
}

/** Uses the descriptors of a server up, again and again, and sees it go on each time. */
async function assertGoesOn(server: Goto, threads = 1): Promise<void> {
  const key = await add(server.url, "https://example.com/");
  const isTrouble = ({ msg }: { msg: string }) => msg === "closing all connections";
  for (let round = 0; round < 3; round++) {
    using all = await idle(server.url);
    const { reason } = await server.waitForLog(isTrouble);
    assertMatch(reason, /Too many open files|not listened/);
    await within(10_000, "the end of idle connections", Promise.any(all.map(ends)));
    // While the connections are still there, at their end. Another thread may still be about to listen
    // anew, so whoever is refused comes back.
    await eventually(async () => (await follow(server.url, key)).status === 302);
    const changed = `https://example.com/${round}`;
    const other = await eventually(() => add(server.url, changed));
    const { location } = await eventually(() => follow(server.url, other));
    assertEquals(location, changed);
  }
  const told = server.logs.filter(isTrouble).length;
  assert(told >= 1 && told <= threads, `it was told ${told} times:\n${server.stderr}`);
  const { code, signal } = await server.stop();
  assertEquals([code, signal], [0, null], server.stderr);
}

it("a master that runs out of descriptors says so once, and goes on", { ignore }, async () => {
  await using master = await start({ through: FEW });
  await assertGoesOn(master);
});

it("a thread that runs out of descriptors says so once, and goes on", { ignore }, async () => {
  await using master = await start({ through: FEW }, "-threads=2");
  await assertGoesOn(master, 2);
  assertEquals(master.logs.filter(({ msg }) => msg.startsWith("a thread died")), []);
});

it("a replica that runs out of descriptors says so once, and goes on", { ignore }, async () => {
  await using master = await start("-rpc");
  await using replica = await start({ through: FEW }, `-master=${master.url}`);
  await assertGoesOn(replica);
});

const canLimit = await works("prlimit", "--nofile=20000:", "true");
it("a server keeps a descriptor for itself where nobody else asks for one", {
  ignore: !canLimit,
}, async () => {
  await using master = await start();
  const key = await add(master.url, "https://example.com/");
  // As if all that are left had been taken by connections.
  const { success, stderr } = await tool("prlimit", "--pid", `${master.pid}`, "--nofile=5:");
  assert(success, stderr);
  await within(
    10_000,
    "the event",
    master.waitForLog(({ msg }) => msg === "closing all connections"),
  );
  await tool("prlimit", "--pid", `${master.pid}`, "--nofile=20000:");
  await eventually(async () => (await follow(master.url, key)).status === 302);
});
