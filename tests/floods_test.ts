import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { BODY_MS, MAX_BODIES } from "../http/body.ts";
import { add, breathe, follow, start, within } from "./processes.ts";
import { Client, clients, FORM, JSON_TYPE, memoryOf, post } from "./sockets.ts";

it("a body that doesn't come in time answers 408, and asks for the connection to be closed", async () => {
  await using master = await start("-rpc");
  const slow = [
    post("/add", FORM, 100, "url=https://example.com/"),
    post("/api/links", JSON_TYPE, 50_000, "{"),
    post("/rpc", JSON_TYPE, 1_000_000, "[".repeat(500_000)),
    `POST /add HTTP/1.1\r\nhost: h\r\ncontent-type: ${FORM}\r\n` +
    "transfer-encoding: chunked\r\n\r\n5\r\nurl=h\r\n",
  ];
  await Promise.all(slow.map(async (text) => {
    using client = await Client.open(master.url);
    await client.send(text);
    const answer = await client.read((text) => text.includes("too slow"), BODY_MS + 5000);
    assertMatch(answer, /^HTTP\/1\.1 408 [^]*\r\nconnection: close\r\n/i, text.slice(0, 80));
    await client.finish();
    assert(await client.ends(), text.slice(0, 80));
  }));
  // One that is awaited, as it asked to be.
  using polite = await Client.open(master.url);
  const body = "url=https://example.com/polite";
  await polite.send(post("/add", FORM, body.length, "", "expect: 100-continue\r\n"));
  assertMatch(await polite.read((text) => text.includes("\r\n\r\n")), /^HTTP\/1\.1 100 /);
  await polite.send(body);
  assertEquals(await polite.status(), 200);
});

it("bodies that come in at once are bounded together: 503 past it", async () => {
  await using master = await start("-rpc");
  const key = await add(master.url, "https://example.com/");
  const before = await memoryOf(master);
  {
    const size = 900_000;
    using all = await clients(master.url, 200);
    const sent = Promise.all(
      all.map((client) => client.send(post("/rpc", JSON_TYPE, size + 1, " ".repeat(size)))),
    );
    let refused = 0;
    const most = MAX_BODIES / size;
    await Promise.all(all.map(async (client) => {
      const status = await client.status(BODY_MS + 5000);
      assert(status === 503 || status === 408, `${status}`);
      if (status === 503) refused++;
    }));
    await sent;
    assert(refused >= all.length - most - 1, `${refused} of ${all.length} were refused`);
    const grown = await memoryOf(master) - before;
    assert(grown < 250, `it took ${grown} MB`); // 180 MB of bodies took 700
  }
  // What they held is there again.
  using client = await Client.open(master.url);
  const call = `{"jsonrpc":"2.0","id":1,"method":"Store.Get","params":["${key}"]}`.padEnd(1 << 20);
  await client.send(post("/rpc", JSON_TYPE, call.length, call));
  assertEquals(await client.status(), 200);
});

it("requests that are sent ahead are answered in order", async () => {
  await using master = await start();
  for (const key of ["a", "b"]) await add(master.url, `https://example.com/${key}`, key);
  using client = await Client.open(master.url);
  const get = (key: string) => `GET /${key} HTTP/1.1\r\nhost: h\r\n\r\n`;
  const body = "url=https://example.com/c&key=c";
  await client.send(
    get("a") + get("x") + post("/add", FORM, body.length, body) + get("c") + get("b"),
  );
  const text = await client.read((text) => text.includes("/b\r\n"));
  const statuses = Array.from(text.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => status);
  assertEquals(statuses, ["302", "404", "200", "302", "302"]);
  assertMatch(text, /com\/a\r\n[^]*com\/c\r\n[^]*com\/b\r\n/);
});

it("HTTP/1.0 is answered, and the connection ended unless it is to be kept", async () => {
  await using master = await start();
  const key = await add(master.url, "https://example.com/");
  using once = await Client.open(master.url);
  await once.send(`GET /${key} HTTP/1.0\r\n\r\n`);
  assertEquals(await once.status(), 302);
  assert(await once.ends());
  using kept = await Client.open(master.url);
  for (let i = 0; i < 2; i++) {
    await kept.send(`GET /${key} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n`);
    const text = await kept.read((text) => text.includes("\r\n\r\n"));
    assertMatch(text, /^HTTP\/1\.0 302 /);
  }
});

it("clients that never read their redirects cost little, and others nothing", async () => {
  await using master = await start();
  const key = await add(master.url, `https://example.com/${"x".repeat(4000)}`);
  const before = await memoryOf(master);
  using all = await clients(master.url, 50);
  const many = `GET /${key} HTTP/1.1\r\nhost: h\r\n\r\n`.repeat(20_000); // 80 MB of answers, each
  for (const client of all) client.send(many);
  const end = performance.now() + 3000;
  while (performance.now() < end) {
    assertEquals((await within(2000, "a redirect", follow(master.url, key))).status, 302);
    await breathe();
  }
  const grown = await memoryOf(master) - before;
  assert(grown < 250, `it took ${grown} MB`); // 4 GB, if answers piled up
});

it("connections that say nothing, or half a header, cost little, and others nothing", async () => {
  await using master = await start();
  const key = await add(master.url, "https://example.com/");
  const before = await memoryOf(master);
  using all = await clients(master.url, 600);
  await Promise.all(all.map((client, i) => client.send(i % 2 ? "" : "GET / HTTP/1.1\r\nhost:")));
  assertEquals((await follow(master.url, key)).status, 302);
  const grown = await memoryOf(master) - before;
  assert(grown < 100, `it took ${grown} MB`);
  // Whoever goes on is answered.
  await Promise.all(
    all.slice(0, 20).map(async (client, i) => {
      await client.send(i % 2 ? `GET /${key} HTTP/1.1\r\nhost: h\r\n\r\n` : " h\r\n\r\n");
      assertEquals(await client.status(), i % 2 ? 302 : 200);
    }),
  );
});
