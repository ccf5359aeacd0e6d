/** A log in a database, call by call: what becomes of an append whose answer is lost, and what masters see of each other. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MaybeSavedError } from "../journal/appender.ts";
import { JournalError } from "../journal/file.ts";
import { readLines } from "../journal/lines.ts";
import { LogConflict } from "../journal/log.ts";
import type { Database } from "../kv/database.ts";
import type { LocalCopy } from "../kv/copy.ts";
import { KVLog } from "../kv/log.ts";
import { Layout, rowKey } from "../kv/rows.ts";
import { StoreError } from "../links/errors.ts";
import { Restorable, share } from "./kvlog_faults.ts";
import { eventually } from "./processes.ts";

const line = (key: string) => `{"Key":"${key}","URL":"https://example.com/"}\n`;
const layout = new Layout("links");
const signal = AbortSignal.timeout(600_000);
const lost = () => Promise.reject(new Error("the answer is lost"));

/** A log, the keys that were appended to it by others, and those of its own. */
async function open(database: Database) {
  const keys: string[] = [];
  const log = new KVLog(database, "links");
  await log.load({
    read: (lines, bad, tell) => readLines(lines, ({ key }) => keys.push(key), bad, tell),
  });
  const save = async (key: string) => {
    await log.append(line(key));
    keys.push(key);
    log.publish();
  };
  return { log, keys, save, [Symbol.asyncDispose]: () => log.close() };
}

/** The keys in a log, in their order, as one reads them who wasn't there. */
async function keysIn(database: Database): Promise<string> {
  await using reader = await open(database);
  return reader.keys.join();
}

/** Two masters of one log. */
async function two() {
  const shared = await share(3);
  const [first, second, third] = shared.databases;
  const one = await open(first);
  const other = await open(second);
  await one.log.catchUp();
  return {
    one,
    other,
    first,
    second,
    real: shared.real,
    inLog: () => keysIn(third),
    async [Symbol.asyncDispose]() {
      await one.log.close();
      await other.log.close();
      await shared[Symbol.asyncDispose]();
    },
  };
}

