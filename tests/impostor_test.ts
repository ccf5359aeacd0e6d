/** What answers at a master's address, but is no master, or not the one that it was. */
import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { it } from "@std/testing/bdd";
import { formatAbout } from "../journal/lines.ts";
import { Seldom } from "../links/wait.ts";
import { type Here, startHere } from "./here.ts";
import { eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { freePort, journal, ready, where } from "./replicas.ts";

const encoder = new TextEncoder();
const SIZE = journal(10).length;

/** A server in a master's place: it answers as `answer` says, and counts what it is asked. */
class Impostor implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly url: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (path: string, asked: number, query: URLSearchParams) => Response) {
    const onListen = () => {};
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, async (req) => {
      const { pathname, searchParams } = new URL(req.url);
      await req.text();
      this.asked.push(pathname);
      return answer(pathname, this.asked.length, searchParams);
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose]() {
    await this.#server.shutdown();
  }
}

/** A health as a master gives it. */
function health(position: number, more = {}): Response {
  const result = { ready: true, position, ...more };
  const headers = { "goto-position": `${position}` };
  return Response.json({ jsonrpc: "2.0", id: 0, result }, { headers });
}

/** The head of a feed, and what comes over it. */
function feed(offset: number, size: number, body: BodyInit | null): Response {
  return new Response(body, {
    headers: { "goto-log-offset": `${offset}`, "goto-log-size": `${size}` },
  });
}

/** What it warned of. */
function told({ logs }: Goto | Here): string[] {
  return logs.filter(({ level }) => level !== "info").map(({ msg, reason }) => `${msg}: ${reason}`);
}

const pages: [name: string, answer: () => Response][] = [
  [
    "a page",
    () => new Response("<h1>Back soon</h1>", { headers: { "content-type": "text/html" } }),
  ],
  ["nothing", () => new Response("")],
  ['""', () => Response.json("")],
  ["an empty result", () => Response.json({ jsonrpc: "2.0", id: 0, result: "" })],
  ["no object", () => Response.json({ jsonrpc: "2.0", id: 0, result: [] })],
  ["another place", () => new Response(null, { status: 302, headers: { location: "/elsewhere" } })],
];

for (const [name, answer] of pages) {
  it(`a mirror keeps its copy when ${name} answers at its master's address`, async () => {
    using dir = tempDir();
    const file = `${dir.path}/mirror.jsonl`;
    await Deno.writeTextFile(file, journal(10));
    await using impostor = new Impostor(answer);
    await using mirror = await startHere(
      { cwd: dir.path },
      `-master=${impostor.url}`,
      `-file=${file}`,
    );
    await mirror.waitForLog(({ msg }) => msg === "lost the master");
    // For so long that what is done again and again shows.
    await eventually(() => impostor.asked.length >= 6);
    const { status, complete, reason, links } = await ready(mirror.url);
    assertEquals({ status, complete, reason, links }, {
      status: 200,
      complete: true,
      reason: "master out of reach",
      links: 10,
    });
    assertEquals(await where(mirror.url, "7"), "https://example.com/7");
    assertEquals(await Deno.readTextFile(file), journal(10));
    assertEquals(told(mirror).length, 1, mirror.stderr);
    // Once, at the start, it looks whether that is a database, of which there are no mirrors.
    assertLessOrEqual(impostor.asked.filter((path) => path === "/rpc/log").length, 1);
    assert(!impostor.asked.includes("/elsewhere"));
  });
}

it("a replica takes no empty URL for a link", async () => {
  await using impostor = new Impostor((path) => {
    if (path === "/rpc/log") return feed(0, 0, new ReadableStream());
    return Response.json([{ jsonrpc: "2.0", id: 0, result: "" }]);
  });
  await using good = new Impostor((path, asked) => {
    if (path === "/rpc/log") return feed(0, 0, new ReadableStream());
    return asked === 1 ? health(0) : Response.json([{ jsonrpc: "2.0", id: 0, result: "" }]);
  });
  for (const { url } of [impostor, good]) {
    await using replica = await startHere(`-master=${url}`);
    assertEquals((await follow(replica.url, "k")).status, 503);
  }
});

