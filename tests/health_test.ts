/** What a replica says of itself: whether it is ready, why not, and how far it is behind. */
import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Lag } from "../replica/lag.ts";
import { eventually } from "./processes.ts";
import { caughtUp, House, Wire } from "./wire.ts";

const URL = "https://example.com/";

it("a replica that a master has answered stays ready, and says how it is cut off", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(URL);
  const top = new Wire(master);
  const cache = await house.replica(top);
  const belowCache = await house.replica(new Wire(cache));
  const toMirror = new Wire(master);
  const mirror = await house.replica(toMirror, { file: house.file() });
  const belowMirror = await house.replica(new Wire(mirror));
  const all = [cache, belowCache, mirror, belowMirror];
  const health = async () =>
    await Promise.all(all.map(async (store) => {
      const { ready, writable, reason } = await store.health();
      return [ready, writable, reason];
    }));
  for (const replica of all) await caughtUp(replica, master);
  const well = all.map(() => [true, true, undefined]);
  assertEquals(await health(), well);

  for (const wire of [top, toMirror]) {
    wire.cut = true;
    wire.cutFeeds();
  }
  const away = "master out of reach";
  await eventually(async () => assertEquals(await health(), all.map(() => [true, false, away])));
  for (const wire of [top, toMirror]) wire.cut = false;
  for (const replica of all) await caughtUp(replica, master);
  assertEquals(await health(), well);
});

it("a replica that no master has answered is not ready, nor one below it, nor an unfinished mirror", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(URL);
  const top = new Wire(master);
  top.cut = true;
  const cache = await house.replica(top);
  const below = await house.replica(new Wire(cache));
  const toMirror = new Wire(master);
  toMirror.feedCut = true;
  const mirror = await house.replica(toMirror, { file: house.file() });
  const readiness = async () =>
    await Promise.all([cache, below, mirror].map(async (store) => (await store.health()).ready));
  // The mirror has nothing yet, but may ask.
  await eventually(async () => assertEquals(await readiness(), [false, false, true]));
  toMirror.cut = true;
  await eventually(async () => assertEquals(await readiness(), [false, false, false]));
  top.cut = toMirror.cut = toMirror.feedCut = false;
  await eventually(async () => assertEquals(await readiness(), [true, true, true]));
  await caughtUp(mirror, master);
  top.cut = toMirror.cut = true;
  await eventually(async () => (await below.health()).reason !== undefined);
  assertEquals(await readiness(), [true, true, true]);
});

it("a replica says at once how it is, also where its master owes it an answer", async () => {
  await using house = new House();
  const master = await house.master();
  const wire = new Wire(master);
  const replica = await house.replica(wire);
  await caughtUp(replica, master);
  wire.answers.close();
  const ask = async () => {
    const began = performance.now();
    const { ready, writable } = await replica.health();
    return { ready, writable, ms: performance.now() - began };
  };
  const first = await ask();
  assertEquals([first.ready, first.writable], [true, false]);
  assert(first.ms < 1000, `${first.ms}`);
  const took = [];
  for (let i = 0; i < 20; i++) took.push((await ask()).ms);
  took.sort((a, b) => a - b);
  assert(took[10] < 50, `${took}`);
  wire.answers.open();
  await eventually(async () => assertEquals((await ask()).writable, true));
});

it("a replica below one that can't write is as ready as any", async () => {
  await using house = new House();
  const master = await house.master();
  const replica = await house.replica(new Wire(master));
  await caughtUp(replica, master);
  const full = "No space left on device";
  master.health = () => Promise.resolve({ ready: true, writable: false, reason: full });
  const { ready, writable, reason } = await replica.health();
  assertEquals([ready, writable, reason], [true, false, full]);
});

it("Lag is that of the last moment at which the copy was where the master was", () => {
  const lag = new Lag();
  const now = performance.now();
  assertEquals(lag.seconds, undefined, "nobody knows");
  assertEquals(lag.reached(1e9), false, "nobody knows where the master is");
  const ago = () => performance.now() - (lag.seconds ?? NaN) * 1000; // as of when it is
  const assertNear = (time: number) => assert(Math.abs(ago() - time) < 50, `${ago()} ${time}`);
  lag.aim(100, now - 60_000);
  assertEquals(lag.reached(99), false);
  assertEquals(lag.seconds, undefined);
  assertEquals(lag.reached(100), true, "and it is time to ask again");
  assertNear(now - 60_000);
  lag.caughtUp(now - 90_000); // which is older
  assertNear(now - 60_000);
  lag.aim(200, performance.now());
  assertEquals(lag.reached(200), false, "it was asked just now");
  assertNear(performance.now());
  lag.caughtUp(performance.now() + 60_000); // a clock that was set back
  assertNear(performance.now());
});

it("a mirror of a busy master knows how far it is behind", async () => {
  await using house = new House();
  const master = await house.master();
  await master.put(URL);
  const wire = new Wire(master);
  const feed = wire.feed.bind(wire);
  wire.feed = async (...args) => {
    const stream = await feed(...args);
    // The master is so busy that its feed never comes to a heartbeat, which is a line of its own.
    const busy = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (chunk.length > 1) controller.enqueue(chunk);
      },
    });
    return { ...stream, body: stream.body.pipeThrough(busy) };
  };
  const mirror = await house.replica(wire, { file: house.file() });
  await caughtUp(mirror, master);
  assertEquals((await mirror.health()).lagBytes, 0);
  assertEquals((await mirror.health()).lagSeconds, 0);
  const start = performance.now();
  await eventually(async () => {
    wire.feeds.open();
    await master.put(URL);
    await eventually(() => mirror.position.from === master.position.from);
    wire.feeds.close();
    await master.put(URL);
    const { lagBytes, lagSeconds } = await mirror.health();
    assertEquals(lagBytes, master.position.from - mirror.position.from);
    assert(Number(lagSeconds) * 1000 <= performance.now() - start, `${lagSeconds}`);
  });
  await eventually(async () => Number((await mirror.health()).lagSeconds) > 0.05);
  wire.feeds.open();
});