describe("KVLog.append(), where nobody knows what became of it", () => {
  it("was done, and its answer is lost: it isn't done again", async () => {
    await using masters = await two();
    const { one, first } = masters;
    first.fates.push(async (commit) => {
      await commit();
      return await lost();
    });
    await one.save("a");
    await one.save("b");
    assertEquals(await masters.inLog(), "a,b");
    assertEquals(one.keys.join(), "a,b");
  });

  it("was not done: it is done once", async () => {
    await using masters = await two();
    masters.first.fates.push(lost, lost);
    await masters.one.save("a");
    assertEquals(await masters.inLog(), "a");
  });

  it("is done late, after it was repeated: the late one is refused", async () => {
    await using masters = await two();
    const { one, first } = masters;
    let late: () => Promise<string | undefined> = lost;
    first.fates.push((commit) => {
      late = commit;
      return lost();
    });
    await one.save("a");
    assertEquals(await late(), undefined);
    await one.save("b");
    assertEquals(await masters.inLog(), "a,b");
  });

  it("was done, and another appended behind it", async () => {
    await using masters = await two();
    const { one, other, first } = masters;
    first.fates.push(async (commit) => {
      await commit();
      await other.log.catchUp();
      await other.save("b");
      return await lost();
    });
    await one.save("a");
    await assertRejects(() => one.log.append(line("c")), LogConflict);
    await one.save("c");
    assertEquals(await masters.inLog(), "a,b,c");
    assertEquals(one.keys.join(), "a,b,c");
  });

  it("was not done, and another was first: it is a conflict, and the other's is taken in", async () => {
    await using masters = await two();
    const { one, other, first } = masters;
    first.fates.push(async () => {
      await other.save("b");
      return await lost();
    });
    await assertRejects(() => one.save("a"), LogConflict);
    assertEquals(one.keys.join(), "b");
    await one.save("a");
    assertEquals(await masters.inLog(), "b,a");
  });

  it("was repeated on its way, so that the answer is that a check failed", async () => {
    await using masters = await two();
    const { one, first } = masters;
    first.fates.push(async (commit) => {
      await commit();
      return await commit();
    });
    await one.save("a");
    assertEquals(await masters.inLog(), "a");
  });

  it("is refused until whoever reads the log has it, and its copy goes on", async () => {
    const { databases: [database], ...shared } = await share(1);
    await using _ = shared;
    const outcomes: unknown[] = [];
    const copy = {
      follow: async (log: KVLog) => {
        outcomes.push(await log.append(line("a")).catch((error) => error));
        outcomes.push(await log.catchUp()!.catch((error) => error));
      },
      close: () => Promise.resolve(),
    };
    const log = new KVLog(database, "links", { copy: copy as unknown as LocalCopy });
    await log.load({ read: () => 0 });
    assertEquals(outcomes.map((error) => error instanceof StoreError && error.kind), [
      "unavailable",
      "unavailable",
    ]);
    await log.append(line("b"));
    await log.close();
    assertEquals(await keysIn(database), "b");
  });

  it("fails for good, and says so once, where another form of goto wrote the head", async () => {
    const { databases: [database, other], ...shared } = await share(2);
    await using _ = shared;
    const told: string[] = [];
    const log = new KVLog(database, "links", { events: (_level, msg) => told.push(msg) });
    await log.load({ read: () => 0 });
    await log.append(line("a"));
    log.publish();
    const set = new TextEncoder().encode('{"Format":2}');
    await other.commit({ checks: [], mutations: [{ key: layout.head, set }] }, signal);
    await assertRejects(() => log.catchUp()!, StoreError, "out of reach");
    for (let looks = 0; looks < 3; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assertEquals(log.failure, "the database is out of reach");
    }
    assertEquals(told, ["lost the database"]);
    await log.close();
  });

  it("may have been saved after two seconds; done later, it is taken in as another's", async () => {
    await using masters = await two();
    const { one, first } = masters;
    let late: () => Promise<string | undefined> = lost;
    for (let n = 0; n < 20; n++) {
      first.fates.push((commit) => {
        late = commit;
        return lost();
      });
    }
    const start = performance.now();
    await assertRejects(() => one.save("a"), MaybeSavedError, "may have been saved: the database");
    const ms = performance.now() - start;
    assert(ms > 1000 && ms < 2500, `${ms}`);
    assertEquals(one.log.failure, "the database is out of reach");
    await assertRejects(() => one.save("b"), StoreError, "out of reach");
    first.fates.length = 0;
    await eventually(() => assertEquals(one.log.failure, undefined));
    await late();
    await assertRejects(() => one.save("b"), LogConflict);
    await one.save("b");
    assertEquals(one.keys.join(), "a,b");
    assertEquals(await masters.inLog(), "a,b");
  });

  it("is known at once where nobody else writes", async () => {
    await using shared = await share(1);
    const { real } = shared;
    await using one = await open(real);
    const { commit } = real;
    for (const isDone of [false, true]) {
      real.commit = async (write, signal) => {
        real.commit = commit;
        if (isDone) await real.commit(write, signal);
        throw new StoreError("full", "cannot save: the disk is full");
      };
      if (isDone) await one.save("a");
      else await assertRejects(() => one.save("a"), StoreError, "the disk is full");
      if (!isDone) await eventually(() => assertEquals(one.log.failure, undefined));
    }
    assertEquals(one.keys.join(), "a");
    assertEquals(await keysIn(real), "a");
  });
});

