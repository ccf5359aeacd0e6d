import { assertEquals, assertGreater } from "@std/assert";
import { it } from "@std/testing/bdd";
import { fuzzFeed } from "../scripts/fuzz/feed.ts";
import { random } from "./random.ts";

// GOTO_FUZZ_SEED=... repeats a run.
const seed = Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed);

it(`a cache and a mirror show what was true, and keep it, whatever a master sends (seed ${seed})`, async () => {
  const { counts, wrong } = await fuzzFeed(36, seed);
  console.log(`seed ${seed}:`, counts);
  assertEquals(wrong, []);
  for (const kind of ["link", "no answer", "feed none", "health none", "call none"]) {
    assertGreater(counts[kind] ?? 0, 5, kind);
  }
});
