import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { soak } from "../scripts/soak.ts";
import { growth, type Sample } from "../scripts/soak/watch.ts";
import { random } from "./random.ts";

it("a master, a replica and a mirror lose nothing while they are read, written, followed, flooded and killed", async () => {
  const { seed } = random();
  const { rows, links, wrong } = await soak(0.06, seed);
  const sum = (name: "redirects" | "writes" | "strangers" | "kills") =>
    rows.reduce((sum, row) => sum + row[name], 0);
  const done = {
    redirects: sum("redirects"),
    writes: sum("writes"),
    strangers: sum("strangers"),
    kills: sum("kills"),
  };
  console.log(`seed ${seed}:`, { ...done, links });
  assertEquals(wrong, [], `seed ${seed}`);
  for (const count of Object.values(done)) assertGreater(count, 0);
  assertGreater(links, 0);
});

it("the soak sees who grows, and only after some time", () => {
  const samples = (take: (second: number) => number, pid = 1): Sample[] =>
    Array.from({ length: 600 }, (_, second) => ({ second, pid, memory: take(second) }));
  assertEquals(growth(samples(() => 100), 240), undefined);
  assertEquals(growth(samples((second) => 80 + 20 * Math.min(1, second / 60)), 240), undefined);
  assertMatch(
    growth(samples((second) => 100 + second / 5), 240) ?? "",
    /^it grew from \d+ to \d+ MB$/,
  );
  assertEquals(growth(samples((second) => 100 + second / 5).slice(0, 200), 240), undefined);
  // One that was killed began anew.
  const killed = [...samples((second) => 100 + second), ...samples(() => 100, 2)];
  assertEquals(growth(killed, 240), undefined);
  const open = samples(() => 100).map((one) => ({ ...one, descriptors: one.second }));
  assertMatch(growth(open, 240) ?? "", /descriptors$/);
});
