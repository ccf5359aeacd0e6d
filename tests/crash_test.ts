import { assertEquals, assertGreater } from "@std/assert";
import { it } from "@std/testing/bdd";
import { crash } from "../scripts/crash.ts";
import { random } from "./random.ts";
import { rounds } from "./rounds.ts";

for (
  const [flag, count] of [["-sync=always", rounds(4, 22)], ["-sync=none", rounds(1, 3)]] as const
) {
  it(`a link that was acknowledged survives kill -9, with ${flag}`, async () => {
    const { seed } = random();
    const { lost, ...report } = await crash(count, seed, { flags: [flag] });
    assertEquals(lost, [], `seed ${seed}`);
    assertEquals(report.found, report.links);
    assertGreater(report.acknowledged, count);
    console.log(`seed ${seed}:`, report);
  });
}
