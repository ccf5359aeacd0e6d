/**
 * What a replica, a mirror and those below them promise, with the order of events forced: who was told
 * of a change sees it, who has seen a version never sees an older one, and no old one stays.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import type { Events } from "../journal/events.ts";
import { Journal } from "../journal/journal.ts";
import { StoreError } from "../links/errors.ts";
import { TableReader } from "../links/table.ts";
import type { Backend } from "../replica/backend.ts";
import { URLStore } from "../store.ts";
import { eventually, tempDir, within, withoutIds } from "./processes.ts";
import { caughtUp, Gate, House, Wire } from "./wire.ts";

const OLD = "https://example.com/old";
const NEW = "https://example.com/new";
const NEWER = "https://example.com/newer";

it("a change that overtakes the answer to a question is not forgotten", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);

  wire.answers.close();
  const early = replica.get("k");
  await eventually(() => wire.count("Store.Link") === 1);
  await master.update("k", NEW);
  await eventually(() => replica.position.from === master.position.from);
  const late = replica.get("k"); // must not be given the answer that is under way
  wire.answers.open();
  assertEquals(await early, OLD);
  assertEquals(await late, NEW);
  assertEquals(wire.count("Store.Link"), 2);
  assertEquals(replica.get("k"), NEW, "and now it is kept");
});

it("a deletion that overtakes the answer to a question is not forgotten", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  wire.answers.close();
  const early = replica.get("k");
  await eventually(() => wire.count("Store.Link") === 1);
  await master.delete("k");
  await eventually(() => replica.position.from === master.position.from);
  wire.answers.open();
  assertEquals(await early, OLD);
  await assertRejects(async () => await replica.get("k"), StoreError, "key not found");
});

it("an answer that a newer question didn't wait for is not kept once the feed has come further", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  wire.feeds.close();
  wire.answers.close();
  const early = replica.get("k");
  await eventually(() => wire.count("Store.Link") === 1);
  await master.update("k", NEW);
  const late = replica.get("k", { since: master.position.from, from: 0 }); // of one who knows of the change
  wire.feeds.open();
  await eventually(() => replica.position.from === master.position.from);
  wire.answers.open();
  assertEquals(await early, OLD);
  assertEquals(await late, NEW);
  assertEquals(await replica.get("k"), NEW);
});

it("an unknown key that comes to be while it is asked for is not taken for unknown", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  wire.answers.close();
  const early = assertRejects(async () => await replica.get("k"), StoreError, "key not found");
  await eventually(() => wire.count("Store.Link") === 1);
  await master.put(NEW, "k");
  await eventually(() => replica.position.from === master.position.from);
  wire.answers.open();
  await early;
  assertEquals(await replica.get("k"), NEW);
});

it("an answer that is older than the feed is not kept, whoever gave it", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  // Calls go to a mirror that is behind and cut off, the feed comes from the master.
  const toMaster = new Wire(master);
  const behind = await house.replica(toMaster, { file: house.file() });
  await caughtUp(behind, master);
  toMaster.cut = true;
  toMaster.cutFeeds();
  await master.update("k", NEW);
  const wire = new Wire(master);
  const feed = wire.feed.bind(wire);
  wire.feed = (
    ...args
  ) => (wire.target = master, feed(...args).finally(() => wire.target = behind));
  const replica = await house.replica(wire);
  await eventually(() => replica.position.from === master.position.from);
  assertEquals(await replica.get("k"), OLD, "it is all that is to be had");
  assertEquals(replica.count, 0, "but it is not kept");
  toMaster.cut = false;
  await eventually(async () => assertEquals(await replica.get("k"), NEW));
});

it("an answer that is older than the feed is not kept further down either", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  // Calls go to a mirror that is behind and cut off, the feed comes from the master.
  const toMaster = new Wire(master);
  const behind = await house.replica(toMaster, { file: house.file() });
  await caughtUp(behind, master);
  toMaster.cut = true;
  toMaster.cutFeeds();
  await master.update("k", NEW);
  await master.put(OLD, "new");
  const wire = new Wire(master);
  const feed = wire.feed.bind(wire);
  wire.feed = (
    ...args
  ) => (wire.target = master, feed(...args).finally(() => wire.target = behind));
  const replica = await house.replica(wire);
  const leaf = await house.replica(new Wire(replica));
  await eventually(() => leaf.position.from === master.position.from);
  const [first, second] = await Promise.all([leaf.get("k"), replica.get("k")]);
  assertEquals([first, second], [OLD, OLD], "it is all that is to be had");
  assertEquals(leaf.count, 0, "but it is not kept");
  await assertRejects(async () => await leaf.get("new"), StoreError, "key not found");
  toMaster.cut = false;
  await caughtUp(behind, master);
  assertEquals(await leaf.get("k"), NEW);
  assertEquals(await leaf.get("new"), OLD);
});

it("a mirror shows its own writes, however late the feed is", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  wire.feeds.close();
  const { key } = await within(1500, "an answer", mirror.put(OLD));
  assertEquals(await mirror.get(key), OLD);
  await within(1500, "an answer", mirror.update(key, NEW));
  assertEquals(await mirror.get(key), NEW);
  await within(1500, "an answer", mirror.delete(key));
  await assertRejects(async () => await mirror.get(key), StoreError, "key not found");
  await mirror.put(NEWER, key);
  wire.feeds.open();
  await caughtUp(mirror, master);
  const before = wire.count("Store.Link");
  assertEquals(mirror.get(key), NEWER, "from its own copy");
  assertEquals(wire.count("Store.Link"), before);
});

it("a mirror that is being copied anew goes on showing what it told", async () => {
  await using house = new House();
  const first = await house.master();
  await first.put(OLD, "k");
  const other = await house.master();
  await other.put(OLD, "l");
  await other.put(OLD, "k");
  const wire = new Wire(first);
  const mirror = await house.replica(wire, {
    file: house.file(),
    // It asks for the other journal from its beginning, but that doesn't come.
    events: (_level, msg) => /copying it anew/.test(msg) && wire.feeds.close(),
  });
  await caughtUp(mirror, first);
  wire.target = other;
  wire.cutFeeds();
  await eventually(() => mirror.position.from === 0);
  await within(1500, "an answer", mirror.update("k", NEW));
  assertEquals(await mirror.get("k"), NEW);
  assertEquals(await mirror.get("l"), OLD);
  await within(1500, "an answer", mirror.delete("l"));
  await assertRejects(async () => await mirror.get("l"), StoreError, "key not found");
  wire.feeds.open();
  await caughtUp(mirror, other);
  const before = wire.count("Store.Link");
  assertEquals(mirror.get("k"), NEW, "from its own copy");
  assertEquals(wire.count("Store.Link"), before);
});

it("a mirror whose first copy is being made shows what it told, also where that lags behind", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const top = new Wire(master);
  const above = await house.replica(top, { file: house.file() });
  await caughtUp(above, master);
  top.feeds.close(); // what is above has no more than it had
  const wire = new Wire(above);
  wire.feeds.close();
  const mirror = await house.replica(wire, { file: house.file() });
  await mirror.update("k", NEW);
  wire.feeds.open();
  await eventually(async () => (await mirror.health()).reason === undefined);
  assertEquals(mirror.count, 0, "its own copy is older than what it told");
  assertEquals(await mirror.get("k"), NEW);
  top.feeds.open();
  await caughtUp(mirror, master);
  assertEquals(mirror.get("k"), NEW, "from its own copy");
});

it("a mirror whose feed brings a change before its answer comes shows it from its own copy", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  wire.answers.close();
  const update = mirror.update("k", NEW);
  await eventually(() => mirror.position.from === master.position.from && master.count === 1);
  await eventually(() => mirror.get("k") === NEW);
  wire.answers.open();
  await update;
  assertEquals(mirror.get("k"), NEW);
});

it("a mirror takes no line from a feed that it could not load again", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const feed = wire.feed.bind(wire);
  let spoiled = true;
  let opened = 0; // and spoiled
  wire.feed = async (...args) => {
    const stream = await feed(...args);
    if (!spoiled) return stream;
    opened++;
    const spoil = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) =>
        controller.enqueue(chunk.map((byte) => byte === 10 ? 10 : 33)),
    });
    return { ...stream, body: stream.body.pipeThrough(spoil) };
  };
  const file = house.file();
  const told: string[] = [];
  const events: Events = (_level, msg, fields) => void told.push(`${msg}: ${fields?.reason}`);
  const mirror = await house.replica(wire, { file, events });
  const read = () => Deno.readTextFile(file).catch(() => "");
  for (const _ of ["while it is being copied", "later"]) {
    spoiled = true;
    wire.cutFeeds();
    const before = await read();
    await master.put(OLD);
    const seen = opened;
    await eventually(() => opened >= seen + 2); // what it tried once was refused
    assertEquals(await read(), before);
    spoiled = false;
    await caughtUp(mirror, master);
  }
  assertEquals(told.filter((event) => event.includes("has a bad line: bad JSON")).length, 1);
});

it("a mirror that asked above for a key never shows an older version of its own", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  wire.feeds.close();
  await master.put(OLD, "k");
  // The feed brings this much and then stops again.
  const { from: first } = master.position;
  wire.feeds.open();
  await eventually(() => mirror.position.from === first);
  wire.feeds.close();
  await master.put(OLD, "later");
  await master.update("k", NEW);
  assertEquals(mirror.get("k"), OLD, "it knows no better");
  assertEquals(await mirror.get("later"), OLD, "it lacks this, and asks");
  await master.update("later", NEW);
  assertEquals(await mirror.get("later"), NEW);
  for (const url of [OLD, NEW]) {
    // Whatever the feed brings now, nobody is shown what came before NEW.
    assertEquals(await mirror.get("later"), NEW, url);
    wire.feeds.open();
    await eventually(() => mirror.position.from > first);
    assertEquals(await mirror.get("later"), NEW, url);
  }
  await caughtUp(mirror, master);
  assertEquals(mirror.get("k"), NEW);
});

it("a change that comes while a mirror asks above hides nothing newer", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  wire.feeds.close();
  await mirror.update("k", NEW); // from now on it asks above for k
  wire.answers.close();
  const asking = mirror.get("k");
  await master.update("k", NEWER);
  wire.feeds.open();
  await eventually(() => mirror.position.from === master.position.from);
  wire.answers.open();
  assert([NEW, NEWER].includes(await asking));
  assertEquals(await mirror.get("k"), NEWER);
});

it("a deletion that comes while a mirror asks above is seen by who asks after it", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  wire.feeds.close();
  await mirror.update("k", NEW); // from now on it asks above for k
  wire.answers.close();
  const early = mirror.get("k");
  await eventually(() => wire.count("Store.Link") === 1);
  await master.delete("k");
  wire.feeds.open();
  await eventually(() => mirror.position.from === master.position.from);
  const late = assertRejects(async () => await mirror.get("k"), StoreError, "key not found");
  wire.answers.open();
  assertEquals(await early, NEW);
  await late;
});

it("what other threads may read of a replica is what it would show itself", async () => {
  for (const kind of ["cache", "mirror"]) {
    await using house = new House();
    const master = await house.master();
    await master.put(OLD, "k");
    await master.put(OLD, "l");
    const wire = new Wire(master);
    const replica = await house.replica(wire, kind === "mirror" ? { file: house.file() } : {});
    let thread: TableReader | undefined;
    replica.share((memory) => thread = new TableReader(memory));
    await caughtUp(replica, master);
    const keep = async () => [await replica.get("k"), await replica.get("l")];
    const read = () => [thread?.get("k"), thread?.get("l")];
    await keep();
    assertEquals(read(), [OLD, OLD], kind);

    wire.feeds.close();
    await replica.update("k", NEW); // the feed is behind that
    assertEquals(read(), [undefined, OLD], kind);
    wire.feeds.open();
    await caughtUp(replica, master);
    await keep();
    assertEquals(read(), [NEW, OLD], kind);

    wire.feedCut = true; // nobody would hear of changes
    wire.cutFeeds();
    await eventually(() => assertEquals(read(), [undefined, undefined], kind));
    await master.update("l", NEW);
    wire.feedCut = false;
    await caughtUp(replica, master);
    await keep();
    assertEquals(read(), [NEW, NEW], kind);
  }
});

it("a repeated id gets its first answer at once: through a mirror and down a tree", async () => {
  await using house = new House();
  const master = await house.master();
  const top = new Wire(master);
  const mirror = await house.replica(top, { file: house.file() });
  await caughtUp(mirror, master);
  const leaf = await house.replica(new Wire(mirror));
  await caughtUp(leaf, master);
  top.feeds.close();
  for (const store of [mirror, leaf, mirror, leaf]) {
    const link = await within(1500, "an answer", store.put(OLD, undefined, { id: "one id" }));
    assertEquals(link, { key: "0", url: OLD });
    assertEquals(await store.get("0"), OLD);
  }
  assertEquals(master.count, 1);
});

it("a leaf sees its own write through a mirror whose feed is cut", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const top = new Wire(master);
  const mirror = await house.replica(top, { file: house.file() });
  await caughtUp(mirror, master);
  const leaf = await house.replica(new Wire(mirror));
  await caughtUp(leaf, master);
  assertEquals(await leaf.get("k"), OLD);
  top.feeds.close();
  await leaf.update("k", NEW);
  assertEquals(await leaf.get("k"), NEW);
  assertEquals(await mirror.get("k"), NEW);
  top.feeds.open();
  await caughtUp(leaf, master);
  assertEquals(await leaf.get("k"), NEW);
});

it("who was told of a change through one server sees it through another that is behind", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const [a, b] = [new Wire(master), new Wire(master)];
  const one = await house.replica(a, { file: house.file() });
  const two = await house.replica(b, { file: house.file() });
  await caughtUp(one, master);
  await caughtUp(two, master);
  // The leaf writes through one mirror; then its calls go to the other, whose feed is late.
  const wire = new Wire(one);
  const leaf = await house.replica(wire);
  await caughtUp(leaf, master);
  b.feeds.close();
  await leaf.update("k", NEW);
  wire.target = two;
  assertEquals(two.get("k"), OLD, "it can't know");
  assertEquals(await leaf.get("k"), NEW, "asked how new it must be, it asks above");
});

it("what is told while the feed is being opened is not forgotten", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const feed = wire.feed.bind(wire);
  const slow = new Gate();
  let opened = 0;
  wire.feed = async (...args) => {
    const stream = await feed(...args);
    opened++;
    await slow.pass(args[2]); // the master has said how far its journal reaches
    return stream;
  };
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  assertEquals(mirror.get("k"), OLD);
  const before = opened;
  slow.close();
  wire.cutFeeds();
  await eventually(() => opened > before);
  wire.feeds.close();
  await mirror.update("k", NEW);
  slow.open();
  await eventually(async () => (await mirror.health()).reason === undefined);
  assertEquals(await mirror.get("k"), NEW);
  wire.feeds.open();
});

it("a mirror below a mirror shows its own writes when its feed is opened anew", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const top = new Wire(master);
  const above = await house.replica(top, { file: house.file() });
  await caughtUp(above, master);
  const wire = new Wire(above);
  const below = await house.replica(wire, { file: house.file() });
  await caughtUp(below, master);
  top.feeds.close(); // what is above has no more than it had
  await below.update("k", NEW);
  wire.feedCut = true;
  wire.cutFeeds();
  await eventually(async () => (await below.health()).reason !== undefined);
  wire.feedCut = false;
  await eventually(async () => (await below.health()).reason === undefined);
  assertEquals(await below.get("k"), NEW);
  assertEquals(await above.get("k"), NEW);
  top.feeds.open();
  await caughtUp(below, master);
  assertEquals(below.get("k"), NEW, "from its own copy");
});

it("who follows another server, which is behind, goes on showing what was told", async () => {
  for (const kind of ["cache", "mirror"]) {
    await using house = new House();
    const master = await house.master();
    await master.put(OLD, "k");
    const wires = [new Wire(master), new Wire(master)];
    const mirrors = [];
    for (const wire of wires) mirrors.push(await house.replica(wire, { file: house.file() }));
    for (const mirror of mirrors) await caughtUp(mirror, master);
    const wire = new Wire(mirrors[0]);
    const options = kind === "mirror" ? { file: house.file() } : {};
    const leaf = await house.replica(wire, options);
    await caughtUp(leaf, master);
    for (const wire of wires) wire.feeds.close();
    await leaf.update("k", NEW);
    assertEquals(await leaf.get("k"), NEW, kind);
    wire.feedCut = true;
    wire.cutFeeds();
    await eventually(async () => (await leaf.health()).reason !== undefined);
    wire.target = mirrors[1];
    wire.feedCut = false;
    await eventually(async () => (await leaf.health()).reason === undefined);
    assertEquals(await leaf.get("k"), NEW, kind);
    for (const wire of wires) wire.feeds.open();
    await caughtUp(leaf, master);
    assertEquals(await leaf.get("k"), NEW, kind);
  }
});

it("what was learned ahead of the feed goes when the feed comes back from another history", async () => {
  await using house = new House();
  const old = await house.master();
  await old.put(OLD, "k");
  await old.put(OLD, "new");
  await old.delete("new");
  const copy = house.file();
  await Deno.copyFile(old.log.path, copy);
  const wire = new Wire(old);
  const replica = await house.replica(wire);
  await caughtUp(replica, old);
  wire.feeds.close();
  // The replica is told of what no copy of the journal has got.
  await old.update("k", NEW);
  await old.put(NEW, "new");
  assertEquals(await replica.get("new"), NEW);
  assertEquals(await replica.get("k"), NEW);
  assertEquals(replica.get("k"), NEW, "it is kept");

  const promoted = await house.master({ file: copy });
  wire.target = promoted;
  wire.cutFeeds();
  wire.feeds.open();
  await eventually(async () => assertEquals(await replica.get("k"), OLD));
  await caughtUp(replica, promoted);
  assertEquals(await replica.get("k"), OLD);
  await assertRejects(async () => await replica.get("new"), StoreError, "key not found");
});

it("what a mirror was told that no copy of the journal has got is let go with its master", async () => {
  await using house = new House();
  const old = await house.master();
  await old.put(OLD, "k");
  const copy = house.file();
  await Deno.copyFile(old.log.path, copy);
  const wire = new Wire(old);
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, old);
  wire.feeds.close();
  await mirror.update("k", NEW);
  await mirror.put(NEW, "new");
  assertEquals(await mirror.get("k"), NEW);

  const promoted = await house.master({ file: copy });
  wire.target = promoted;
  wire.cutFeeds();
  wire.feeds.open();
  await eventually(() => mirror.get("k") === OLD); // from its own copy
  await assertRejects(async () => await mirror.get("new"), StoreError, "key not found");
  assertEquals(mirror.position, promoted.position, "and it is as new as that");
});

it("where calls pass but the feed doesn't, a replica asks, says so, and makes do without", async () => {
  for (const kind of ["cache", "mirror"]) {
    await using house = new House();
    const master = await house.master();
    await master.put(OLD, "k");
    await master.put(OLD, "other");
    const wire = new Wire(master);
    const options = kind === "mirror" ? { file: house.file() } : {};
    const replica = await house.replica(wire, options);
    await caughtUp(replica, master);
    assertEquals(await replica.get("k"), OLD);
    wire.feedCut = true;
    wire.cutFeeds();
    await eventually(async () => (await replica.health()).reason !== undefined);
    await master.update("k", NEW);
    assertEquals(await replica.get("k"), NEW, kind);
    const { ready, reason } = await replica.health();
    assertEquals([ready, reason], [true, "the feed is not at hand"], kind);

    await master.update("k", NEWER);
    wire.cut = true; // and now the calls don't pass either
    const found = await replica.get("k");
    assert(found === (kind === "mirror" ? OLD : NEW), `${kind}: ${found}`);
    wire.cut = wire.feedCut = false;
    await caughtUp(replica, master);
    assertEquals(await replica.get("k"), NEWER, kind);
  }
});

for (const kind of ["cache", "mirror"]) {
  it(`those below a ${kind} that lost the feed, but can ask, ask as well`, async () => {
    await using house = new House();
    const master = await house.master();
    await master.put(OLD, "k");
    const top = new Wire(master);
    const middle = await house.replica(top, kind === "mirror" ? { file: house.file() } : {});
    await caughtUp(middle, master);
    const leaf = await house.replica(new Wire(middle));
    await caughtUp(leaf, master);
    assertEquals(await leaf.get("k"), OLD);
    assertEquals(leaf.get("k"), OLD, "it is kept");
    top.feedCut = true;
    top.cutFeeds();
    await master.update("k", NEW);
    await eventually(async () => assertEquals(await leaf.get("k"), NEW));
    assertEquals((await leaf.health()).reason, "the feed is not at hand");
    top.feedCut = false;
    await caughtUp(leaf, master);
    assertEquals(await leaf.get("k"), NEW);
    assertEquals(leaf.get("k"), NEW, "it is kept");
  });
}

it("those below a mirror whose master is gone keep what they have", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const top = new Wire(master);
  const mirror = await house.replica(top, { file: house.file() });
  await caughtUp(mirror, master);
  const wire = new Wire(mirror);
  const leaf = await house.replica(wire);
  await caughtUp(leaf, master);
  assertEquals(await leaf.get("k"), OLD);
  top.cut = true;
  top.cutFeeds();
  await eventually(async () => (await mirror.health()).reason === "master out of reach");
  wire.cut = true; // which ends no feed
  assertEquals(leaf.get("k"), OLD);
});

it("those below a mirror that copies another journal see what they wrote meanwhile", async () => {
  await using house = new House();
  const first = await house.master();
  for (const key of ["k", ..."0123456789"]) await first.put(OLD, key);
  const other = await house.master();
  await other.log.promote();
  await other.put(OLD, "k");
  const top = new Wire(first);
  const mirror = await house.replica(top, {
    file: house.file(),
    // It asks for the other journal from its beginning, but that doesn't come.
    events: (_level, msg) => /copying it anew/.test(msg) && top.feeds.close(),
  });
  await caughtUp(mirror, first);
  const leaf = await house.replica(new Wire(mirror));
  await caughtUp(leaf, first);
  assertEquals(await leaf.get("k"), OLD);
  top.cut = true; // the first one is gone
  top.cutFeeds();
  await eventually(async () => (await mirror.health()).reason === "master out of reach");
  assertEquals(leaf.get("k"), OLD, "the mirror has nobody to ask");
  top.target = other;
  top.cut = false;
  await eventually(() => mirror.position.from === 0);
  await eventually(async () => (await leaf.health()).reason === "the feed is not at hand");
  assert(2 * other.position.from < first.position.from, "an answer from there seems old");
  await within(1500, "an answer", leaf.update("k", NEW));
  assertEquals(await leaf.get("k"), NEW);
  top.feeds.open();
  await caughtUp(leaf, other);
  assertEquals(await leaf.get("k"), NEW);
});

it("a mirror answers from its file as soon as that is loaded, also for what there is not", async () => {
  await using house = new House();
  const file = house.file();
  await Deno.writeTextFile(file, `{"Key":"k","URL":"${OLD}"}\n`);
  const wire = new Wire(await house.master());
  wire.cut = true;
  const mirror = await house.replica(wire, { file });
  assertEquals(mirror.count, 1);
  await eventually(async () => assertEquals(await mirror.get("k"), OLD));
  await assertRejects(async () => await mirror.get("l"), StoreError, "key not found");
  assertEquals((await mirror.health()).ready, true);
});

it("a lost master is looked for again and again, after ever longer pauses", async () => {
  await using house = new House();
  const wire = new Wire(await house.master());
  wire.cut = true;
  await house.replica(wire);
  await eventually(() => wire.count("Store.Health") >= 6, 7000); // 50 to 800 ms at most lie between
  const [start, asked] = [performance.now(), wire.count("Store.Health")];
  await eventually(() => wire.count("Store.Health") >= asked + 2);
  assert(performance.now() - start > 500);
});

it("an unfinished copy that can't be read is begun anew", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const file = house.file();
  await Deno.writeTextFile(`${file}.part`, "what is this?\n");
  const mirror = await house.replica(new Wire(master), { file });
  await caughtUp(mirror, master);
  assertEquals(mirror.get("k"), OLD);
  assertEquals(await Deno.readTextFile(file), await Deno.readTextFile(master.log.path));
});

it("an unfinished copy of another journal is begun anew, and let go", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const file = house.file();
  await Deno.writeTextFile(`${file}.part`, `{"Key":"k","URL":"${NEW}"}\n`);
  const mirror = await house.replica(new Wire(master), { file });
  await caughtUp(mirror, master);
  assertEquals(mirror.get("k"), OLD);
  assertEquals(await Deno.readTextFile(file), await Deno.readTextFile(master.log.path));
});

it("a replica tells once when it loses the feed, or the master, and when that answers again", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const told: string[] = [];
  const events: Events = (level, msg, fields) =>
    void told.push(`${level} ${msg}: ${fields?.reason}`);
  const replica = await house.replica(wire, { events, cache: 0 });
  await caughtUp(replica, master);
  wire.feedCut = true;
  wire.cutFeeds();
  await eventually(() => assertEquals(told.splice(0), ["warn lost the master's feed: cut"]));
  wire.cut = true;
  await eventually(async () => {
    await assertRejects(async () => await replica.get("k"), StoreError);
    assertEquals(told, ["warn lost the master: cut"]);
  });
  wire.cut = wire.feedCut = false;
  await caughtUp(replica, master);
  assertEquals(told.slice(1), ["info the master answers: undefined"]);
});

it("a replica asks once a second for a key that is unknown, and never for one that is too long", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  const assertUnknown = (key: string) =>
    assertRejects(async () => await replica.get(key), StoreError, "key not found");
  const start = performance.now();
  for (let i = 0; i < 10; i++) await assertUnknown("k");
  assert(wire.count("Store.Link") <= 1 + (performance.now() - start) / 1000);
  await master.put(NEW, "k");
  await eventually(() => replica.position.from === master.position.from);
  assertEquals(await replica.get("k"), NEW, "it is heard of at once");

  const asked = wire.count("Store.Link");
  await assertUnknown("x".repeat(1025));
  for (const write of [replica.update("x".repeat(1025), NEW), replica.delete("x".repeat(1025))]) {
    await assertRejects(() => write, StoreError, "key not found");
  }
  assertEquals(wire.count("Store.Link"), asked);
  assertEquals(wire.count("Store.Update") + wire.count("Store.Delete"), 0);
  await assertUnknown("x".repeat(1024));
  assertEquals(wire.count("Store.Link"), asked + 1);
});

it("a read does not wait for a write, and a slow write does not lose the master", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const wire = new Wire(master);
  const lost: string[] = [];
  const events: Events = (_level, msg) => void lost.push(msg);
  const replica = await house.replica(wire, { cache: 0, events });
  await caughtUp(replica, master);
  wire.writes.close();
  const write = assertRejects(() => replica.update("k", NEW), StoreError, "in time");
  for (let i = 0; i < 20; i++) {
    assertEquals(await within(1500, "a read", Promise.resolve(replica.get("k"))), OLD);
  }
  await within(4000, "the deadline of the write", write);
  assertEquals(await within(1500, "a read", Promise.resolve(replica.get("k"))), OLD);
  assertEquals(lost, []);
  wire.writes.open();
  await replica.update("k", NEWER);
  assertEquals(await replica.get("k"), NEWER);
});

it("one whose own master hangs is not taken for lost by those below", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const top = new Wire(master);
  const middle = await house.replica(top);
  await caughtUp(middle, master);
  assertEquals(await middle.get("k"), OLD);
  const told: string[] = [];
  const leaf = await house.replica(new Wire(middle), {
    events: (_level, msg) => void told.push(msg),
  });
  await caughtUp(leaf, master);
  top.reads.close(); // the master hangs
  const error = await assertRejects(async () => await leaf.get("unknown"), StoreError);
  assertEquals(error.kind, "unavailable");
  assertEquals(await within(1500, "what the middle has", Promise.resolve(leaf.get("k"))), OLD);
  assertEquals(told, []);
});

for (const above of ["master", "mirror", "cache"]) {
  it(`writes whose answers from a ${above} were lost are done once, and nobody is called down`, async () => {
    await using house = new House();
    const master = await house.master();
    let target: Backend = master;
    if (above !== "master") {
      const options = above === "mirror" ? { file: house.file() } : {};
      target = await house.replica(new Wire(master), options);
      await caughtUp(target, master);
    }
    const wire = new Wire(target);
    const told: string[] = [];
    const replica = await house.replica(wire, { events: (_level, msg) => void told.push(msg) });
    await caughtUp(replica, master);
    wire.answers.close();
    const put = replica.put(OLD);
    await eventually(() => master.count === 1);
    wire.cut = true; // the answer will fail
    wire.answers.open();
    await new Promise((resolve) => setTimeout(resolve));
    wire.cut = false;
    assertEquals(await within(1000, "an answer", put), { key: "0", url: OLD });
    assertEquals(master.count, 1);
    assertEquals(told, []);
  });
}

it("a commit is durable, then visible, then published, then answered", async () => {
  await using house = new House();
  const master = await house.master();
  const order: string[] = [];
  const { log: journal, urls } = master;
  const [append, show, publish] = [
    journal.append.bind(journal),
    urls.show.bind(urls),
    journal.publish.bind(journal),
  ];
  journal.append = async (lines) => {
    await append(lines);
    order.push("durable");
  };
  urls.show = (ref) => {
    show(ref);
    order.push("visible");
  };
  journal.publish = () => {
    publish();
    order.push("published");
  };
  await master.put(OLD).then(() => order.push("answered"));
  assertEquals(order, ["durable", "visible", "published", "answered"]);
});

it("a mirror shows a change once it is durable, and then passes it on", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const mirror = await house.replica(new Wire(master), { file: house.file() });
  await caughtUp(mirror, master);
  const leaf = await house.replica(new Wire(mirror));
  await caughtUp(leaf, master);
  assertEquals(await leaf.get("k"), OLD);
  const disk = new Gate();
  const { copy } = Journal.prototype;
  const { path } = master.log;
  let waiting = false;
  Journal.prototype.copy = async function (lines) {
    if (this.path !== path) {
      waiting = true;
      await disk.pass(new AbortController().signal);
    }
    return await copy.call(this, lines);
  };
  try {
    disk.close();
    await master.update("k", NEW);
    await eventually(() => waiting);
    assertEquals(mirror.get("k"), OLD, "it is not durable yet");
    assertEquals(leaf.get("k"), OLD, "nor passed on");
    assert(mirror.position.from < master.position.from);
    disk.open();
    await eventually(() => mirror.position.from === master.position.from);
    assertEquals(mirror.get("k"), NEW);
    await eventually(() => leaf.position.from === master.position.from);
    assertEquals(await leaf.get("k"), NEW);
  } finally {
    disk.open();
    Journal.prototype.copy = copy;
  }
});

it("what fails after a change is durable tells nobody that it wasn't saved", async () => {
  using dir = tempDir();
  const path = `${dir.path}/store.jsonl`;
  const store = new URLStore(await Journal.open(path));
  await store.load();
  const { promise: failed, resolve } = Promise.withResolvers<unknown>();
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault(); // it would end the program, which then has the change
    resolve(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listener);
  try {
    store.urls.show = () => {
      throw new Error("on purpose");
    };
    const answers: unknown[] = [];
    const tell = (answer: unknown) => answers.push(answer);
    store.put(OLD, "k").then(tell, tell);
    const reason = await within(5000, "the failure", failed);
    assertEquals([String(reason), answers], ["Error: on purpose", []]);
    const text = await Deno.readTextFile(path);
    assertEquals(withoutIds(text), `{"Key":"k","URL":"${OLD}"}\n`);
  } finally {
    globalThis.removeEventListener("unhandledrejection", listener);
    await store.rest();
    await store.log.close();
  }
});

it("a link that memory can't hold is refused before it is written", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(OLD, "k");
  const { urls } = master;
  const add = urls.add.bind(urls);
  urls.add = () => {
    throw new RangeError("32 GiB of links are full");
  };
  const error = await assertRejects(() => master.put(OLD), StoreError, "cannot keep one more link");
  assertEquals(error.kind, "full");
  urls.add = add;
  await master.put(NEW, "l");
  const text = await Deno.readTextFile(master.log.path);
  assertEquals(text.split("\n").map((line) => line && JSON.parse(line).Key), ["k", "l", ""]);
});
