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
  for (const machine of machines) machine.heal();
}

/** Lets the ways of masters to their database go wrong, each in its way, then right again. */
export async function spoilDatabase(
  cluster: Cluster,
  pick: (n: number) => number,
  ms: number,
): Promise<string | undefined> {
  const machines = cluster.masters.filter(({ database }) => database);
  if (machines.length === 0) return;
  const done: string[] = [];
  await Promise.all(machines.map(async (machine) => {
    const database = machine.database!;
    for (let part = 0; part < 2; part++) {
      await pause(pick(ms / 2), never);
      const kind = ["cut", "away", "late", "silent", "well"][pick(5)];
      if (kind === "cut") database.cut();
      if (kind === "cut" && pick(2)) database.cutAfter(1 + pick(2000));
      if (kind === "late") database.delay = 1 + pick(300);
      if (kind === "silent") database.silence(); // also the watch
      if (kind === "away") {
        database.refuses = true;
        database.cut();
      }
      if (kind !== "well") done.push(`${machine.name} ${kind}`);
      await pause(ms / 4, never);
      machine.heal();
    }
  }));
  return done.join(", ") || undefined;
}
