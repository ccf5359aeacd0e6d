/** Clients that break off what they asked for over HTTP/2. */
import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { it } from "@std/testing/bdd";
import { Authority } from "./authority.ts";
import { eventually, type Goto, start, within } from "./processes.ts";
import { works } from "./tools.ts";

const ignore = !await works("openssl", "version");

const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const END = 5; // END_STREAM and END_HEADERS
const CANCEL = [0, 0, 0, 8];

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Iterable<number>): Buffer {
  const body = Buffer.from([...payload]);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUIntBE(type, 3, 1);
  head.writeUIntBE(flags, 4, 1);
  head.writeUIntBE(stream, 5, 4);
  return Buffer.concat([head, body]);
}

/** Asks so many times for a path over one connection, each time breaks it off, and waits for the end. */
async function breakOff({ url }: Goto, ca: string, path: string, count: number): Promise<void> {
  const port = Number(new URL(url).port);
  const options = { hostname: "localhost", port, caCerts: [ca], alpnProtocols: ["h2"] };
  using connection = await Deno.connectTls(options);
  const text = (index: number, value: string) => [index, value.length, ...Buffer.from(value)];
  // GET, https, :path and :authority, as HPACK has them.
  const head = [0x82, 0x87, ...text(4, path), ...text(1, "localhost")];
  const frames = [
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(SETTINGS, 0, 0, []),
    ...Array.from({ length: count }, (_, n) => [
      frame(HEADERS, END, 2 * n + 1, head),
      frame(RST_STREAM, 0, 2 * n + 1, CANCEL),
    ]).flat(),
  ];
  const bytes = Buffer.concat(frames);
  const read = new Response(connection.readable).bytes().catch(() => {}); // until it is closed
  const writer = connection.writable.getWriter();
  await writer.write(bytes).catch(() => {}); // the server may have had enough
  await within(10_000, "the end of a connection", read);
}

it("streams of HTTP/2 that are broken off stop nobody, and write nothing to stderr", {
  ignore,
}, async () => {
  using authority = await Authority.make();
  const ca = await Deno.readTextFile(authority.ca);
  await using master = await start(...authority.flags);
  using client = authority.client();
  const resume = master.pauseReading(); // whoever reads stderr has stopped
  for (let n = 0; n < 20; n++) await breakOff(master, ca, n % 2 ? "/.export" : "/none", 200);
  await eventually(async () => {
    const signal = AbortSignal.timeout(2000);
    const response = await fetch(`${master.url}/healthz`, { client, signal });
    assertEquals([response.status, (await response.text()).trim()], [200, "ok"]);
  });
  resume();
  assertEquals((await master.stop()).code, 0);
  const strange = master.stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  assertEquals(strange, []);
});
