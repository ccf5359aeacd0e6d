/** What is written to stderr, whoever reads it, or doesn't. */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { LineWriter } from "../cli/stderr.ts";
import { printable } from "../links/text.ts";
import { add, eventually, follow, type Goto, run, start, tempDir, within } from "./processes.ts";

const LONG = "x".repeat(3000); // a line that a pipe takes in one piece

/** Asks for so many unknown keys, one after the other: each makes a long line with `-access`. */
async function ask(base: string, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const response = await fetch(`${base}/unknown?${i}-${LONG}`, {
      signal: AbortSignal.timeout(10_000),
    });
    assertEquals([response.status, await response.text()], [404, "key not found\n"]);
  }
}

/** The numbers of the requests that were told of, in their order. */
function told(goto: Goto): number[] {
  return goto.logs.flatMap(({ url = "" }) => {
    const [, number] = /\/unknown\?(\d+)-/.exec(url) ?? [];
    return number === undefined ? [] : [Number(number)];
  });
}

describe("a stderr that nobody reads", () => {
  for (const flags of [["-access"], ["-access", "-threads=2"]]) {
    it(`neither stops answers nor SIGTERM, with ${flags.join(" ")}`, async () => {
      await using master = await start(...flags);
      const key = await add(master.url, "https://example.com/");
      const resume = master.pauseReading();
      try {
        await Promise.all(
          Array.from({ length: 8 }, (_, i) => ask(master.url, i * 125, i * 125 + 125)),
        );
        assertEquals((await follow(master.url, key)).status, 302);
        await add(master.url, "https://example.com/2");
        master.kill("SIGTERM");
        // It ends though what reads its stderr is still there, and does not read.
        await eventually(() => master.exited);
      } finally {
        resume();
      }
      assertEquals((await within(10_000, "the end", master.status)).code, 0);
      await master.begin();
      assertEquals(master.links, 2);
    });
  }

  it("loses events from one place only, which tells how many, and keeps the others in order", async () => {
    await using master = await start("-access");
    const resume = master.pauseReading();
    await ask(master.url, 0, 800); // 2.4 MB: more than the pipe holds and what waits for it
    resume();
    const { count } = await master.waitForLog(({ msg }) =>
      msg === "dropped events that nobody read"
    );
    await ask(master.url, 800, 820);
    await master.waitForLog(({ url = "" }) => url.includes("?819-"));
    const numbers = told(master);
    assertEquals(numbers, numbers.toSorted((a, b) => a - b));
    assertEquals(numbers.length + count, 820);
    assertGreater(count, 50);
    assertGreater(numbers.length, 250); // a MiB of them
    const gaps = numbers.filter((number, i) => i > 0 && number !== numbers[i - 1] + 1);
    assertEquals(gaps.length, 1);
    const at = master.logs.findIndex(({ msg }) => msg.startsWith("dropped"));
    assert(master.logs[at + 1].url.includes(`?${gaps[0]}-`), "the gap is where it is told of");
    assertEquals(master.logs.filter(({ msg }) => msg.startsWith("dropped")).length, 1);
  });

  for (const kind of ["error", "rejection"]) {
    it(`lets a crash by an uncaught ${kind} end the program`, async () => {
      const child = crash(kind, 50_000);
      const { code } = await within(10_000, "the end", child.status);
      assertEquals(code, 1);
      await child.stderr.cancel();
    });
  }
});

function crash(kind: string, events: number): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `${import.meta.dirname}/testdata/crash.ts`, kind, `${events}`],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

it("all events before an error that nobody catches are written, and the error", async () => {
  for (const kind of ["error", "rejection"]) {
    const { code, stderr } = await within(10_000, "the end", crash(kind, 5000).output());
    const lines = new TextDecoder().decode(stderr).split("\n");
    assertEquals(code, 1);
    assertMatch(lines[4999], / event i=4999$/);
    assertEquals(lines[5000], "goto: uncaught: Error: nobody caught this");
  }
});

it("events of several threads don't cut each other's lines", async () => {
  await using master = await start("-access", "-threads=3");
  const number = 900;
  await Promise.all(
    Array.from({ length: 9 }, (_, i) => ask(master.url, i * number / 9, (i + 1) * number / 9)),
  );
  await eventually(() => told(master).length === number); // each line was JSON by itself
});

