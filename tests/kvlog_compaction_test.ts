/** Snapshots of a log in a database. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Checksum, formatSum } from "../journal/checksum.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { KVLog } from "../kv/log.ts";
import { Layout } from "../kv/rows.ts";
import { Table } from "../links/table.ts";
import { Restorable, share } from "./kvlog_faults.ts";
import { eventually } from "./processes.ts";

const line = (key: string, url: string) => `{"Key":"${key}","URL":"${url}"}\n`;
const layout = new Layout("links");
const signal = AbortSignal.timeout(60_000);

async function open(database: ConstructorParameters<typeof KVLog>[0], keepMs = 60_000) {
  const links = new Table();
  const log = new KVLog(database, "links", { keepMs });
  await log.load(new LinkReader(links));
  const save = async (...changes: [string, string][]) => {
    await log.append(changes.map(([key, url]) => line(key, url)).join(""));
    for (const [key, url] of changes) links.set({ key, url });
    log.publish();
  };
  return { log, links, save, [Symbol.asyncDispose]: () => log.close() };
}

/** All bytes of a feed, and the checksum as a mirror has it. */
async function copy({ feed }: KVLog) {
  const { base, size } = feed;
  let text = "";
  for (let at = base; at < size;) {
    const bytes = await feed.read(at, 0) ?? new Uint8Array();
    text += new TextDecoder().decode(bytes);
    at += bytes.length;
  }
  return { base, size, sum: feed.sum, text };
}