const smaller: [name: string, text: string][] = [
  ["an empty", ""],
  ["a shorter", journal(9)],
  ["another, smaller", journal(8, 500)],
];

for (const [name, text] of smaller) {
  it(`a mirror keeps its copy when the master comes back with ${name} journal`, async () => {
    using dir = tempDir();
    const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
    await Deno.writeTextFile(file, journal(10));
    await using master = await start({ cwd: dir.path }, "-rpc");
    await using mirror = await start({ cwd: dir.path }, `-master=${master.url}`, `-file=${copy}`);
    await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
    for (let twice = 0; twice < 2; twice++) {
      master.kill("SIGKILL");
      await master.status;
      await Deno.writeTextFile(file, text);
      await master.restart();
      const { reason } = await mirror.waitForLog(({ msg }) => msg === "refused the master");
      const [, mine, its] = /ends at (\d+), and this copy at (\d+)/.exec(reason)!.map(Number);
      assertEquals([mine, its], [text.length, journal(10).length], reason);
      assertEquals(await where(mirror.url, "9"), "https://example.com/9");
      const health = await ready(mirror.url);
      assertEquals([health.status, health.reason], [200, "master out of reach"]);
    }
    assertEquals(await Deno.readTextFile(copy), journal(10));

    // Asked for, it is taken over.
    await master.stop();
    await using promoted = await start({ cwd: dir.path }, "-rpc", "-promote", `-file=${file}`);
    await mirror.stop();
    await using again = await start(
      { cwd: dir.path },
      `-master=${promoted.url}`,
      `-file=${copy}`,
    );
    await again.waitForLog(({ msg }) => msg === "the mirror is complete");
    assertEquals(await Deno.readTextFile(copy), await Deno.readTextFile(file));
    const olds = [...Deno.readDirSync(dir.path)].filter(({ name }) => /\.old-/.test(name));
    assertEquals(olds.length, 1);
    assertEquals(await Deno.readTextFile(`${dir.path}/${olds[0].name}`), journal(10));
  });
}

it("a mirror keeps the copies that others replaced, five of them, and the largest for good", async () => {
  using dir = tempDir();
  const [file, copy] = [`${dir.path}/store.jsonl`, `${dir.path}/copy.jsonl`];
  const texts = [3000, 20, 30, 40, 50, 60, 70].map((count, i) => journal(count, 1000 * i));
  await Deno.writeTextFile(file, texts[0]);
  const address = `-http=127.0.0.1:${freePort()}`;
  for (const [i, text] of texts.entries()) {
    // Each is of a later term than the one before, as after a `-promote`.
    await Deno.writeTextFile(file, text + formatAbout({ term: i + 2 }));
    await using master = await startHere({ cwd: dir.path }, address, "-rpc");
    await using mirror = await startHere(
      { cwd: dir.path },
      `-master=${master.url}`,
      `-file=${copy}`,
    );
    await mirror.waitForLog(({ msg }) => msg === "the mirror is complete", 20_000);
  }
  const olds = [...Deno.readDirSync(dir.path)].map(({ name }) => name)
    .filter((name) => name.startsWith("copy.jsonl.old-")).sort();
  assertEquals(olds.length, 5, `${olds}`);
  const starts = await Promise.all(olds.map(async (name) => {
    const text = await Deno.readTextFile(`${dir.path}/${name}`);
    return texts.findIndex((whole) => text.startsWith(whole));
  }));
  assertEquals(starts, [0, 2, 3, 4, 5]);
});