describe("KVLog, of what others append", () => {
  it("refuses lines that were formed before it was taken in", async () => {
    await using masters = await two();
    const { one, other } = masters;
    await other.save("b");
    const caughtUp = one.log.catchUp(); // which comes first
    await assertRejects(() => one.log.append(line("a")), LogConflict);
    await caughtUp;
    assertEquals(one.keys.join(), "b");
  });

  it("takes nothing in before readers see what it appended itself", async () => {
    await using masters = await two();
    const { one, other } = masters;
    await one.log.append(line("a"));
    await other.log.catchUp();
    await other.save("b");
    const caughtUp = one.log.catchUp();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals(one.keys.join(), "");
    one.keys.push("a");
    one.log.publish();
    await caughtUp;
    assertEquals(one.keys.join(), "a,b");
  });

  it("has all who ask share a read that begins later", async () => {
    await using masters = await two();
    const { one, other, first } = masters;
    await other.save("a");
    const { reads } = first.asked;
    await Promise.all(Array.from({ length: 100 }, () => one.log.catchUp()));
    assertEquals(one.keys.join(), "a");
    let begun = () => {};
    const beginning = new Promise<void>((resolve) => begun = resolve);
    let end = () => {};
    const ended = new Promise<void>((resolve) => end = resolve);
    first.onread = () => {
      begun();
      return ended;
    };
    const early = one.log.catchUp();
    await beginning;
    await other.save("b"); // the read that has begun may be too early for it
    const late = one.log.catchUp();
    first.onread = () => {};
    end();
    await Promise.all([early, late]);
    assertEquals(one.keys.join(), "a,b");
    assert(first.asked.reads <= reads + 5, `${first.asked.reads - reads}`);
  });

  it("hears of it without being asked, also where the watch is silent", async () => {
    await using masters = await two();
    await masters.other.save("a");
    await eventually(() => assertEquals(masters.one.keys.join(), "a"), 3000);
    const { feed } = masters.one.log;
    assertEquals(feed.sum, masters.other.log.feed.sum);
  });

  it("takes many large rows in at once", async () => {
    await using masters = await two();
    const { one, other } = masters;
    for (let n = 0; n < 3; n++) {
      await other.log.append(line("x").repeat(12_000));
      other.log.publish();
    }
    await one.log.catchUp();
    assertEquals(one.keys.length, 36_000);
    assertEquals(one.log.feed.sum, other.log.feed.sum);
    await assertRejects(
      () => other.log.append(line("x".repeat(60_000))),
      RangeError,
      "60000 bytes",
    );
    await other.save("y");
  });

  it("takes in what takes longer than those who ask wait for it", async () => {
    await using masters = await two();
    const { one, other, first } = masters;
    let replaced = "";
    one.log.onreplace = (reason) => replaced = reason;
    for (let n = 0; n < 50; n++) await other.save(`k${n}`);
    const slow = Promise.withResolvers<void>();
    first.onrange = () => slow.promise;
    await assertRejects(async () => await one.log.catchUp(), StoreError, "out of reach");
    // What was slow goes on while the next look reads, if there is one already.
    first.onread = async () => {
      first.onread = () => {};
      slow.resolve();
      await new Promise((resolve) => setTimeout(resolve, 100));
      await other.save("k50");
    };
    setTimeout(slow.resolve, 1500);
    await eventually(() => assertEquals(one.keys.length, 51));
    await eventually(() => assertEquals(one.log.failure, undefined));
    await one.save("last");
    assertEquals(replaced, "");
    assertEquals(one.log.feed.size, (await other.log.catchUp(), other.log.feed.size));
  });

  it("lets a master go first that lost three times", async () => {
    await using masters = await two();
    const { one, other, first } = masters;
    for (let n = 0; n < 3; n++) {
      first.fates.push(async (commit) => {
        await other.log.catchUp();
        await other.save(`b${n}`);
        return await commit();
      });
      await assertRejects(() => one.save("a"), LogConflict);
    }
    await assertRejects(() => other.save("b"), LogConflict); // it sees whose turn it is
    const yields = assertRejects(() => other.save("b"), LogConflict);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await one.save("a");
    await yields;
    await other.save("b");
    assertEquals(await masters.inLog(), "b0,b1,b2,a,b");
  });

  it("waits half a second at most for a master that asked to go first, and doesn't", async () => {
    await using masters = await two();
    const { other, real } = masters;
    const mutations = [{ key: layout.turn, set: new Uint8Array(8) }];
    await real.commit({ checks: [], mutations }, signal);
    const start = performance.now();
    await assertRejects(() => other.save("a"), LogConflict); // it sees whose turn it is
    await other.save("a");
    const ms = performance.now() - start;
    assert(ms > 400 && ms < 1000, `${ms}`);
  });
});

