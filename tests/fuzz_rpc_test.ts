import { assertEquals, assertGreater } from "@std/assert";
import { it } from "@std/testing/bdd";
import { fuzzRPC } from "../scripts/fuzz/rpc.ts";
import { random } from "./random.ts";

// GOTO_FUZZ_SEED=... repeats a run.
const seed = Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed);

it(`every text is answered as JSON-RPC 2.0 and the methods say (seed ${seed})`, async () => {
  const { rounds, counts, wrong } = await fuzzRPC(6000, seed);
  console.log(`seed ${seed}:`, counts);
  assertEquals(wrong, []);
  // Good texts, and each kind of bad ones.
  for (const kind of ["result", "none", -32700, -32600, -32601, -32602, -32001, -32003]) {
    assertGreater(counts[kind] ?? 0, rounds / 2000, `${kind}`);
  }
});
