import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Batch, type Save } from "../journal/batch.ts";
import { formatLine } from "../journal/lines.ts";
import type { Link } from "../links/link.ts";
import { SLOT_BITS, Table, type TableMemory, TableReader } from "../links/table.ts";
import { MAX_SEGMENTS, SEGMENT_BITS } from "../links/writer.ts";
import { within } from "./processes.ts";
import { random } from "./random.ts";
import { rounds } from "./rounds.ts";
import type { Findings, Order } from "./testdata/reader.ts";

const DELETES = 7; // as in testdata/reader.ts, which belongs to workers

/** The memory of a table as it is now, as another thread has it. */
function memoryOf(table: Table): TableMemory {
  return structuredClone(table.memory);
}

it("Table does what a Map does, with any text for keys and URLs", () => {
  const { seed, pick } = random();
  const odd = ["", "a", "__proto__", "é", "ÿ", "Ā", "你好", "\ud800", "a\0b", "x".repeat(255)];
  odd.push("x".repeat(256), "é".repeat(300), "你".repeat(400));
  const key = () => pick(4) ? `k${pick(3000)}` : odd[pick(odd.length)];
  const urls = [
    () => `https://example.com/${pick(1e9)}`,
    () => "",
    () => odd[pick(odd.length)],
    () => "u".repeat(65_530 + pick(10)),
  ];
  // So that there are many segments, and many parts of slots.
  const table = new Table({ segmentBits: 18, partBits: 10 });
  const map = new Map<string, string>();
  const hidden = new Set<string>();
  let reader = new TableReader(memoryOf(table));
  table.share(() => reader = new TableReader(memoryOf(table)));
  for (let step = rounds(60_000, 500_000); step > 0; step--) {
    const context = `seed ${seed}, step ${step}`;
    const what = pick(20);
    const k = key();
    if (what < 6) {
      const url = urls[pick(100) ? pick(3) : 3]();
      table.set({ key: k, url });
      map.set(k, url);
      hidden.delete(k);
    } else if (what === 6) {
      table.drop(table.add({ key: k, url: "dropped" }));
    } else if (what === 7) {
      const hides = pick(2) === 0;
      table.hide(k, hides);
      if (!map.has(k)) continue;
      if (hides) hidden.add(k);
      else hidden.delete(k);
    }
    const shown = hidden.has(k) ? undefined : map.get(k);
    assertEquals(table.get(k), shown, context);
    assertEquals(table.peek(k)?.url, map.get(k), context);
    assertEquals(table.has(k), map.has(k), context);
    const read = reader.get(k);
    // Other threads don't see new keys while the table grows.
    assert(read === shown || read === undefined, context);
  }
  assertEquals(new Map(table), map, `seed ${seed}`);
  assertEquals(table.size, map.size);
  assertEquals(table.count, [...map].filter(([k, url]) => url !== "" && !hidden.has(k)).length);
  const seen = [...map.keys()].filter((k) => reader.get(k) !== undefined);
  assertEquals(seen.length, map.size - hidden.size, "a reader that is up to date sees all");
});

it("Table keeps thousands of keys apart that collide", () => {
  // With these constants the hash is that of the characters in any order.
  const table = new Table({ constants: { seed: 0, factor: 1 } });
  const keys: string[] = [];
  for (let i = 0; i < 2048; i++) {
    keys.push(i.toString(2).padStart(11, "0").replace(/./g, (bit) => bit === "0" ? "ab" : "ba"));
  }
  for (const [i, key] of keys.entries()) table.set({ key, url: `${i}` });
  for (const [i, key] of keys.entries()) assertEquals(table.get(key), `${i}`);
  assertEquals(table.get("ab".repeat(10) + "aa"), undefined);
  assertEquals(table.size, keys.length);
});

it("Table's hash is another one in each process, and spreads keys evenly", () => {
  assertEquals(new Table().constants, new Table().constants);
  const table = new Table();
  for (let i = 0; i < 100_000; i++) table.set({ key: i.toString(36), url: "u" });
  const [used] = table.memory.slots.parts;
  const mask = used.length / 2 - 1;
  let distance = 0;
  for (let i = 0; i <= mask; i++) {
    if (used[2 * i + 1] !== 0) distance += (i - (used[2 * i] & mask) + mask + 1) & mask;
  }
  // Linear probing, at a load of 0.38 to 0.75, needs 0.3 to 1.5 steps on average.
  assertLess(distance / 100_000, 2);
});

