import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Cache, LINK_BYTES } from "../links/cache.ts";
import { Missing } from "../links/missing.ts";
import { eventually } from "./processes.ts";
import { random } from "./random.ts";

for (const limit of [0, 1, 2, 3, 10, 1000]) {
  it(`Cache holds at most ${limit} links, and the right URL for each`, () => {
    const cache = new Cache(limit);
    const { seed, pick } = random();
    const urls = new Map<string, string>();
    for (let step = 0; step < 10_000; step++) {
      const key = `${pick(limit * 3 + 1)}`;
      if (pick(10) === 0) {
        cache.delete(key);
        urls.delete(key);
      } else if (pick(2) === 0) {
        cache.set({ key, url: `${step}` });
        urls.set(key, `${step}`);
      }
      const url = cache.get(key);
      assert(url === undefined || url === urls.get(key), `seed ${seed}, step ${step}`);
      assertLessOrEqual(cache.count, limit, `seed ${seed}, step ${step}`);
    }
  });
}

it("Cache.count counts a link once, also when it is asked for again", () => {
  const cache = new Cache(8);
  for (const key of ["a", "b", "c", "d"]) cache.set({ key, url: "url" });
  for (const key of ["a", "b", "c"]) cache.get(key);
  assertEquals(cache.count, 4);
});

it("Cache keeps what is asked for while others come and go", () => {
  const cache = new Cache(100);
  cache.set({ key: "hot", url: "url" });
  for (let i = 0; i < 10_000; i++) {
    cache.set({ key: `${i}`, url: "url" });
    assertEquals(cache.get("hot"), "url", `after ${i} others`);
  }
});

it("Cache bounds the bytes that links take, however long they are", () => {
  const { seed, pick } = random();
  for (const limit of [1, 10, 10_000]) {
    const cache = new Cache(limit);
    const most = Math.max(128 << 10, limit * LINK_BYTES);
    for (let i = 0; i < 5_000; i++) {
      const url = pick(2) ? "u".repeat(pick(8192)) : "你".repeat(pick(8192));
      cache.set({ key: `${i}`, url });
      assertEquals(cache.get(`${i}`), url, `seed ${seed}, limit ${limit}, link ${i}`);
      assertLessOrEqual(cache.bytes, most, `seed ${seed}, limit ${limit}, link ${i}`);
    }
    cache.set({ key: "0", url: "x".repeat(most) });
    assertEquals(cache.get("0"), undefined, "it is too large");
  }
});

it("Cache bounds the memory of links that are changed again and again", () => {
  const cache = new Cache(1000);
  const most = Math.max(128 << 10, 1000 * LINK_BYTES);
  for (let i = 0; i < 100_000; i++) {
    cache.set({ key: `${i % 10}`, url: `https://example.com/${i}` });
    assertLessOrEqual(cache.bytes, most);
  }
  for (let i = 99_990; i < 100_000; i++) {
    assertEquals(cache.get(`${i % 10}`), `https://example.com/${i}`);
  }
});

it("Missing remembers many keys, but not more than fit", () => {
  const missing = new Missing();
  const start = performance.now();
  for (let i = 0; i < 65_536; i++) missing.add(`${i}`);
  const asked = [missing.has("0"), missing.has("65535"), missing.has("unheard of")];
  if (performance.now() - start < 1000) assertEquals(asked, [true, true, false]);
  missing.delete("65535");
  assertEquals(missing.has("65535"), false);
  missing.add("65535");
  missing.add("one more");
  assertEquals([missing.has("0"), missing.has("65535")], [false, false], "there is room again");
  missing.add("x".repeat(65));
  assertEquals(missing.has("x".repeat(65)), false, "this is too long");
});

it("Missing forgets a key after a second", async () => {
  const missing = new Missing();
  missing.add("k");
  const start = performance.now();
  await eventually(() => !missing.has("k"), 5000);
  assert(performance.now() - start >= 900);
});
