import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Ahead } from "../links/ahead.ts";
import { random } from "./random.ts";

it("Ahead names the keys that the feed has not reached, until it has", () => {
  const ahead = new Ahead();
  assertEquals(ahead.note("a", 100, 100), false, "it is there already");
  assertEquals([ahead.has("a"), ahead.of("a"), ahead.furthest], [false, 0, 100]);
  assertEquals(ahead.note("a", 120, 100), true);
  assertEquals(ahead.note("b", 130, 100), true);
  assertEquals(ahead.note("a", 110, 100), true, "but this is less than what is known");
  assertEquals([ahead.of("a"), ahead.of("b"), ahead.of("c"), ahead.furthest], [120, 130, 0, 130]);
  assertEquals([...ahead.keys()], ["a", "b"]);
  assertEquals(ahead.reach(119), []);
  assertEquals(ahead.reach(120), ["a"]);
  assertEquals([ahead.has("a"), ahead.has("b")], [false, true]);
  ahead.note("b", 150, 120);
  assertEquals(ahead.reach(149), []);
  assertEquals(ahead.reach(150), ["b"]);
  assertEquals([ahead.of("b"), ahead.furthest], [0, 150]);
});

it("Ahead waits for nothing beyond the end of a journal, but for what was noted since", () => {
  const ahead = new Ahead(2);
  for (const [at, key] of ["a", "b", "c"].entries()) ahead.note(key, 110 + 10 * at, 100);
  assertEquals([ahead.of("a"), ahead.of("b"), ahead.others], [130, 130, 130]);
  ahead.cut(115, ahead.noted);
  assertEquals([ahead.of("a"), ahead.of("b"), ahead.others, ahead.furthest], [115, 115, 115, 115]);
  assertEquals(ahead.reach(115), ["a", "b"]);
  assertEquals([ahead.of("a"), ahead.others], [0, 0]);

  ahead.note("a", 120, 115);
  ahead.note("b", 130, 115);
  const { noted } = ahead;
  ahead.note("b", 140, 115);
  ahead.cut(117, noted);
  assertEquals([ahead.of("a"), ahead.of("b"), ahead.furthest], [117, 140, 140]);
  ahead.note("c", 150, 115);
  ahead.cut(117, noted);
  assertEquals([ahead.others, ahead.furthest], [150, 150]);
  ahead.clear();
  assertEquals([ahead.of("a"), ahead.furthest, [...ahead.keys()]], [0, 0, []]);
});

for (const limit of [0, 3, 1000]) {
  const { seed, pick } = random();
  it(`Ahead with room for ${limit} keys forgets none of them too early (seed ${seed})`, () => {
    const ahead = new Ahead(limit);
    const told = new Map<string, number>(); // to which position, by key
    let reached = 0;
    let furthest = 0;
    for (let i = 0; i < 20_000; i++) {
      if (pick(4) === 0) {
        reached += pick(30);
        ahead.reach(reached);
      } else {
        const [key, position] = [`${pick(10)}`, reached + pick(100) - 20];
        furthest = Math.max(furthest, position);
        assertEquals(ahead.note(key, position, reached), position > reached);
        told.set(key, Math.max(position, told.get(key) ?? 0));
      }
      for (const [key, position] of told) {
        if (position > reached) assert(ahead.of(key) >= position, `${key} ${i}`);
      }
      assertEquals(ahead.furthest, furthest);
      assert([...ahead.keys()].length <= limit);
    }
    ahead.reach(furthest);
    ahead.reach(furthest);
    assertEquals([ahead.others, ahead.of("0"), [...ahead.keys()]], [0, 0, []]);
  });
}