/** Feeds that never bring anything, or nothing good. */
const feeds: [name: string, answer: () => Response][] = [
  ["blank lines as fast as it can", () => {
    const blanks = new Uint8Array(64 << 10).fill(10);
    return feed(
      SIZE,
      SIZE,
      new ReadableStream({ pull: (controller) => controller.enqueue(blanks) }),
    );
  }],
  ["blank lines in place of what it promises", () => {
    const body = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.enqueue(encoder.encode("\n"));
      },
    }, { highWaterMark: 0 });
    return feed(SIZE, 10_000, body);
  }],
  ["an end at once", () => feed(SIZE, SIZE, "")],
  ["a bad line", () => feed(SIZE, SIZE, "\nwhat?\n")],
  ["half a line", () => feed(SIZE, SIZE, '\n{"Key":"7","URL":"https://exa')],
  ["a position that can't be", () => feed(SIZE, 3, "\n")],
  ["a head without positions", () => new Response("\n")],
];

for (const [name, answer] of feeds) {
  it(`a mirror asks seldom, and says once, where the feed brings ${name}`, async () => {
    using dir = tempDir();
    const file = `${dir.path}/mirror.jsonl`;
    await Deno.writeTextFile(file, journal(10));
    await using impostor = new Impostor((path) => path === "/rpc/log" ? answer() : health(SIZE));
    await using mirror = await startHere(
      { cwd: dir.path },
      `-master=${impostor.url}`,
      `-file=${file}`,
    );
    await mirror.waitForLog(({ msg }) => msg === "lost the master's feed");
    const before = impostor.asked.length;
    const began = performance.now();
    await eventually(() => impostor.asked.length >= before + 12, 20_000);
    // At 50 ms, 100, 200 and so on up to 2 s between two tries, half of that at least.
    const seconds = (performance.now() - began) / 1000;
    assertGreater(seconds, 0.8, `12 requests in ${seconds} s`);
    assertEquals(told(mirror).length, 1, mirror.stderr);
    assertEquals(await Deno.readTextFile(file), journal(10));
    assertEquals(await where(mirror.url, "7"), "https://example.com/7");
  });
}

it("a copy that breaks off again and again is gone on with, and told of once", async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(file, journal(10, 500));
  const text = journal(1000);
  const sent: number[] = [];
  await using impostor = new Impostor((path, _, query) => {
    if (path !== "/rpc/log") return health(text.length);
    const offset = query.get("offset");
    if (offset === "end") return feed(0, 0, "");
    // Only the part of it is known here: what the mirror has is another journal's.
    const at = Number(offset) === journal(10, 500).length ? 0 : Number(offset);
    sent.push(at);
    return feed(at, text.length, text.slice(at, at + 1000));
  });
  await using mirror = await startHere(
    { cwd: dir.path },
    `-master=${impostor.url}`,
    `-file=${file}`,
  );
  await eventually(() => sent.filter((at) => at > 0).length >= 5, 20_000);
  assertEquals(told(mirror).length, 2, mirror.stderr);
  assertEquals(
    sent.filter((at) => at > 0),
    [...new Set(sent.filter((at) => at > 0))].sort((a, b) => a - b),
  );
  assertEquals(await Deno.readTextFile(file), journal(10, 500));
});

it("a mirror's copy stays when the master's journal shrinks while it is copied", async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await Deno.writeTextFile(file, journal(10, 500));
  const size = journal(10, 500).length;
  const small = journal(1);
  // It shows a larger journal, or one of a later term, until that is to be copied.
  const heads = [{ size: 10 * size, term: 1 }, { size: small.length, term: 2 }];
  for (const head of heads) {
    for (const later of [{ size: 0, term: 1, text: "\n" }, { ...head, text: small + "\n" }]) {
      let copies = 0;
      await using impostor = new Impostor((path, _, query) => {
        if (path !== "/rpc/log") return health(head.size, { term: head.term });
        const isCopy = query.get("offset") !== "end" && Number(query.get("offset")) !== size;
        if (isCopy) copies++;
        const { size: end, term } = isCopy ? later : head;
        const at = Math.min(Number(query.get("offset")) || 0, isCopy ? end : 0);
        const text = isCopy ? later.text.slice(at) : "\n";
        const response = feed(at, isCopy ? Math.min(end, small.length) : end, text);
        response.headers.set("goto-log-term", `${term}`);
        return response;
      });
      await using mirror = await startHere(
        { cwd: dir.path },
        `-master=${impostor.url}`,
        `-file=${file}`,
      );
      await mirror.waitForLog(({ msg }) => msg === "lost the master's feed");
      await eventually(() => copies >= 1);
      await mirror.stop();
      assertEquals(await Deno.readTextFile(file), journal(10, 500), mirror.stderr);
      await Deno.remove(`${file}.part`).catch(() => {});
    }
  }
});

