/**
 * What must be so once nothing is wrong any more: every server follows, and shows what the master shows.
 *
 * @module
 */
import { eventually } from "../../tests/processes.ts";
import { ask } from "./clients.ts";
import type { Cluster } from "./cluster.ts";
import { differences, readLog } from "./log_record.ts";
import type { Machine } from "./machine.ts";

const SETTLE_MS = 30_000; // for a server to follow again, after the last fault
const SHOW_MS = 3000; // for a link to show at a server that follows
const AT_ONCE = 8; // links that are looked up

/** Waits until all is well, and says what isn't, in time. */
export async function settle(cluster: Cluster): Promise<string[]> {
  const { master, observer, replicas } = cluster;
  const position = async () => (await master.ready()).position ?? 0;
  const broken: string[] = [];
  const tell = (text: string, machine: Machine) => (error: Error) => {
    const reason = error.message.replace(/^not true within \d+ ms: /, "");
    broken.push(`${text}: ${reason}; it warned of ${machine.warnings}`);
  };
  await eventually(async () => {
    const { ready, reason } = await master.ready();
    if (!ready) throw new Error(reason);
  }, SETTLE_MS).catch(tell("the master is not ready", master));
  await eventually(async () => {
    if (observer.position !== await position()) throw new Error(`${observer.position}`);
  }, SETTLE_MS).catch(tell("the master's feed does not come to its end", master));
  broken.push(...observer.bad.splice(0));
  for (const key of observer.epoch.links.keys()) cluster.keys.add(key);
  await Promise.all(
    replicas.map((replica) =>
      eventually(() => follows(replica, master), SETTLE_MS).catch(
        tell(
          `${replica.name} does not follow, ${SETTLE_MS / 1000} s after all faults ended`,
          replica,
        ),
      )
    ),
  );
  if (broken.length > 0) return broken;
  await Promise.all(
    replicas.map(async (replica) => broken.push(...await compare(cluster, replica))),
  );
  for (const replica of replicas) {
    if (replica.keeps) broken.push(...await compareFiles(master, replica));
  }
  return broken;
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

/** Compares the files of a mirror and of the master: link by link, and byte by byte where both begin alike. */
async function compareFiles(master: Machine, mirror: Machine): Promise<string[]> {
  const [one, other] = await Promise.all(
    [master, mirror].map(({ file }) => Deno.readTextFile(file)),
  );
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
