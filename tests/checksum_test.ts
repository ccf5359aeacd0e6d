/** The running checksum of a log, and what it shows. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import zlib from "node:zlib";
import { Checksum } from "../journal/checksum.ts";
import { NOT_WRITTEN } from "../journal/superseded.ts";
import { crc32 } from "../journal/crc32.ts";
import { openFeed } from "../journal/feed.ts";
import { Journal } from "../journal/journal.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { Table } from "../links/table.ts";
import { formatAbout, formatLine } from "../journal/lines.ts";
import { URLStore } from "../store.ts";
import { tempDir, within } from "./processes.ts";
import { random } from "./random.ts";
import { journal } from "./replicas.ts";

const encoder = new TextEncoder();

/** Reads a feed up to the position that it reached when it was opened. */
async function readFeed(store: URLStore): Promise<string> {
  const { offset, size, body } = await store.feed(0);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let at = offset;
  for await (const chunk of body) {
    chunks.push(new Uint8Array(chunk));
    at += chunk.length;
    if (at >= size) break;
  }
  return await new Blob(chunks).text();
}

it("crc32() gives what zlib does, wherever its bytes are cut", () => {
  const { seed, pick } = random();
  const bytes = Uint8Array.from({ length: 3000 }, () => pick(256));
  for (let round = 0; round < 200; round++) {
    const [from, to] = [pick(3000), pick(3000)].sort((a, b) => a - b);
    const cut = from + pick(to - from + 1);
    const both = crc32(bytes.subarray(cut, to), crc32(bytes.subarray(from, cut)));
    assertEquals(both, zlib.crc32(bytes.subarray(from, to)), `seed ${seed}, round ${round}`);
  }
  assertEquals(crc32(new Uint8Array(3 << 20)), zlib.crc32(new Uint8Array(3 << 20)));
});

describe("Checksum", () => {
  it("is the same wherever the lines are cut, and known at every point", () => {
    const { seed, pick } = random();
    const text = journal(20_000);
    const bytes = encoder.encode(text);
    const checksum = new Checksum();
    for (let at = 0; at < bytes.length;) {
      const end = text.indexOf("\n", Math.min(at + pick(90_000), text.length - 1)) + 1;
      assertEquals(checksum.append(bytes.subarray(at, end)), undefined);
      at = end;
    }
    assertEquals(checksum.sum, crc32(bytes), `seed ${seed}`);
    for (let round = 0; round < 50; round++) {
      const at = pick(bytes.length + 1);
      const { position, sum } = checksum.before(at)!;
      assert(position <= at && at - position <= 64 << 10);
      assertEquals(sum, crc32(bytes.subarray(0, position)), `seed ${seed}, at ${at}`);
    }
  });

  it("tells of a byte that was changed before a checksum in the lines", () => {
    const text = journal(30);
    const marked = text + formatAbout({ sum: crc32(encoder.encode(text)) }) + journal(1, 30);
    assertEquals(new Checksum().append(encoder.encode(marked)), undefined);
    const changed = marked.replace("example.com/3", "example.org/3");
    assertEquals(new Checksum().append(encoder.encode(changed)), text.length);
  });

  it("takes nothing else for a checksum, and counts every byte", () => {
    const text = `\ufeff{"Key":"a","URL":"b"}\n` +
      `{"Key":"ä","URL":"b","Note":${formatAbout({ sum: 1 }).trimEnd()}}\n` +
      `{"Key":"c","URL":"Sum"}\n`;
    const lines = text + formatAbout({ sum: crc32(encoder.encode(text)) });
    const checksum = new Checksum();
    assertEquals(checksum.append(encoder.encode(lines)), undefined);
    assertEquals(checksum.written, encoder.encode(text).length);
  });

  it("becomes another one where the lines of a compacted file were changed", () => {
    const lines = encoder.encode(journal(30));
    const start = { kept: 5000, sum: 0x12345678, fileSum: crc32(lines) };
    const about = formatAbout({ term: 1, base: 0, ...start });
    const base = start.kept - about.length - lines.length;
    const read = (text: string) => {
      const checksum = new Checksum();
      checksum.begin(base, 0, start);
      const wrong = checksum.append(encoder.encode(about + text));
      assertEquals(checksum.end, start.kept);
      return { wrong, sum: checksum.sum };
    };
    const text = journal(30);
    assertEquals(read(text), { wrong: undefined, sum: start.sum });
    const { wrong, sum } = read(text.replace("example.com/3", "example.org/3"));
    assertEquals(wrong, start.kept);
    assert(sum !== start.sum);
  });
});

