/** A new certificate, while clients ask over HTTP/2 without a pause. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Authority, nameOf } from "./authority.ts";
import { breathe, eventually, type Goto, run, start, within } from "./processes.ts";
import { rounds } from "./rounds.ts";
import { tool, works } from "./tools.ts";

const ignore = Deno.build.os !== "linux" || !await works("openssl", "version");
// An older runtime leaves streams of HTTP/2 without an answer where it ends their connection.
const isOlder = !(await run("-version")).stdout.includes(`(deno ${Deno.version.deno},`);
if (isOlder) console.log("tests of HTTP/2 are ignored: the binary's runtime is another one");

const FORM = { "content-type": "application/x-www-form-urlencoded" };

/** The key of the link that an answer tells of. */
async function keyOf(response: Response): Promise<string> {
  const text = (await response.text()).trim();
  assertEquals(response.status, 200, text);
  return text.slice(text.lastIndexOf("/") + 1);
}

/** A form that is half sent, until `send()` sends the rest. */
function halfSent(url: string, post: (body: ReadableStream<Uint8Array>) => Promise<Response>) {
  const { promise: rest, resolve: send } = Promise.withResolvers<void>();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode("url=")),
    async pull(controller) {
      await rest;
      controller.enqueue(encoder.encode(encodeURIComponent(url)));
      controller.close();
    },
  });
  return { send, answer: post(body) };
}

/** Waits until each thread says that it has a new certificate, for the `count`-th time. */
async function renewed({ logs }: Goto, count: number): Promise<void> {
  await eventually(
    () => logs.filter(({ msg }) => msg === "there is a new certificate").length >= count,
    20_000,
  );
}

/** How many sockets listen at the port of a server. */
async function listeners({ url }: Goto): Promise<number> {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  const lines = (await tool("cat", "/proc/net/tcp")).stdout.split("\n");
  return lines.filter((line) => line.includes(`:${port} 00000000:0000 0A`)).length;
}

async function descriptors({ pid }: Goto): Promise<number> {
  return (await tool("ls", `/proc/${pid}/fd`)).stdout.split("\n").length;
}

/**
 * Makes links and follows them over one HTTP/2 connection, or the next, until it is told to stop. Who is
 * just connecting may meet a socket that closes, and tries again: it has not asked for anything yet.
 */
async function keepAsking(client: Deno.HttpClient, { url: base }: Goto, stop: { now: boolean }) {
  const keys: string[] = [];
  let resets = 0;
  const ask = async (path: string, init?: RequestInit): Promise<Response> => {
    for (;;) {
      const signal = AbortSignal.timeout(20_000);
      try {
        return await fetch(base + path, { ...init, client, redirect: "manual", signal });
      } catch (error) {
        if (!/client error \(Connect\)/.test(`${error}${(error as Error).cause}`)) throw error;
        assert(++resets < 1000, "it can't be reached any more");
      }
    }
  };
  while (!stop.now) {
    const url = `https://example.com/${Math.random()}`;
    const body = `url=${encodeURIComponent(url)}`;
    const key = await keyOf(await ask("/add", { method: "POST", headers: FORM, body }));
    keys.push(key);
    const followed = await ask(`/${key}`);
    await followed.body?.cancel();
    assertEquals([followed.status, followed.headers.get("location")], [302, url]);
    await breathe();
  }
  return keys;
}

it(
  "over HTTP/2 a link that is being sent as the certificate changes is made, and holds nobody up",
  { ignore },
  async () => {
    using authority = await Authority.make();
    await using master = await start(...authority.flags);
    using client = authority.client({ http1: false });
    const { send, answer } = halfSent("https://example.com/half", (body) => {
      return fetch(`${master.url}/add`, { client, method: "POST", headers: FORM, body });
    });
    try {
      await (await fetch(`${master.url}/healthz`, { client })).body?.cancel(); // over the same connection
      await authority.certify("second");
      await renewed(master, 1);
      await eventually(async () => await listeners(master) === 1, 8000); // before bodies over HTTP/1.1 would be given up
      for (let i = 0; i < 5; i++) assertEquals(await nameOf(master), "second");
    } finally {
      send();
    }
    assertMatch(await keyOf(await within(10_000, "the answer", answer)), /^\w+$/);
  },
);

it(
  "over HTTP/1.1 a link that is being sent as the certificate changes is made",
  { ignore },
  async () => {
    using authority = await Authority.make();
    await using master = await start(...authority.flags);
    using client = authority.client({ http2: false });
    const { send, answer } = halfSent("https://example.com/half", (body) => {
      return fetch(`${master.url}/add`, { client, method: "POST", headers: FORM, body });
    });
    try {
      await authority.certify("second");
      await renewed(master, 1);
      // New connections are taken by both, until the one before has all that it waits for.
      await eventually(async () => await nameOf(master) === "second");
    } finally {
      send();
    }
    await keyOf(await within(10_000, "the answer", answer));
    await eventually(async () => await listeners(master) === 1);
  },
);

for (const [threads, renewals] of [[1, rounds(6, 20)], [2, rounds(2, 3)]]) {
  it(
    `${renewals} new certificates leave nothing behind, and no request over HTTP/2 unanswered, -threads=${threads}`,
    { ignore: ignore || isOlder },
    async () => {
      using authority = await Authority.make();
      await using master = await start(...authority.flags, `-threads=${threads}`);
      using client = authority.client({ http1: false });
      const stop = { now: false };
      const clients = Promise.all(
        Array.from({ length: 4 }, () => keepAsking(client, master, stop)),
      );
      clients.catch(() => {}); // until it is awaited
      let before = 0;
      for (let i = 1; i <= renewals; i++) {
        await authority.certify(`certificate ${i}`);
        await Promise.race([renewed(master, i * threads), clients]);
        if (i > 1) continue;
        await eventually(async () => await listeners(master) === threads);
        before = await descriptors(master);
      }
      await eventually(async () => await listeners(master) === threads, 8000);
      for (let i = 0; i < 5; i++) assertEquals(await nameOf(master), `certificate ${renewals}`);
      await eventually(async () => await descriptors(master) <= before + 2);
      stop.now = true;
      const keys = (await within(20_000, "the clients", clients)).flat();
      assert(keys.length > renewals, `${keys.length} links`);
      assertEquals(new Set(keys).size, keys.length);
      assertEquals(master.logs.filter(({ level }) => level === "error"), []);
      // What was asked for once was done once.
      await master.stop();
      const { links } = await master.waitForLog(({ msg }) => msg === "stopped");
      assertEquals(links, keys.length);
    },
  );
}
