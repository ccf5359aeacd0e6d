/**
 * What goes wrong between servers.
 *
 * @module
 */
import { pause } from "../../links/wait.ts";
import type { Fault, LaneName } from "../../tests/lanes.ts";
import type { Cluster } from "./cluster.ts";

const never = new AbortController().signal;

/** Lets lanes go wrong, then in another way, then right again. */
export async function spoilLanes(
  { machines }: Cluster,
  pick: (n: number) => number,
  ms: number,
  names: readonly LaneName[],
): Promise<string> {
  const lanes = machines.flatMap(({ lanes }) => [...lanes.values()]);
  let count = 0;
  for (const part of [ms / 2, ms / 2]) {
    for (const lane of lanes) {
      for (const name of names) {
        lane.set(name);
        if (pick(2) === 0) continue;
        const kinds: Fault[] = [1 + pick(300), 30, "cut", "black hole"];
        lane.set(name, kinds[pick(kinds.length)]);
        count++;
      }
    }
    await pause(part, never);
  }
  return `${count}`;
}

/** Lets all lanes be right again. */
export function heal({ machines }: Cluster): void {
  for (const { lanes } of machines) for (const lane of lanes.values()) lane.heal();
}
