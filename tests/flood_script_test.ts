import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { floods } from "../scripts/flood.ts";

it("the floods are measured: redirects, memory, and what a write takes", async () => {
  const rows = await floods("followers: 2,000", 0.01);
  assertEquals(rows.length, 1);
  const [{ p50 = 0, p99 = 0, failed, of, before, most, note }] = rows;
  assertEquals(failed, 0);
  assert(of > 0 && p50 > 0 && p99 >= p50 && before > 0 && most >= before, JSON.stringify(rows));
  assert(/^a write takes [\d.]+ ms \(p99 [\d.]+\)$/.test(note), note);
});
