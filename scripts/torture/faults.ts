/**
 * What goes wrong in a round, and what operators do meanwhile.
 *
 * @module
 */
import { pause } from "../../links/wait.ts";
import { run } from "../../tests/processes.ts";
import { canLimit, tool } from "../../tests/tools.ts";
import type { Cluster } from "./cluster.ts";
import { compacted, fill, flood } from "./floods.ts";
import { placeOf } from "./databases.ts";
import { spoilDatabase, spoilLanes } from "./lanes.ts";
import type { Machine } from "./machine.ts";

/** A number below `n`. */
export type Pick = (n: number) => number;

/** One kind of trouble. */
export interface Fault {
  /** How often it comes, beside others. */
  weight: number;
  /** Whether servers may have nobody above to ask meanwhile. */
  excuses?: boolean;
  /** Whether it leaves feeds alone: then no replica may be without one. */
  sparesFeeds?: boolean;
  /** Whether it begins another history. */
  renews?: boolean;
  /** Whether it stops the database's service. */
  stopsService?: boolean;
  /** Whether it takes seconds of a machine's work. */
  isHeavy?: boolean;
  /** Whether it can happen on this machine. */
  possible?: boolean;
  /** Lets it happen, for about `ms` milliseconds, and says what happened; nothing, if it could not. */
  run(cluster: Cluster, pick: Pick, ms: number, taken: Set<Machine>): Promise<string | undefined>;
}

const REFUSES_MS = 10_000; // changes, after it was started

const never = new AbortController().signal;
const signals = ["SIGTERM", "SIGKILL"] as const;
const any = <T>(pick: Pick, all: readonly T[]): T => all[pick(all.length)];

/** Takes one of the machines for oneself; nothing, if others have them all. */
function take(pick: Pick, taken: Set<Machine>, machines: readonly Machine[]): Machine | undefined {
  const machine = any(pick, machines.filter((machine) => !taken.has(machine)));
  if (machine) taken.add(machine);
  return machine;
}

/** Those with a log: masters come as often as all mirrors. */
function ownersOf(cluster: Cluster, pick: Pick): Machine[] {
  return mirrorsOf(cluster).flatMap((mirror) => [mirror, any(pick, cluster.masters)]);
}

const mirrorsOf = ({ replicas }: Cluster) => replicas.filter(({ keeps }) => keeps);