describe("a log that is compacted while it is in use", () => {
  it("has in its feed the bytes of the file, however small that has become", async () => {
    const { seed, pick } = random();
    for (let round = 0; round < 10; round++) {
      using dir = tempDir();
      const path = `${dir.path}/store.jsonl`;
      const store = new URLStore(await Journal.open(path));
      await store.load();
      for (let compactions = 0; compactions < 3; compactions++) {
        const writes = Array.from({ length: 1 + pick(1500) }, async (_, i) => {
          const key = `k${pick(30)}`;
          const url = `https://example.com/${i}`;
          await store.put(url, key).catch(() => store.update(key, url));
        });
        await Promise.all(writes);
        const before = store.log.feed.sum;
        await store.log.compact();
        const message = `seed ${seed}, round ${round}`;
        assertEquals(store.log.feed.sum, before, message);
        assertEquals(await readFeed(store), await Deno.readTextFile(path), message);
        await store.put("https://example.com/", `new${compactions}`);
        assertEquals(await readFeed(store), await Deno.readTextFile(path), message);
      }
      const { sum, size, keys } = store.log.feed;
      await store.close();
      const again = new URLStore(await Journal.open(path));
      await again.load();
      const { feed } = again.log;
      assertEquals([feed.sum, feed.size, feed.keys], [sum, size, keys], `seed ${seed}`);
      await again.close();
    }
  });

  it("is not compacted where its file is not what was written", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, journal(50) + journal(50));
    const file = await Journal.open(path);
    await file.load(new LinkReader(new Table()));
    const text = await Deno.readTextFile(path);
    const changed = text.replace("example.com/7", "example.org/7");
    await Deno.writeTextFile(path, changed, { create: false });
    const refused = await file.compact().catch((error) => error.message);
    assertEquals(refused, `${path}: ${NOT_WRITTEN}`);
    assertEquals(await Deno.readTextFile(path), changed);
    await file.close();
  });

  it("bears a checksum at most once a MiB, and tells of a change in place when it is loaded", async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    const open = async () => {
      const warned: string[] = [];
      const events = (_: string, msg: string) => void warned.push(msg);
      const store = new URLStore(await Journal.open(path, { events }));
      await store.load();
      return { store, warned };
    };
    const { store } = await open();
    const url = `https://example.com/${"x".repeat(1000)}`;
    for (let i = 0; i < 30; i++) {
      await Promise.all(Array.from({ length: 100 }, () => store.put(url)));
    }
    await store.close();
    const text = await Deno.readTextFile(path);
    assertEquals(text.match(/^\{"Key":"","URL":"","Sum":"[\da-f]{8}"\}$/gm)?.length, 2);
    const again = await open();
    assertEquals(again.warned, []);
    await again.store.close();
    await Deno.writeTextFile(path, text.replace("xxx", "yyy"));
    const { warned, store: changed } = await open();
    assertEquals(warned.length, 1);
    assert(warned[0].startsWith("the file was changed in place"), warned[0]);
    // A compaction writes the checksums of what there is now.
    await changed.update("0", "https://example.com/");
    await changed.log.compact();
    await changed.close();
    const last = await open();
    assertEquals(last.warned, []);
    await last.store.close();
  });
});

it("a refused write wakes nobody who follows", async () => {
  using dir = tempDir();
  const store = new URLStore(await Journal.open(`${dir.path}/store.jsonl`));
  await store.load();
  await store.put("https://example.com/", "taken");
  const { body } = await openFeed(store.log.feed);
  const reader = body.getReader();
  const next = reader.read();
  for (let i = 0; i < 200; i++) {
    await store.put("https://example.com/", "taken").catch(() => {});
  }
  await store.put("https://example.com/new", "new");
  const { value } = await within(2000, "the change", next);
  assertEquals(
    new TextDecoder().decode(value).replace(/,"Created":\d+/, ""),
    formatLine({ key: "new", url: "https://example.com/new" }),
  );
  await reader.cancel();
  await store.close();
});