it("Seldom lets ever longer times pass, up to the longest, and begins anew after a quiet time", () => {
  const seldom = new Seldom(1000, 4000);
  const times: [now: number, due: boolean][] = [
    [0, true],
    [999, false],
    [1000, true],
    [2999, false],
    [3000, true],
    [6999, false],
    [7000, true],
    [10_999, false],
    [11_000, true],
    [19_001, true], // after more than twice the longest
    [20_000, false],
    [20_001, true],
  ];
  for (const [now, due] of times) assertEquals(seldom.due(now), due, `${now}`);
});

it("two masters behind one address cost a few copies, not one after the other", async () => {
  using dir = tempDir();
  const copy = `${dir.path}/copy.jsonl`;
  const texts = [journal(20, 100), journal(20, 500)];
  // Each request meets the other one, in turn.
  await using impostor = new Impostor((path, asked) => {
    const text = texts[asked % 2];
    if (path !== "/rpc/log") return health(1000);
    return feed(
      0,
      text.length,
      new ReadableStream({
        start: (controller) => {
          controller.enqueue(encoder.encode(text));
          if (asked % 3 === 0) controller.close();
        },
      }),
    );
  });
  await using mirror = await startHere(
    { cwd: dir.path },
    `-master=${impostor.url}`,
    `-file=${copy}`,
  );
  await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
  await new Promise((resolve) => setTimeout(resolve, 5000)); // it is the rate that counts
  const count = (what: RegExp) => mirror.logs.filter(({ msg }) => what.test(msg)).length;
  assertLessOrEqual(count(/is complete/), 5, mirror.stderr);
  assertLessOrEqual(mirror.logs.length, 14, mirror.stderr);
  assertLessOrEqual(impostor.asked.length, 60);
});

it("a mirror on a full disk asks seldom, and says so once", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(file, journal(20));
  await using master = await start({ cwd: dir.path }, "-rpc", "-access");
  const through = ["sh", "-c", 'ulimit -f 4; exec "$0" "$@"']; // 2 or 4 KiB
  for (const flag of ["mirror.jsonl", "unfinished.jsonl"]) {
    const unfinished = flag === "unfinished.jsonl";
    if (unfinished) await fill(master);
    await using mirror = await start(
      { cwd: dir.path, through },
      `-master=${master.url}`,
      `-file=${flag}`,
    );
    if (!unfinished) {
      await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
      await fill(master);
    }
    await mirror.waitForLog(({ msg }) => msg === "cannot write");
    const before = master.logs.length;
    await new Promise((resolve) => setTimeout(resolve, 4000)); // it is the rate that counts
    const requests = master.logs.slice(before).map(({ method, url }) => `${method} ${url}`);
    // Those of its start, which are written late, and signs of life after 50 ms, 100, 200 ... 2000.
    assertLessOrEqual(requests.length, 20, `${flag}: ${requests}`);
    assertEquals(told(mirror), ["cannot write: File too large"]);
  }

  async function fill(master: Goto) {
    const lines = Array.from({ length: 200 }, (_, i) => ({
      jsonrpc: "2.0",
      id: i,
      method: "Store.Put",
      params: [`https://example.com/${i}`],
    }));
    const response = await fetch(`${master.url}/rpc`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(lines),
    });
    assertEquals(response.status, 200);
    await response.text();
  }
});
