import { assertEquals, assertGreater } from "@std/assert";
import { it } from "@std/testing/bdd";
import { torture } from "../scripts/torture.ts";
import { random } from "./random.ts";

it("servers keep what they promise while reads, writes and feeds are cut, late or lost", async () => {
  const { seed } = random();
  const { broken, ...report } = await torture(8, seed);
  console.log(`seed ${seed}:`, report);
  assertEquals(broken, [], `seed ${seed}`);
  assertGreater(report.faults, report.rounds);
  assertGreater(report.writes, report.unknown);
});
