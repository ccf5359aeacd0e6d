import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { listen } from "../http/listen.ts";
import { MemoryWatch, SPARE_BYTES } from "../http/memory.ts";
import { sharedBytes, shareMemory } from "../links/memory.ts";
import { add, eventually, follow, start } from "./processes.ts";
import { Client, memoryOf } from "./sockets.ts";

describe("MemoryWatch", () => {
  it("says once that memory is full, and again only after it was not, and after a minute", () => {
    let [resident, now] = [0, 0];
    const watch = new MemoryWatch(() => ({ resident, ours: 1000 }), () => now);
    const look = (spare: number, after: number) => {
      resident = 1000 + SPARE_BYTES + spare;
      now += after;
      return watch.isFull();
    };
    assertEquals(look(0, 1000), false);
    assertEquals(look(1, 1000), true);
    assertEquals(look(1, 100_000), false); // it is not the connections'
    assertEquals(look(0, 1000), false);
    assertEquals(look(1, 1000), true);
    assertEquals(look(-1, 1000), false);
    assertEquals(look(1, 58_999), false); // too soon
    assertEquals(look(1, 1), true);
  });
});

it("sharedBytes() counts what links take", () => {
  const before = sharedBytes();
  assertEquals(shareMemory(1000).byteLength, 1000);
  assertEquals(sharedBytes(), before + 1000);
});

it("what one connection sends ahead closes connections before memory is gone", async () => {
  await using master = await start("-rpc", "-threads=2");
  const key = await add(master.url, "https://example.com/");
  using client = await Client.open(master.url);
  let most = 0;
  const timer = setInterval(async () => most = Math.max(most, await memoryOf(master)), 250);
  try {
    await client.send("GET /rpc/log?offset=end HTTP/1.1\r\nhost: h\r\n\r\n");
    assertEquals(await client.status(), 200);
    const ahead = `GET /${key} HTTP/1.1\r\nhost: h\r\n\r\n`.repeat(100_000);
    const sending = new AbortController();
    const send = async () => {
      while (!sending.signal.aborted) await client.send(ahead);
    };
    const sent = send();
    const { reason } = await master.waitForLog(
      ({ msg }) => msg === "closing all connections",
      60_000,
    );
    assertMatch(reason, /512 MiB/);
    assert(await client.ends());
    sending.abort();
    await sent;
  } finally {
    clearInterval(timer);
  }
  // Another thread may close its own a moment later.
  await eventually(async () => (await follow(master.url, key).catch(() => null))?.status === 302);
  assert(most < 1500, `it took ${most} MB`);
  // The runtime gives back what was read for them a moment after they are closed.
  await eventually(async () => {
    const left = await memoryOf(master);
    assert(left < 500, `${left} MB are left`);
  });
});

it("an answer that took long asks for its connection to be closed", async () => {
  const server = listen({ hostname: "127.0.0.1", port: 0 }, async (req) => {
    if (req.url.endsWith("/slow")) await new Promise((resolve) => setTimeout(resolve, 1100));
    return new Response("answered");
  });
  try {
    for (const [path, connection] of [["slow", "close"], ["quick", null]] as const) {
      const answer = await fetch(`http://127.0.0.1:${server.port}/${path}`);
      assertEquals([await answer.text(), answer.headers.get("connection")], [
        "answered",
        connection,
      ]);
    }
  } finally {
    await server.shutdown();
  }
});