describe("KVLog, of a database that is another one", () => {
  const damages: [
    string,
    (real: Database, copy: Map<string, Uint8Array<ArrayBuffer>>) => Promise<unknown>,
  ][] = [
    ["is empty", (real) => set(real, { key: layout.head, delete: true })],
    ["was restored", (real, copy) => set(real, { key: layout.head, set: copy.get("before")! })],
    ["doesn't follow", async (real, copy) => {
      const text = new TextDecoder().decode(copy.get("now"));
      const spoilt = text.replace(/"Sum":"\w+"/, '"Sum":"01234567"');
      return await set(real, { key: layout.head, set: new TextEncoder().encode(spoilt) });
    }],
  ];
  const set = (real: Database, mutation: Parameters<Database["commit"]>[0]["mutations"][number]) =>
    real.commit({ checks: [], mutations: [mutation] }, signal);

  for (const [what, damage] of damages) {
    it(`says that it ${what}, appends nothing, and goes on once it is loaded anew`, async () => {
      await using masters = await two();
      const { one, real } = masters;
      const head = async () =>
        (await real.read([layout.head], signal))[0]?.value as Uint8Array<ArrayBuffer>;
      await one.save("a");
      const copy = new Map([["before", await head()]]);
      await one.save("b");
      copy.set("now", await head());
      const { feed } = one.log;
      const following = feed.read(feed.size, 10_000);
      const reason = new Promise<string>((resolve) => one.log.onreplace = resolve);
      await damage(real, copy);
      await assertRejects(async () => await one.log.catchUp(), StoreError, "is being read anew");
      assert(/empty|restored/.test(await reason), await reason);
      assertEquals(await following, undefined);
      await assertRejects(() => feed.read(0, 0), Error, "another one now");
      await assertRejects(() => one.save("c"), StoreError, "is being read anew");
      assert(one.log.failure !== undefined);
      await set(real, { key: layout.head, set: copy.get("before")! });
      const keys: string[] = [];
      await one.log.load({
        read: (lines, bad, tell) => readLines(lines, ({ key }) => keys.push(key), bad, tell),
      });
      assertEquals([keys.join(), one.log.failure], ["a", undefined]);
      await one.log.append(line("c"));
      one.log.publish();
      assertEquals(await masters.inLog(), "a,c");
    });
  }

  for (const how of ["appended to", "promoted"]) {
    it(`notices it where an older copy was ${how}, and has the same version by then`, async () => {
      const database = new Restorable();
      await using one = await open(database);
      await one.save("a");
      const restore = database.copy();
      await using stale = await open(database);
      await one.save("b");
      await stale.log.catchUp();
      await using blind = await open(database); // which doesn't look before it appends
      restore();
      await using fresh = await open(database);
      if (how === "promoted") await fresh.log.promote();
      else await fresh.save("x");
      await assertRejects(() => blind.save("c"));
      await assertRejects(async () => await stale.log.catchUp(), StoreError, "is being read anew");
      assertEquals(await keysIn(database), how === "promoted" ? "a" : "a,x");
    });
  }

  it("refuses one that lacks rows, or its head, in one line, and leaves it as it is", async () => {
    const { databases: [database], real, ...shared } = await share(1);
    await using _ = shared;
    {
      await using one = await open(database);
      for (const key of "abcd") await one.save(key);
    }
    const keys = [...Array(5).keys()].map((n) => rowKey(layout.rows, n));
    const [...rows] = await real.read([...keys, layout.head], signal);
    for (const [i, row] of rows.entries()) {
      const key = row!.key;
      await real.commit({ checks: [], mutations: [{ key, delete: true }] }, signal);
      await assertRejects(() => open(database), JournalError, i < 5 ? "rows are" : "its head is");
      const log = new KVLog(real, "links");
      await log.load({ read: () => 0 }).catch(() => {});
      // Nor does the only master of a database take what it could not read for nothing.
      await assertRejects(async () => await log.catchUp(), StoreError, "not read yet");
      await log.close();
      const left = await real.read([...keys, layout.head], signal);
      assertEquals(
        left.map((entry) => entry?.version),
        rows.map((entry, j) => j < i ? left[j]?.version : j === i ? undefined : entry?.version),
      );
      await real.commit({ checks: [], mutations: [{ key, set: row!.value }] }, signal);
    }
    assertEquals(await keysIn(database), "a,b,c,d");
  });

  it("refuses one of an earlier goto, and one of a later one, in one line", async () => {
    await using shared = await share(1);
    const [database] = shared.databases;
    await set(shared.real, { key: ["goto", "size"], set: new Uint8Array(1) });
    await assertRejects(() => open(database), Error, "an earlier goto");
    await set(shared.real, { key: ["goto", "size"], delete: true });
    await (await open(database)).log.close();
    const later = new TextEncoder().encode('{"Format":2}');
    await set(shared.real, { key: layout.head, set: later });
    await assertRejects(() => open(database), Error, "its format is 2, and this goto knows 1");
  });

  it("begins with a term of its own, and begins the next where it is promoted", async () => {
    await using masters = await two();
    const { one, other } = masters;
    const { term } = one.log;
    assert(term > 1);
    assertEquals(other.log.term, term);
    await other.save("a");
    await one.log.promote();
    assert(one.log.term > term);
    await other.log.catchUp();
    assertEquals(other.log.term, one.log.term);
  });
});