it("Table's slots become more part by part, and those that are split are let go one by one", () => {
  const table = new Table({ partBits: 11 });
  let { parts } = table.memory.slots;
  const counts: number[] = [];
  let atOnce = false;
  table.share(({ slots: { parts: now } }) => {
    if (now === parts) return;
    const [gone, come] = [parts.filter((part) => !now.includes(part)), now.length - parts.length];
    if (now.length > 1 && !atOnce) assertEquals([gone.length, come], [1, 1]);
    assert(now.every((part) => part.length <= 2 * 2 ** 11));
    parts = now;
    counts.push(now.length);
  });
  for (let i = 0; i < 49_000; i++) table.set({ key: `${i}`, url: `${i}` });
  for (let i = 0; i < 49_000; i++) assertEquals(table.get(`${i}`), `${i}`);
  assertEquals(table.size, 49_000);
  const several = counts.filter((count) => count > 1);
  assertEquals(several, Array.from({ length: 31 }, (_, i) => i + 2));
  atOnce = true; // where nobody waits
  table.reserve(100_000);
  assertEquals(parts.length, 128);
  for (let i = 0; i < 49_000; i++) assertEquals(table.get(`${i}`), `${i}`);
});

it("readers hear that a part was split, though there is no memory to split the next one", () => {
  const table = new Table({ partBits: 11 });
  let next = 0;
  while (table.memory.slots.parts.length < 5) table.set({ key: `${next++}`, url: "before" });
  table.set({ key: `${next++}`, url: "before" }); // which begins with the next one
  let memory = memoryOf(table);
  table.share(() => memory = memoryOf(table));
  const { SharedArrayBuffer } = globalThis;
  let refused = 0;
  globalThis.SharedArrayBuffer = new Proxy(SharedArrayBuffer, {
    construct() {
      refused++;
      throw new RangeError("Array buffer allocation failed");
    },
  });
  try {
    for (; refused === 0; next++) {
      try {
        table.set({ key: `${next}`, url: "before" });
      } catch (error) {
        assert(error instanceof RangeError);
      }
    }
    assertThrows(() => table.set({ key: "one more", url: "" }), RangeError, "allocation failed");
  } finally {
    globalThis.SharedArrayBuffer = SharedArrayBuffer;
  }
  assertEquals(memory.slots.parts.length, 6);
  for (let i = 0; i < 100; i++) table.set({ key: `${i}`, url: "after" });
  const reader = new TableReader(memory);
  for (let i = 0; i < 100; i++) assertEquals(reader.get(`${i}`), "after");
});

it("Table refuses what it can't hold before anything has changed", () => {
  const table = new Table({ segmentBits: 12 });
  table.set({ key: "a", url: "before" });
  assertThrows(() => table.add({ key: "a", url: "x".repeat(4096) }), RangeError, "too large");
  assertEquals([table.get("a"), table.size, table.count], ["before", 1, 1]);
  const largest = "x".repeat(4096 - 12 - 1);
  table.set({ key: "a", url: largest });
  assertEquals(table.get("a"), largest);
});

