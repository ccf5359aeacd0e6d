import { assert, assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { add, eventually, follow, Goto, start, tempDir, within } from "./processes.ts";
import { canTrace, trace } from "./tools.ts";

/** Posts from so many sides at once, until the program takes no more; gives the keys it gave. */
function load(base: string, sides: number): { keys: Map<string, string>; end: Promise<unknown> } {
  const keys = new Map<string, string>();
  const end = Promise.all(Array.from({ length: sides }, async (_, side) => {
    for (let i = 0; i < 100_000; i++) {
      const url = `https://example.com/${side}/${i}`;
      const key = await add(base, url).catch(() => undefined);
      if (key === undefined) return;
      keys.set(key, url);
    }
  }));
  return { keys, end };
}

/** A request whose body waits: it is in flight until `finish` is called. */
async function slowPost(base: string, key: string) {
  const { hostname, port } = new URL(base);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const body = `url=https://example.com/slow&key=${key}`;
  const head = `POST /add HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${body.length}\r\n` +
    "content-type: application/x-www-form-urlencoded\r\n\r\n";
  const encoder = new TextEncoder();
  await connection.write(encoder.encode(head + body.slice(0, 10)));
  return {
    async finish(): Promise<string> {
      await connection.write(encoder.encode(body.slice(10)));
      return await new Response(connection.readable).text();
    },
    [Symbol.dispose]() {
      try {
        connection.close();
      } catch {
        // `finish` has read it to its end.
      }
    },
  };
}

const shuttingDown = (master: Goto) => master.waitForLog(({ msg }) => msg === "shutting down");

describe("a signal to end", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it(`${signal} under load: exit 0, and every link that was acknowledged is on disk`, async () => {
      using dir = tempDir();
      await using master = await start({ cwd: dir.path });
      const { keys, end } = load(master.url, 16);
      await eventually(() => keys.size > 200);
      master.kill(signal);
      const { code } = await within(20_000, "the end", master.status);
      assertEquals(code, 0, master.stderr);
      await within(20_000, "the posts", end);
      assertGreater(keys.size, 200);

      const text = await Deno.readTextFile(`${dir.path}/store.jsonl`);
      const links = new Map<string, string>();
      for (const line of text.trimEnd().split("\n")) {
        const { Key, URL } = JSON.parse(line);
        links.set(Key, URL);
      }
      assertEquals([...keys].filter(([key, url]) => links.get(key) !== url), []);
      assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["store.jsonl"]);
      await master.begin();
      assertEquals(master.logs.filter(({ level }) => level !== "info"), []);
      assertEquals(master.links, links.size);
    });
  }

  it("lets what is in flight finish, and takes nothing new", async () => {
    await using master = await start();
    using post = await slowPost(master.url, "slow");
    // Served, in part: a request behind it on another connection has been answered.
    await follow(master.url, "unknown");
    master.kill("SIGTERM");
    await shuttingDown(master);
    await eventually(async () =>
      await add(master.url, "https://example.com/").then(() => false, () => true)
    );
    const answer = await within(5000, "an answer", post.finish());
    assert(answer.startsWith("HTTP/1.1 200"), answer);
    assertEquals((await within(5000, "the end", master.status)).code, 0);
    await master.begin();
    assertEquals((await follow(master.url, "slow")).location, "https://example.com/slow");
  });

  it("given twice ends the program at once, whatever is in flight", async () => {
    await using master = await start();
    using _ = await slowPost(master.url, "slow");
    await follow(master.url, "unknown");
    const begin = performance.now();
    master.kill("SIGINT");
    await shuttingDown(master);
    // One that follows within 100 ms counts as the same: `deno task` passes on what a terminal sends.
    await eventually(() => {
      master.kill("SIGINT");
      return within(50, "the end", master.status).then(() => true);
    }, 5000);
    assertEquals((await master.status).code, 130);
    assert(performance.now() - begin < 5000);
  });

  it("exits 1 where the last sync fails (needs strace)", { ignore: !canTrace }, async () => {
    using dir = tempDir();
    await using master = await start({ cwd: dir.path }, "-sync=none");
    await add(master.url, "https://example.com/");
    const fault = ["-P", `${dir.path}/store.jsonl`, "-e", "inject=fdatasync:error=EIO"];
    await using _ = await trace(master.pid, ...fault);
    master.kill("SIGTERM");
    assertEquals((await within(20_000, "the end", master.status)).code, 1);
    assert(/\ngoto: .*Input\/output error/.test(master.stderr), master.stderr);
    assertEquals(master.stderr.includes("    at "), false);
  });

  it("ends a long load, since nobody was promised anything yet", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const line = `{"Key":"a","URL":"https://example.com/"}\n`;
    await Deno.writeTextFile(path, line.repeat(1_000_000));
    const master = new Goto([], { cwd: dir.path });
    const begun = master.begin().catch(() => {});
    await eventually(() => Deno.stat(`${path}.pid`)); // it has its file, and begins to read it
    master.kill("SIGTERM");
    assertEquals((await within(20_000, "the end", master.status)).code, 0);
    await begun;
    assertEquals(master.logs.filter(({ msg }) => msg === "serving"), []);
    assertEquals((await Deno.stat(path)).size, 1_000_000 * line.length);
  });
});