/** All kinds of trouble, by name. */
export const FAULTS: Record<string, Fault> = {
  /** Reads, writes and feeds between servers are cut, late, or lost. */
  lanes: {
    weight: 4,
    excuses: true,
    run: (cluster, pick, ms) => spoilLanes(cluster, pick, ms, ["reads", "writes", "feed"]),
  },
  /** The same without reads: there is always somebody to ask. */
  feeds: {
    weight: 4,
    run: (cluster, pick, ms) => spoilLanes(cluster, pick, ms, ["writes", "feed"]),
  },
  "kill master": {
    weight: 2,
    excuses: true,
    async run(cluster, pick, ms, taken) {
      const machine = take(pick, taken, [cluster.master]);
      if (!machine) return;
      await pause(pick(ms), never);
      const gone = pick(2) * pick(ms);
      await cluster.restart(machine, any(pick, signals), () => pause(gone, never));
      return machine.name;
    },
  },
  "kill replica": {
    weight: 3,
    excuses: true,
    async run(cluster, pick, ms, taken) {
      const machine = take(pick, taken, cluster.replicas);
      if (!machine) return;
      await pause(pick(ms), never);
      const gone = pick(2) * pick(ms);
      await cluster.restart(machine, any(pick, signals), () => pause(gone, never));
      return machine.name;
    },
  },
  /** A mirror loses its disk. */
  "empty mirror": {
    weight: 2,
    excuses: true,
    async run(cluster, pick, ms, taken) {
      const copying = cluster.machines.filter(({ copies }) => copies);
      const machine = take(pick, taken, [...mirrorsOf(cluster), ...copying]);
      if (!machine) return;
      await pause(pick(ms), never);
      await machine.stop();
      for await (const { name } of Deno.readDir(machine.path)) {
        await Deno.remove(`${machine.path}/${name}`);
      }
      await cluster.launch(machine, false);
      return machine.name;
    },
  },
  /** A process stands still (SIGSTOP), and goes on. */
  freeze: {
    weight: 2,
    excuses: true,
    async run(cluster, pick, ms, taken) {
      const machine = take(pick, taken, cluster.machines);
      if (!machine) return;
      await pause(pick(ms), never);
      machine.goto?.kill("SIGSTOP");
      await pause(any(pick, [10, 500, 3000]), never);
      machine.goto?.kill("SIGCONT");
      return machine.name;
    },
  },
  compact: {
    weight: 4,
    sparesFeeds: true,
    async run(cluster, pick, ms, taken) {
      const machine = take(pick, taken, ownersOf(cluster, pick));
      if (!machine) return;
      // The observer must miss nothing that is compacted away.
      const { master } = cluster;
      if (machine.shares && machine !== master && !take(pick, taken, [master])) return;
      await pause(pick(ms), never);
      const { code, stderr } = await run("-compact", `-master=${machine.url}`);
      if (code !== 0 && !(machine.shares && cluster.excused)) {
        cluster.broken.push(`-compact of ${machine.name} failed: ${stderr}`);
      }
      return machine.name;
    },
  },
  backup: {
    weight: 4,
    sparesFeeds: true,
    async run(cluster, pick, ms, taken) {
      const { master } = cluster;
      if (!take(pick, taken, [master])) return;
      await pause(pick(ms), never);
      const how = master.keeps
        ? any(pick, ["file", "network", "copy", "copy"] as const)
        : any(pick, master.shares ? ["network", "service"] as const : ["network"] as const);
      await cluster.backup(how);
      return how;
    },
  },
  /** An older backup takes the place of the master's file. */
  restore: {
    weight: 2,
    excuses: true,
    renews: true,
    async run(cluster, pick, ms, taken) {
      const backups = cluster.backups.filter(({ isDatabase }) => !isDatabase);
      if (!cluster.master.keeps || backups.length === 0 || !take(pick, taken, [cluster.master])) {
        return;
      }
      await pause(pick(ms), never);
      const at = pick(2) ? backups.length - 1 : pick(backups.length);
      await cluster.restore(backups[at], any(pick, signals));
      return `backup ${at} of epoch ${backups[at].epoch}, term ${cluster.terms.at(-1)}`;
    },
  },
  /** The files of a database are copied while nobody uses it. */
  "copy database": {
    weight: 3,
    excuses: true,
    stopsService: true,
    async run(cluster, pick, ms, taken) {
      if (!placeOf(cluster) || !take(pick, taken, [cluster.master])) return;
      await pause(pick(ms), never);
      await cluster.copyDatabase(any(pick, signals));
      return `database ${cluster.backups.length - 1}`;
    },
  },
  /** An older copy takes the place of a database, often while masters on it go on. */
  "restore database": {
    weight: 3,
    excuses: true,
    renews: true,
    stopsService: true,
    async run(cluster, pick, ms, taken) {
      const copies = cluster.backups.filter(({ isDatabase }) => isDatabase);
      const { masters } = cluster;
      if (!placeOf(cluster) || copies.length === 0 || masters.some((one) => taken.has(one))) return;
      for (const machine of masters) taken.add(machine);
      await pause(pick(ms), never);
      const all = ["stopped", "frozen", "go on", "go on"] as const;
      const others = any(pick, masters[0].shares ? all : ["stopped"] as const);
      const at = pick(copies.length);
      const master = any(pick, masters);
      await cluster.restoreDatabase(copies[at], master, others, any(pick, signals));
      return `copy ${at} at ${master.name}, others ${others}`;
    },
  },
  /** A master is started whose place another one has taken, though it shall not be. */
  "old master": {
    weight: 2,
    async run(cluster, pick, _, taken) {
      const machine = any(pick, cluster.retired);
      if (!machine || taken.size > 0) return;
      for (const machine of cluster.machines) taken.add(machine);
      await cluster.revive(machine, REFUSES_MS);
      return machine.name;
    },
  },
  /** A mirror becomes the master, often one whose feed was late. */
  promote: {
    weight: 2,
    excuses: true,
    renews: true,
    stopsService: true,
    async run(cluster, pick, ms, taken) {
      const { master, masters } = cluster;
      if (masters.some((machine) => taken.has(machine))) return;
      if (!master.keeps && pick(3) > 0) return; // there is no way back to a database
      const mirror = take(pick, taken, mirrorsOf(cluster));
      if (!mirror) return;
      for (const machine of masters) taken.add(machine);
      const isLate = pick(2) === 0;
      if (isLate) { for (const lane of mirror.lanes.values()) lane.set("feed", "black hole"); }
      await pause(ms / 2 + pick(ms), never);
      const [own, above] = [await mirror.ready(), await master.ready()];
      if (!own.complete || own.term !== above.term || own.position === undefined) return;
      await cluster.promote(mirror, own.position, any(pick, signals));
      return `${mirror.name}${isLate ? " with a late feed" : ""}, ${
        (above.position ?? 0) - own.position
      } bytes behind, term ${cluster.terms.at(-1)}`;
    },
  },
  /** Nothing can be written to a disk beyond what is there, or a little more. */
  "full disk": {
    weight: 3,
    possible: canLimit,
    async run(cluster, pick, ms, taken) {
      const owners = ownersOf(cluster, pick).filter(({ keeps, copies }) => keeps || copies);
      const machine = take(pick, taken, owners);
      if (!machine?.goto) return;
      const { size } = await Deno.stat(machine.file).catch(() => ({ size: 0 }));
      const limit = (bytes: number | "unlimited") =>
        tool("prlimit", `--pid=${machine.goto?.pid}`, `--fsize=${bytes}:`);
      await limit(size + pick(500));
      await pause(ms, never);
      await limit("unlimited");
      return machine.name;
    },
  },
  /** The database's service is killed, or stands still, and goes on. */
  "kill service": {
    weight: 3,
    excuses: true,
    stopsService: true,
    async run({ service, master }, pick, ms) {
      if (service === undefined || !master.shares) return;
      await pause(pick(ms), never);
      const isKilled = pick(2) === 0;
      if (isKilled) await service.stop();
      else service.kill("SIGSTOP");
      await pause(pick(2 * ms), never);
      if (isKilled) await service.begin();
      else service.kill("SIGCONT");
      return isKilled ? "killed" : "stopped";
    },
  },
  /** Masters lose their database, each in its way. */
  database: {
    weight: 5,
    excuses: true,
    run: (cluster, pick, ms) => spoilDatabase(cluster, pick, 2 * ms),
  },
  /** Clients ask for a key that is taken, as fast as they can. */
  refusals: {
    weight: 3,
    sparesFeeds: true,
    run: ({ machines }, pick, ms) => flood(any(pick, machines).url, 8 * ms),
  },
  /** A file grows until its owner compacts it without being asked. */
  grow: {
    weight: 1,
    isHeavy: true,
    excuses: true,
    async run(cluster, pick, ms, taken) {
      const { master } = cluster;
      if (!master.keeps || !take(pick, taken, [master])) return;
      await pause(pick(ms), never);
      await cluster.restart(master, "SIGTERM", () => fill(master.file));
      await compacted(master);
      return master.name;
    },
  },
};