it("a table filled to its limit of keys refuses new ones before they are written, and goes on with the others", async () => {
  const table = new Table({ slotBits: 11 });
  const most = 2 ** 11 * 7 / 8;
  for (let i = 0; i < most - 1; i++) table.set({ key: `${i}`, url: "u" });
  /** Makes changes as a store does: gives what is written, and what each came to. */
  const commit = async (...changes: Save["wanted"][]) => {
    const done = changes.map(() => Promise.withResolvers<Link>());
    const saves = changes.map((wanted, i) => ({ wanted, ...done[i] }));
    const batch = new Batch(table, saves, { newKey: () => "made", made: () => undefined });
    batch.show((_, entry) => table.show(entry));
    batch.answer();
    const outcomes = await Promise.allSettled(done.map(({ promise }) => promise));
    return [
      batch.lines.replace(/,"Created":\d+/g, ""),
      outcomes.map((outcome) => outcome.status === "fulfilled" || `${outcome.reason.kind}`),
    ];
  };
  assertEquals(
    await commit({ key: "a", url: "x", isNew: true }, { key: "b", url: "y", isNew: true }),
    [formatLine({ key: "a", url: "x" }), [true, "full"]],
  );
  assertEquals(await commit({ url: "z", isNew: true }), ["", ["full"]]);
  assertEquals(
    await commit({ key: "a", url: "changed", isNew: false }, { key: "0", url: "", isNew: false }),
    [formatLine({ key: "a", url: "changed" }) + formatLine({ key: "0", url: "" }), [true, true]],
  );
  assertEquals([table.size, table.get("a"), table.get("0"), table.get("b")], [
    most,
    "changed",
    "",
    undefined,
  ]);
  assertEquals([SLOT_BITS, 2 ** SLOT_BITS * 7 / 8], [29, 469_762_048], "as docs/replicas.md says");
});

it("a table whose memory is full refuses before anything is written, and rewrites what is superseded", () => {
  const table = new Table({ segmentBits: 12, segments: 9 });
  const links = new Map<string, string>();
  const fill = () => {
    for (let i = 0;; i++) {
      try {
        table.set({ key: `${links.size}`, url: `https://example.com/${i}` });
        links.set(`${links.size}`, `https://example.com/${i}`);
      } catch (error) {
        if (error instanceof RangeError) return error.message;
        throw error;
      }
    }
  };
  assertEquals(fill(), "All memory for links is full");
  assert(table.bytes > 7.9 * 4096 && table.bytes <= 8 * 4096, `${table.bytes} bytes`);
  assertEquals(new Map(table), links);
  const ref = table.memory.segments.length;
  assertEquals(ref, 8, "one is left for rewriting");
  assertEquals([2 ** SEGMENT_BITS, MAX_SEGMENTS], [256 << 20, 128], "as docs/replicas.md says");
});

it("Table shows an entry only when it is told to, and counts what was superseded", () => {
  const table = new Table();
  const reader = new TableReader(memoryOf(table));
  const ref = table.add({ key: "a", url: "https://example.com/" });
  assertEquals([table.get("a"), reader.get("a"), table.size], [undefined, undefined, 0]);
  table.show(ref);
  assertEquals(table.superseded, 0);
  table.set({ key: "a", url: "https://example.com/" });
  assertEquals(table.superseded, 40);
  const hidden = table.add({ key: "a", url: "hidden" });
  table.show(hidden, true);
  assertEquals([table.get("a"), table.peek("a")?.url, table.count], [undefined, "hidden", 0]);
  table.hide("a", false);
  assertEquals([table.get("a"), table.count], ["hidden", 1]);
});

it("Table takes no more memory when its links are changed for ever, and loses none", () => {
  const { seed, pick } = random();
  const table = new Table({ segmentBits: 16 });
  const links = new Map<string, string>();
  const set = (key: string, url: string) => {
    table.set({ key, url });
    links.set(key, url);
  };
  let segments = 0; // the most at a time
  let freed = 0;
  let before: TableMemory["segments"] = [];
  table.share(({ segments: now }) => {
    freed += before.filter((bytes, i) => bytes !== undefined && bytes !== now[i]).length;
    before = [...now];
    segments = Math.max(segments, now.filter((bytes) => bytes !== undefined).length);
  });
  for (let i = 0; i < 2000; i++) set(`k${i}`, i % 7 ? `https://example.com/${i}` : "");
  const least = table.bytes - table.superseded;
  const waiting = table.add({ key: "waiting", url: "is still there" });
  for (let i = rounds(200_000, 500_000); i > 0; i--) {
    set(`k${pick(10) ? 1 : pick(1500)}`, `${i}/${"x".repeat(i % 90)}`);
  }
  assertEquals(new Map(table), links, `seed ${seed}`);
  assertEquals([table.size, table.count], [2000, [...links.values()].filter(Boolean).length]);
  table.show(waiting);
  assertEquals(table.get("waiting"), "is still there");
  assert(freed > 100, `${freed} segments were made free`);
  // Half of each may be superseded, but for the one that is written to and the one that waits.
  assertLess(table.bytes, 4 * least + 3 * 2 ** 16, `${table.bytes} bytes, ${least} at least`);
  assertLess(segments, 16);
});

