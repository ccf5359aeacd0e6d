/**
 * What must be so once nothing is wrong any more: every server follows, and shows what the master shows.
 *
 * @module
 */
import { eventually } from "../../tests/processes.ts";
import { ask } from "./clients.ts";
import type { Cluster } from "./cluster.ts";
import { differences, readLog } from "./log_record.ts";
import { logOf } from "./databases.ts";
import type { Machine } from "./machine.ts";

const SETTLE_MS = 30_000; // for a server to follow again, after the last fault
const SHOW_MS = 3000; // for a link to show at a server that follows
const AT_ONCE = 8; // links that are looked up

/** Waits until all is well, and says what isn't, in time. */
export async function settle(cluster: Cluster): Promise<string[]> {
  const { master, observer, replicas } = cluster;
  const broken: string[] = [];
  const settles = (machine: Machine, what: string, check: () => Promise<void>) =>
    within(SETTLE_MS, check).catch((error) => {
      broken.push(`${machine.name} ${what}: ${error.message}; it warned of ${machine.warnings}`);
    });
  const late = `${SETTLE_MS / 1000} s after all faults ended`;
  await settles(master, `is not ready, ${late}`, async () => {
    const { ready, reason } = await master.ready();
    if (!ready) throw new Error(reason);
  });
  await settles(master, `has a feed that does not come to its end, ${late}`, async () => {
    const { position } = await master.ready();
    if (observer.position !== position) {
      throw new Error(`it stops at ${observer.position}, before ${position}`);
    }
  });
  broken.push(...observer.bad.splice(0));
  for (const key of observer.epoch.links.keys()) cluster.keys.add(key);
  await Promise.all(
    replicas.map((replica) =>
      settles(replica, `does not follow, ${late}`, () => follows(replica, master))
    ),
  );
  for (const wrong of await Promise.all(replicas.map((replica) => compare(cluster, replica)))) {
    broken.push(...wrong);
  }
  if (broken.length > 0) return broken;
  for (const replica of replicas) {
    if (replica.keeps) broken.push(...await compareFiles(cluster, replica));
  }
  for (const machine of cluster.machines) {
    if (!machine.copies) continue;
    let wrong: string[] = [];
    const agrees = async () => (wrong = await compareFiles(cluster, machine)).length === 0;
    if (!await eventually(agrees, SHOW_MS).catch(() => false)) broken.push(...wrong);
  }
  broken.push(...cluster.checkBackups());
  return broken;
}

/** Waits until `check` passes; else fails as it failed last. */
async function within(ms: number, check: () => Promise<void>): Promise<void> {
  let reason: unknown;
  const attempt = () => check().catch((error) => Promise.reject(reason = error));
  await eventually(attempt, ms).catch((error) => Promise.reject(reason ?? error));
}

/** Checks that a replica says of itself that it has all, and of the same history as the master. */
async function follows(replica: Machine, master: Machine): Promise<void> {
  const [own, above] = [await replica.ready(), await master.ready()];
  const { ready, reason, term, position, lagBytes, complete, links } = own;
  if (!ready || reason !== undefined) throw new Error(reason ?? "it is not ready");
  if (term !== above.term) throw new Error(`its term is ${term}, the master's ${above.term}`);
  if (position !== above.position) {
    throw new Error(`its position is ${position}, the master's ${above.position}`);
  }
  if (replica.shares) return; // it follows nobody
  if (lagBytes !== 0) throw new Error(`it lags ${lagBytes} bytes`);
  if (!replica.keeps) return;
  if (complete !== true) throw new Error("it is not complete");
  if (links !== above.links) {
    throw new Error(`it says that it is complete, with ${links} of ${above.links} links`);
  }
}

/** Looks every key up that was ever used: the replica must show what the master shows. */
async function compare(cluster: Cluster, replica: Machine): Promise<string[]> {
  const wrong: string[] = [];
  const keys = [...cluster.keys];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let key; (key = keys.pop()) !== undefined;) {
      const wanted = cluster.observer.epoch.links.get(key) ?? "";
      let shown = "";
      const agrees = async () => {
        const { outcome, url } = await ask(cluster, replica, "get", key!);
        shown = outcome === "done" ? url || "none" : outcome;
        return outcome === "done" && url === wanted;
      };
      // The first look may come a moment too early; one that is wrong for good stays wrong.
      if (await agrees() || await eventually(agrees, SHOW_MS).catch(() => false)) continue;
      wrong.push(`${key} (${shown}, not ${wanted || "none"})`);
    }
  }));
  const { ready, lagBytes } = wrong.length > 0 ? await replica.ready() : {};
  return wrong.length === 0 ? [] : [
    `${replica.name} shows ${wrong.length} links wrong for good, ready ${ready}, lag ${lagBytes}: ${
      wrong.slice(0, 3).join(", ")
    }`,
  ];
}

/** Compares the file of a mirror, or a copy, and the log of the master: link by link, and byte by byte where both begin alike. */
async function compareFiles({ master }: Cluster, mirror: Machine): Promise<string[]> {
  const [one, other] = await Promise.all([
    logOf(master),
    Deno.readTextFile(mirror.file),
  ]).catch((error) => [error]);
  if (other === undefined) return [`cannot compare ${mirror.name} with ${master.name}: ${one}`];
  const wrong = differences(readLog(other).links, readLog(one).links);
  if (wrong.length > 0) return [`the file of ${mirror.name} differs: ${wrong.join("; ")}`];
  const firstLine = (text: string) => text.slice(0, text.indexOf("\n"));
  if (firstLine(one) === firstLine(other) && one.trimEnd() !== other.trimEnd()) {
    return [`the file of ${mirror.name} has other bytes than the master's`];
  }
  return [];
}

/** Looks every key up at the master, for the history. */
export async function readMaster(cluster: Cluster): Promise<void> {
  for (const key of cluster.keys) await ask(cluster, cluster.master, "get", key);
}
