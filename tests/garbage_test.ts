/** What must outlive a garbage collection. */
import { assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BLANK } from "../journal/feed.ts";
import { HTTPTransport } from "../replica/transport.ts";
import { within } from "./processes.ts";

setFlagsFromString("--expose-gc");
const gc: (() => void) | undefined = runInNewContext("globalThis.gc");
if (!gc) console.log("garbage_test.ts is ignored: this Deno does not let a program call gc()");

it("a feed that is followed ends with its signal", { ignore: !gc }, async () => {
  // A master where nothing happens
  const log = new TransformStream<Uint8Array>();
  const serving = log.writable.getWriter();
  serving.write(BLANK).catch(() => {});
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(log.readable, { headers: { "goto-log-offset": "0", "goto-log-size": "0" } }),
  );
  const closed = new AbortController();
  const follow = async () => {
    const transport = new HTTPTransport(`http://127.0.0.1:${server.addr.port}`);
    const { body } = await transport.feed(0, undefined, AbortSignal.any([closed.signal]));
    return body.getReader();
  };
  try {
    const reader = await follow();
    assertEquals((await reader.read()).value, BLANK);
    const end = reader.read(); // which comes only with the signal
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve)); // nothing on the stack holds on to it
      gc!();
    }
    closed.abort(new Error("closed"));
    await assertRejects(() => within(5000, "the end of the feed", end), Error, "closed");
  } finally {
    await serving.close().catch(() => {}); // so that the server ends where the feed did not
  }
});
