import { assertEquals, assertGreater } from "@std/assert";
import { it } from "@std/testing/bdd";
import { crash } from "../scripts/crash.ts";
import { random } from "./random.ts";

for (const [flag, rounds] of [["-sync=always", 22], ["-sync=none", 3]] as const) {
  it(`a link that was acknowledged survives kill -9, with ${flag}`, async () => {
    const { seed } = random();
    const { lost, ...report } = await crash(rounds, seed, { flags: [flag] });
    assertEquals(lost, [], `seed ${seed}`);
    assertEquals(report.found, report.links);
    assertGreater(report.acknowledged, rounds);
    console.log(`seed ${seed}:`, report);
  });
}