it("a reader of a table that may not be read gets nothing", () => {
  const table = new Table();
  table.set({ key: "a", url: "u" });
  const reader = new TableReader(memoryOf(table));
  assertEquals(reader.get("a"), "u");
  table.readable = false;
  assertEquals([reader.get("a"), table.get("a")], [undefined, "u"]);
  for (let i = 0; i < 2000; i++) table.set({ key: `${i}`, url: "u" }); // it grows meanwhile
  assertEquals(new TableReader(memoryOf(table)).get("a"), undefined);
  table.readable = true;
  assertEquals(reader.get("a"), undefined, "that memory is out of date");
  assertEquals(new TableReader(memoryOf(table)).get("a"), "u");
});

it("what any thread reads was current between the start and the end of the read", async () => {
  const { seed, pick } = random();
  const KEYS = 20_000;
  const CHANGES = rounds(200_000, 1_000_000);
  const versions = new Int32Array(new SharedArrayBuffer(8 * KEYS));
  // So that many segments are made free under the readers, and many parts of slots split.
  const table = new Table({ segmentBits: 18, partBits: 11 });
  const workers: Worker[] = [];
  const found: Promise<Findings>[] = [];
  const tell = (worker: Worker, order: Order, ...transfer: MessagePort[]) =>
    worker.postMessage(order, transfer);
  /** Starts one more reader; resolves once it reads. */
  const begin = async () => {
    const worker = new Worker(import.meta.resolve("./testdata/reader.ts"), { type: "module" });
    const { port1, port2: port } = new MessageChannel();
    workers.push(worker);
    const reading = Promise.withResolvers<void>();
    const findings = Promise.withResolvers<Findings>();
    found.push(findings.promise);
    port1.onmessage = ({ data }) => {
      if (data === "reading") return reading.resolve();
      port1.close();
      findings.resolve(data);
    };
    worker.onerror = (event) => reading.reject(new Error(event.message));
    tell(worker, { kind: "begin", memory: table.memory, versions, keys: KEYS, port }, port);
    await within(60_000, "a reader", reading.promise);
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  let reused = 0; // segments whose numbers others had before
  let segments: TableMemory["segments"] = [];
  table.share((memory) => {
    reused += memory.segments.filter((bytes, i) =>
      bytes && segments[i] === undefined && i in segments
    )
      .length;
    segments = [...memory.segments];
    for (const worker of workers) tell(worker, { kind: "memory", memory });
  });
  try {
    await Promise.all([begin(), begin()]);
    let starting: Promise<void> | undefined;
    for (let change = 1; change <= CHANGES; change++) {
      // At first there are few keys, so that the table grows under its readers again and again.
      const n = pick(Math.max(1, Math.floor(KEYS * change / CHANGES)));
      if (pick(10) === 0) {
        table.hide(`key-${n}`, pick(2) === 0);
      } else {
        Atomics.store(versions, 2 * n + 1, change);
        const url = change % DELETES === 0 ? "" : `${n}/${change}/${"x".repeat(pick(40))}`;
        table.set({ key: `key-${n}`, url });
        Atomics.store(versions, 2 * n, change);
      }
      if (change === CHANGES / 2) starting = begin(); // one that starts in the midst of it
      if (change % 2000 === 0) await turn();
    }
    await starting;
    await turn();
    for (const worker of workers) tell(worker, { kind: "end" });
    const findings = await within(60_000, "the readers", Promise.all(found));
    let reads = 0;
    for (const { wrong, ...counts } of findings) {
      assertEquals(wrong, [], `seed ${seed}`);
      assert(counts.unanswered < counts.reads, `nothing was read: ${JSON.stringify(counts)}`);
      assert(counts.deleted > 0, `nothing was read that is deleted: ${JSON.stringify(counts)}`);
      reads += counts.reads;
    }
    assert(reused > 10, `${reused} segments took the place of others`);
    console.log(`seed ${seed}: ${CHANGES} changes, ${reused} segments reused, ${reads} reads`);
  } finally {
    for (const worker of workers) worker.terminate();
  }
});
