import { assert, assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { formatSum } from "../journal/checksum.ts";
import { crc32 } from "../journal/crc32.ts";
import { type Feed, openFeed, wholeLines } from "../journal/feed.ts";
import { FOLLOWER_BYTES } from "../journal/followers.ts";
import { Window } from "../journal/window.ts";
import { within } from "./processes.ts";
import { random } from "./random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function concat(chunks: Uint8Array[]): Uint8Array {
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
}

it("openFeed() starts over where the journal doesn't reach, or the checksum differs", async () => {
  const window = new Window(0);
  window.append(encoder.encode("one\ntwo\n"));
  const cases: [offset?: number, check?: string, at?: number][] = [
    [undefined, undefined, 8],
    [4, undefined, 4],
    [4, formatSum(crc32(encoder.encode("one\n"))), 4],
    [4, formatSum(crc32(encoder.encode("two\n"))), 0],
    [99, undefined, 0],
    [99, "", 0],
  ];
  for (const [offset, check, at] of cases) {
    const stream = await openFeed(window, offset, check);
    assertEquals([stream.offset, stream.size], [at, 8], `${offset} ${check}`);
    await stream.body.cancel();
  }
});

it("wholeLines() gives the same lines wherever their bytes are cut", async () => {
  const { seed, pick } = random();
  for (let round = 0; round < 200; round++) {
    // A blank line may come between any two lines.
    const lines = Array.from({ length: pick(30) }, () => `${"é".repeat(pick(4) * pick(40))}\n`);
    const bytes = encoder.encode(lines.join(""));
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const chunk = bytes.slice(at, at + 1 + pick(100));
      chunks.push(chunk);
      at += chunk.length;
    }
    const blocks = await Array.fromAsync(wholeLines(ReadableStream.from(chunks)));
    const context = `seed ${seed}, round ${round}`;
    assert(blocks.every((block) => block.length === 0 || block.at(-1) === 10), context);
    assertEquals(
      decoder.decode(concat(blocks)),
      lines.filter((line) => line !== "\n").join(""),
      context,
    );
    const blank = lines.filter((line) => line === "\n").length;
    assertEquals(blocks.filter((block) => block.length === 0).length, blank, context);
  }
});

it("wholeLines() refuses a line that has no end", async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(1 << 20));
      if (++sent === 100) controller.close();
    },
  });
  await assertRejects(() => Array.fromAsync(wholeLines(endless)), Error, "a line of over");
  assert(sent < 70, `${sent} MiB were read`);
});

it("wholeLines() takes the time that a long line needs, not its square", async () => {
  const chunk = new Uint8Array(16 << 10).fill(0x61);
  const chunks = Array.from({ length: 2000 }, () => chunk); // 32 MB; squared, 30 GB of copying
  const body = ReadableStream.from([...chunks, encoder.encode("\n")]);
  const [line] = await within(2000, "the line", Array.fromAsync(wholeLines(body)));
  assertEquals(line.length, 2000 * chunk.length + 1);
});

for (const most of [5000, 400_000, 1_500_000, 5_000_000]) {
  it(`Window shows the end of a feed that came in blocks of up to ${most} bytes`, async () => {
    const { seed, pick } = random();
    const start = pick(2) * 12_345; // of the window
    const log = new Uint8Array(start + 10_000_000);
    for (let at = 0; at < log.length; at += 100) log[at] = pick(256);
    const before = (offset: number) => formatSum(crc32(log.subarray(0, offset)));

    const window = new Window(start, before(start));
    for (let at = start, step = 0; at < log.length; step++) {
      const bytes = log.subarray(at, at + 1 + pick(most));
      window.append(bytes);
      at += bytes.length;
      if (step % 10 > 0 && at < log.length) continue;
      const context = `seed ${seed}, at ${at}`;
      assertEquals(window.size, at, context);
      assertEquals(await window.check(at), before(at), context);
      assertEquals(await window.check(at + 1), undefined, context);
      const length = Math.min(at - start, pick(1 << 20));
      const near = Math.max(at - Math.min(length, 900_000), start);
      assertEquals(await window.check(near), before(near), context);
      const seen: Uint8Array[] = [];
      for (let from = at - length; from < at; from += seen.at(-1)!.length) {
        const bytes = await window.read(from, 0);
        assert(bytes && bytes.length > 0, `${context}: what came ${at - from} bytes ago is gone`);
        assert(bytes.length <= FOLLOWER_BYTES, context);
        seen.push(bytes);
      }
      const all = await new Blob(seen.map((bytes) => bytes.slice())).bytes();
      assertEquals(crc32(all), crc32(log.subarray(at - length, at)), context);
    }
  });
}

it("Window lets a follower go that is too slow for it, and all when it ends", async () => {
  const window = new Window(0);
  window.append(new Uint8Array(3 << 20));
  assertEquals(await window.read(0, 0), undefined);
  const waiting = window.read(window.size, 60_000);
  window.end();
  assertEquals(await within(1000, "the end", waiting), undefined);
});

it("openFeed() reads no further than its follower", async () => {
  let reads = 0;
  const feed: Feed = {
    base: 0,
    kept: 0,
    size: 1 << 30,
    read: () => Promise.resolve(new Uint8Array(++reads)),
    check: () => Promise.resolve("check"),
  };
  const { body } = await openFeed(feed);
  const reader = body.getReader();
  assertEquals(reads, 0);
  assertEquals((await reader.read()).value?.length, 1);
  assertEquals(reads, 1);
  await reader.cancel();
  assertEquals(reads, 1);
});
