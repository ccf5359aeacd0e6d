import { assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { listen } from "../http/listen.ts";
import { sendPatiently } from "../http/patience.ts";
import type { Events } from "../journal/events.ts";
import { eventually } from "./processes.ts";
import { Client, clients } from "./sockets.ts";

const REQUEST = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";

it("sendPatiently() sends all that there is, and says once that it ended", async () => {
  const parts = ["one ", "two ", "three"].map((text) => new TextEncoder().encode(text));
  let ended = 0;
  const body = sendPatiently(() => parts.shift(), () => ended++, 10_000);
  assertEquals(await new Response(body).text(), "one two three");
  assertEquals(ended, 1);
});

it("sendPatiently() says so when a client goes, and when nothing can be read", async () => {
  let ended = 0;
  const left = sendPatiently(() => new Uint8Array(1), () => ended++, 10_000);
  const reader = left.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals(ended, 1);
  const fail = () => Promise.reject(new Error("on purpose"));
  const broken = sendPatiently(fail, () => ended++, 10_000);
  await assertRejects(() => new Response(broken).text(), Error, "on purpose");
  assertEquals(ended, 2);
});

it("sendPatiently() cuts off a client that takes nothing, also where it never took anything", async () => {
  for (const taken of [0, 1, 5]) {
    const { promise: end, resolve } = Promise.withResolvers<void>();
    let reads = 0;
    const body = sendPatiently(() => new Uint8Array(++reads), resolve, 20);
    const reader = body.getReader();
    for (let i = 0; i < taken; i++) await reader.read();
    await end;
    assertEquals(reads, taken);
    await assertRejects(() => reader.read(), Error, "cut off");
  }
});

it("connections of clients that were cut off close nobody else's, however many stay", async () => {
  const told: unknown[] = [];
  const events: Events = (_level, msg, fields) => void told.push([msg, fields?.reason]);
  let [asked, open] = [0, 0];
  const part = new Uint8Array(1 << 20);
  const server = listen({ hostname: "127.0.0.1", port: 0 }, (req) => {
    if (req.url.endsWith("/quick")) return new Response("quick");
    asked++;
    open++;
    // A busy machine, too, fills the buffers of all connections within that time.
    return new Response(sendPatiently(() => part, () => open--, 2000));
  }, { shared: false, events });
  try {
    const base = `http://127.0.0.1:${server.port}`;
    using other = await Client.open(base);
    using all = await clients(base, 100);
    for (const client of all) await client.send(REQUEST);
    await eventually(() => asked === all.length && open === 0);
    await other.send("GET /quick HTTP/1.1\r\nhost: h\r\n\r\n");
    assertEquals(await other.status(), 200);
    assertEquals(told, []);
  } finally {
    await server.shutdown();
  }
});