it("what a terminal would obey is escaped in events, in either form, and in complaints", async () => {
  await using master = await start("-access");
  const { hostname, port } = new URL(master.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const attack = "/\u009b31m\u202e\u2066\u200b\ufeff\u{e0041}\u00e9";
  await connection.write(new TextEncoder().encode(`GET ${attack} HTTP/1.1\r\nhost: h\r\n\r\n`));
  const { url } = await master.waitForLog(({ url }) => url !== undefined && url !== master.url);
  assertEquals(url, `http://h${attack}`); // JSON gives back what was escaped
  assertEquals(master.stderr.match(/[^ -~\n]/g), ["\u00e9"]);

  using dir = tempDir();
  const file = "\u009b31m\u202e.jsonl";
  await Deno.writeTextFile(`${dir.path}/${file}`, '{"Key":"\u009b\u0007');
  const torn = await run({ cwd: dir.path }, `-file=${file}`, "-compact", "-log=text");
  assertEquals(torn.code, 0);
  assertMatch(torn.stderr, /file="\\u009b31m\\u202e\.jsonl" /);
  assertEquals(torn.stderr.match(/[^ -~\n]/g), null);
  const complaint = await run(`-keys=${file}\u001b[31m`);
  assertEquals(complaint.stderr.match(/[^ -~\n]/g), null);
  assertMatch(complaint.stderr, /^goto: -keys: "\\u009b31m\\u202e\.jsonl\\u001b\[31m" is not/);
});

it("printable() leaves alone what can be seen", () => {
  for (const text of ["", "a b~", "äöü 漢字 🎉 ½", "a\u00a0b"]) assertEquals(printable(text), text);
  assertEquals(printable("a\nb\x7f\u2028\ud800"), "a\\u000ab\\u007f\\u2028\\ud800");
});

it("LineWriter tries again where a terminal has no room, and goes on where nobody reads", async () => {
  const faults = [new Deno.errors.WouldBlock(), new Deno.errors.BrokenPipe(), undefined];
  let text = "";
  const writer = new LineWriter({
    write(bytes) {
      const fault = faults.shift();
      if (fault) return Promise.reject(fault);
      text += new TextDecoder().decode(bytes.subarray(0, 2)); // in pieces
      return Promise.resolve(Math.min(2, bytes.length));
    },
  });
  writer.write("lost\n");
  writer.write("one\n");
  writer.write("two\n");
  await writer.flush(5000);
  assertEquals(text, "one\ntwo\n1 lines were dropped\n");
});

it("LineWriter gathers lines, and keeps their order with those that are written at once", async () => {
  const written: string[] = [];
  const writer = new LineWriter({
    write: (bytes) => {
      written.push(new TextDecoder().decode(bytes));
      return Promise.resolve(bytes.length);
    },
  });
  writer.gather("a\n");
  writer.gather("b\n");
  assertEquals(written, [], "they wait for more");
  writer.write("c\n");
  writer.gather("d\n");
  await writer.flush(10_000);
  assertEquals(written.join(""), "a\nb\nc\nd\n");
  written.length = 0;
  writer.gather("e\n");
  await eventually(() => written.join("") === "e\n");
  written.length = 0;
  for (let i = 0; i < 20_000; i++) writer.gather(`${i} is a line\n`);
  await writer.flush(10_000);
  assertEquals(written.join("").split("\n").length, 20_001);
  assert(written.length < 10, `${written.length} writes`);
});

it("-access tells of each request of all threads in a whole line", async () => {
  await using server = await start("-access", "-threads=3");
  const { hostname, port, host } = new URL(server.url);
  const request = new TextEncoder().encode(`GET /none HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  const each = 500;
  await Promise.all(Array.from({ length: 12 }, async () => {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
    for (let i = 0; i < each; i++) {
      await connection.write(request);
      for (let text = ""; !text.includes("key not found");) text += (await reader.read()).value;
    }
    await reader.cancel();
  }));
  const told = () =>
    server.logs.filter(({ status, url }) => status === 404 && url.endsWith("/none"));
  await eventually(() => told().length === 12 * each);
  assertEquals(server.stderr.split("\n").filter((line) => !/^(\{.*\})?$/.test(line)), []);
});
