import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { handler } from "../handlers.ts";
import { StoreError } from "../links/errors.ts";
import { Table } from "../links/table.ts";
import type { Store } from "../store.ts";
import { answerQuestions, Asker, type Service } from "../threads/port.ts";

function tableOf(links: number): Table {
  const table = new Table();
  for (let i = 0; i < links; i++) table.set({ key: `k${i}`, url: `https://example.com/${i}` });
  return table;
}

/** A store that answers no list: it only tells when whoever asked has left. */
function waitingStore() {
  const asked = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const nothing = () => {
    throw new Error("not asked for");
  };
  const store: Store = {
    get: nothing,
    link: nothing,
    put: nothing,
    update: nothing,
    delete: nothing,
    traffic: nothing,
    health: nothing,
    list(_, signal) {
      asked.resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal?.addEventListener("abort", () => {
        left.resolve();
        reject(new StoreError("unavailable", "left"));
      });
      return promise;
    },
  };
  return { store, asked: asked.promise, left: left.promise };
}

describe("A list for somebody who has left", () => {
  it("is given up, and so are those that wait, and the next one comes", async () => {
    const table = tableOf(100_000);
    const leaving = new AbortController();
    const given = Array.from(
      { length: 50 },
      () => table.list({ q: "none", limit: 1000 }, leaving.signal),
    );
    const next = table.list({ q: "k99999" });
    await new Promise((resolve) => setTimeout(resolve));
    leaving.abort();
    for (const list of given) await assertRejects(() => list, StoreError, "whoever asked has left");
    assertEquals((await next).links.length, 1);
  });

  for (const path of [".all?order=hits", "api/links?q=x", ".export"]) {
    it(`is given up when the connection ends: /${path}`, async () => {
      const { store, asked, left } = waitingStore();
      const errors: unknown[] = [];
      const handle = handler({ store, base: "http://localhost", onError: (e) => errors.push(e) });
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (req) => handle(req),
      );
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
      await connection.write(
        new TextEncoder().encode(`GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      );
      await asked;
      connection.close();
      await left;
      await server.shutdown();
      assertEquals(errors, []);
    });
  }

  it("is given up by the thread that makes it for another", async () => {
    const { port1, port2 } = new MessageChannel();
    const { store, asked, left } = waitingStore();
    answerQuestions(port1, { store } as unknown as Service);
    port1.start();
    const asker = new Asker(port2);
    port2.start();
    const leaving = new AbortController();
    const list = asker.ask("list", {}, leaving.signal);
    await asked;
    leaving.abort();
    await left;
    await assertRejects(() => list, StoreError, "left");
    await assertRejects(
      async () => await asker.ask("list", {}, leaving.signal),
      StoreError,
      "left",
    );
    port1.close();
    port2.close();
  });
});