describe("KVLog.compact()", () => {
  it("leaves out what is superseded, and gives a feed that is a compacted file", async () => {
    await using shared = await share(2);
    await using one = await open(shared.databases[0]);
    await using other = await open(shared.databases[1]);
    const url = `https://example.com/${"x".repeat(2000)}`;
    for (let n = 0; n < 100; n++) await one.save([`k${n % 10}`, `${url}${n}`]);
    const before = one.log.bytes;
    const done = await one.log.compact();
    assertEquals(done, { lines: one.log.lines, bytes: one.log.bytes });
    assert(one.log.bytes < before / 5);
    const { base, size, sum, text } = await copy(one.log);
    assertEquals(base + text.length, size);
    assert(
      /^\{"Key":"","URL":"","Term":\d+,"Base":\d+ *,"Kept":\d+ *,"Sum":"\w+","FileSum":"\w+"\}\n/
        .test(text),
    );
    // As a mirror's file of it, which is loaded.
    const { Journal } = await import("../journal/journal.ts");
    using temp = (await import("./processes.ts")).tempDir();
    await Deno.writeTextFile(`${temp.path}/copy`, text);
    const journal = await Journal.open(`${temp.path}/copy`);
    const links = new Table();
    await journal.load(new LinkReader(links));
    assertEquals([journal.feed.base, journal.feed.size, journal.feed.sum], [base, size, sum]);
    assertEquals(links.size, 10);
    await journal.close();
    // The other master goes over to it, and on.
    await eventually(() => assertEquals(other.log.feed.base, base));
    assertEquals(await copy(other.log), await copy(one.log));
    await other.log.catchUp();
    await other.save(["later", url]);
    await one.log.catchUp();
    assertEquals(await copy(other.log), await copy(one.log));
    await using third = await open(shared.databases[1]);
    assertEquals(await copy(third.log), await copy(one.log));
    assertEquals(third.links.get("k9"), `${url}99`);
    assertEquals(third.log.lines, one.log.lines);
    assertEquals(third.log.term, one.log.term);
    // A checksum can be had at any line.
    const checksum = new Checksum(base);
    for (let n = 0; n < 100; n += 7) assertEquals(await third.log.feed.check(size), sum);
    assertEquals(formatSum(checksum.sum), "00000000");
  });

  it("puts lines that are in many small rows into a few, where none is superseded", async () => {
    await using shared = await share(1);
    const [database] = shared.databases;
    await using one = await open(database);
    for (let n = 0; n < 1001; n++) await one.save([`k${n}`, "https://example.com/"]);
    const before = await copy(one.log);
    await one.log.compact();
    assertEquals(await copy(one.log), before);
    database.asked.ranges = 0;
    await using again = await open(database);
    assert(database.asked.ranges <= 4, `${database.asked.ranges}`);
    assertEquals(await copy(again.log), before);
  });

  it("deletes what was replaced after a while, and all that was begun", async () => {
    await using shared = await share(1);
    const [database] = shared.databases;
    await using one = await open(database, 50);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 300; n++) await one.save(["same", `https://example.com/${n}`]);
      await assertRejects(() =>
        one.log.compact({
          pause() {
            throw new Error("given up");
          },
        })
      );
      await one.log.compact();
    }
    const count = async (key: readonly string[]) => {
      const range = { start: [...key, ""], end: [...key, "\uffff"], limit: 500 };
      return (await shared.real.range(range, signal)).length;
    };
    await eventually(async () => {
      assert(await count(layout.rows) < 100);
      const [entry] = await shared.real.read([layout.snapshot], signal);
      const { ID, Parts, Old } = JSON.parse(new TextDecoder().decode(entry?.value as Uint8Array));
      assertEquals(Old, []);
      assertEquals(await count(layout.rowsOf(ID)), Parts);
    });
    await using again = await open(database);
    assertEquals(await copy(again.log), await copy(one.log));
    await one.save(["same", "https://example.com/last"]);
    assertEquals((await one.log.compact()) !== undefined, true);
  });

  it("does no harm where a compactor is stopped, and goes on when another one has compacted", async () => {
    await using shared = await share(2);
    await using one = await open(shared.databases[0], 20);
    await using other = await open(shared.databases[1], 20);
    for (let n = 0; n < 300; n++) await one.save(["same", `https://example.com/${n}`]);
    await other.log.catchUp();
    const { promise: stopped, resolve: resume } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    shared.databases[0].fates.push(async (commit) => {
      reach();
      await stopped;
      return await commit();
    });
    const late = one.log.compact();
    await reached;
    await other.log.compact();
    await other.save(["later", "https://example.com/"]);
    resume();
    await assertRejects(() => late, Error, "another master");
    await one.log.catchUp();
    await eventually(() => assertEquals(one.log.feed.base, other.log.feed.base));
    assertEquals(await copy(one.log), await copy(other.log));
  });

  for (const how of ["from its rows", "from memory"]) {
    it(`is refused, ${how}, where an older copy of the database was restored`, async () => {
      const database = new Restorable();
      await using one = await open(database);
      await one.save(["a", "https://example.com/a"]);
      const restore = database.copy();
      const stale = new KVLog(database, "links");
      const snapshot = () =>
        async function* () {
          yield new TextEncoder().encode(line("memory", "https://example.com/"));
        };
      const reader = { read: () => 1, ...how === "from memory" && { snapshot } };
      await stale.load(reader);
      for (const key of ["a", "b", "b"]) await one.save([key, "https://example.com/b"]);
      await stale.catchUp();
      restore();
      await using fresh = await open(database);
      for (const key of ["x", "x", "x", "x"]) await fresh.save([key, "https://example.com/x"]);
      const refused = assertRejects(() => stale.compact());
      await refused.finally(() => stale.close());
      await using last = await open(database);
      assertEquals([last.links.get("a"), last.links.get("b"), last.links.get("x")], [
        "https://example.com/a",
        undefined,
        "https://example.com/x",
      ]);
    });
  }

  it("is refused where a clock is off", async () => {
    await using shared = await share(1);
    const [database] = shared.databases;
    await using one = await open(database);
    database.ahead = 3_600_000;
    await assertRejects(() => one.log.compact(), Error, "the database's clock is 3600 s ahead");
    assertEquals(one.log.isDue, false);
  });

  it("is noticed by a master that was stopped for so long that its next rows are gone", async () => {
    await using shared = await share(2);
    await using one = await open(shared.databases[0], 0);
    await using other = await open(shared.databases[1]);
    const { promise, resolve } = Promise.withResolvers<void>();
    shared.databases[1].onread = () => promise; // it reads nothing meanwhile
    for (let n = 0; n < 300; n++) await one.save(["same", `https://example.com/${n}`]);
    await one.log.compact();
    await eventually(async () => {
      const [entry] = await shared.real.read([layout.snapshot], signal);
      const { First, Rows } = JSON.parse(new TextDecoder().decode(entry?.value as Uint8Array));
      assertEquals(First, Rows);
    });
    const replaced = Promise.withResolvers<string>();
    other.log.onreplace = replaced.resolve;
    shared.databases[1].onread = () => {};
    resolve();
    assert((await replaced.promise).includes("snapshot replaced rows"));
    const links = new Table();
    await other.log.load(new LinkReader(links));
    assertEquals(links.get("same"), "https://example.com/299");
    assertEquals(await copy(other.log), await copy(one.log));
  });
});
