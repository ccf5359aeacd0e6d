/**
 * Holds a master, mirrors and caches to their promises while all goes wrong that can. Clients at all
 * servers record what they were told, and an observer records the master's log. From both follows whether
 *
 * 1. every acknowledged write is in the log, once, and nothing that was refused;
 * 2. the master's answers have a right order (they are linearizable), link by link;
 * 3. who was told of a version of a link at a server sees that one or a later one there;
 * 4. once nothing is wrong any more, every server follows and shows what the master shows;
 * 5. a backup, and a mirror that is promoted, has what the master had at one moment, and terms rise;
 * 6. no replica is without a feed where nothing happens to the feed.
 *
 *     deno task torture -- --rounds=200
 *     deno task torture -- --seconds=300 --only=restore,backup,refusals
 *
 * @module
 */
import { random } from "../tests/random.ts";
import { refuse, takeArgs } from "./args.ts";
import { check } from "./torture/checks.ts";
import { prepare, work } from "./torture/clients.ts";
import { Cluster } from "./torture/cluster.ts";
import { type Fault, FAULTS } from "./torture/faults.ts";
import { checkFeeds, FeedWatch } from "./torture/feed_watch.ts";
import { heal } from "./torture/lanes.ts";
import { type Layout, LAYOUTS, SMALL } from "./torture/layouts.ts";
import type { Machine } from "./torture/machine.ts";
import { emptyReport, format, type Report } from "./torture/report.ts";
import { readMaster, settle } from "./torture/settle.ts";

const ROUND_MS = 700;
const THINK_MS = [10, 100, 500]; // between a client's questions, at most
const MOST_FAULTS = 3; // in a round
const QUIET = 8; // one of so many rounds has none
const CLUSTER_ROUNDS = 12; // then another cluster is started
const CLUSTER_EPOCHS = 5; // mirrors copy one history after the other ever more slowly

/** What to do. */
export interface Options {
  rounds: number;
  seed: number;
  /** No round begins after so long. */
  seconds?: number;
  /** The faults to choose from; by default all. */
  only?: string[];
  /** The clusters to start, one after the other; by default all that this machine has what it takes for. */
  layouts?: Layout[];
  /** Whether to leave out what takes a machine seconds of work. */
  light?: boolean;
  tell?: (text: string) => void;
}

/** Runs so many rounds, with faults and choices that come from `seed`. */
export async function torture(options: Options): Promise<Report> {
  const { rounds, seed, seconds = Infinity, only = Object.keys(FAULTS), tell = () => {} } = options;
  const { layouts = Object.values(LAYOUTS).filter((layout) => layout !== SMALL) } = options;
  const report = emptyReport();
  const end = performance.now() + 1000 * seconds;
  const faults = Object.entries(FAULTS).filter(([name, { possible = true, isHeavy = false }]) =>
    possible && only.includes(name) && !(isHeavy && options.light)
  );
  while (report.rounds < rounds && performance.now() < end) {
    const { pick } = random(seed + report.rounds);
    const layout = layouts[report.clusters++ % layouts.length];
    await using cluster = await Cluster.start(layout, pick);
    await prepare(cluster);
    for (const line of await settle(cluster)) {
      note(report, `cluster ${report.clusters}: ${line}`, tell);
    }
    const last = Math.min(rounds, report.rounds + CLUSTER_ROUNDS);
    let well = true;
    while (
      well && report.rounds < last && performance.now() < end &&
      cluster.observer.epochs.length < CLUSTER_EPOCHS
    ) {
      well = await playRound(cluster, seed + ++report.rounds, faults, report, tell);
    }
    conclude(cluster, report, tell);
  }
  return report;
}

/** Lets things go wrong for a while, then waits until all is well; whether it came to be. */
async function playRound(
  cluster: Cluster,
  seed: number,
  faults: [string, Fault][],
  report: Report,
  tell: (text: string) => void,
): Promise<boolean> {
  const { pick } = random(Math.imul(seed, 0x9e3779b1));
  const chosen = choose(faults, pick);
  const think = THINK_MS[pick(THINK_MS.length)];
  cluster.excused = chosen.some(([, { excuses }]) => excuses);
  const spared = chosen.every(([, { sparesFeeds }]) => sparesFeeds);
  const watch = spared ? new FeedWatch(cluster) : undefined;
  const resting = new AbortController();
  const working = work(cluster, seed, think, resting.signal);
  const taken = new Set<Machine>();
  const happened = await Promise.all(chosen.map(async ([name, fault]) => {
    const what = await fault.run(cluster, pick, ROUND_MS, taken).catch((error) => {
      cluster.broken.push(`${name}: ${error.message}`);
      return "failed";
    });
    if (what === undefined) return;
    report.faults[name] = (report.faults[name] ?? 0) + 1;
    return `${name} (${what})`;
  }));
  if (chosen.length === 0) await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  heal(cluster);
  resting.abort();
  await working;
  await watch?.stop();
  const broken = [
    ...cluster.broken.splice(0),
    ...checkFeeds(watch, report),
    ...await settle(cluster),
  ];
  cluster.excused = false;
  cluster.restored = false;
  await readMaster(cluster);
  const said = happened.filter((text) => text !== undefined).join(", ") || "no fault";
  const epoch = cluster.observer.epoch.number;
  const { length } = cluster.history.operations;
  tell(`round ${report.rounds}: ${said}; ${length} operations, epoch ${epoch}`);
  for (const line of broken) note(report, `round ${report.rounds} (${said}): ${line}`, tell);
  return broken.length === 0;
}

/** Chooses a few faults by their weights, at most one that begins another history. */
function choose(faults: [string, Fault][], pick: (n: number) => number): [string, Fault][] {
  const chosen: [string, Fault][] = [];
  const count = pick(QUIET) === 0 ? 0 : 1 + pick(MOST_FAULTS);
  for (let nth = 0; nth < count; nth++) {
    let at = pick(faults.reduce((sum, [, { weight }]) => sum + weight, 0));
    const one = faults.find(([, { weight }]) => (at -= weight) < 0);
    if (!one || chosen.includes(one)) continue;
    if (one[1].stopsService && chosen.some(([, { stopsService }]) => stopsService)) continue;
    if (one[1].renews && chosen.some(([, { renews }]) => renews)) continue;
    chosen.push(one);
  }
  return chosen;
}

/** Looks through all that happened to a cluster. */
function conclude(cluster: Cluster, report: Report, tell: (text: string) => void): void {
  const { history: { operations }, observer: { epochs } } = cluster;
  const { broken, linearizable, undecided } = check(operations, epochs);
  for (const line of broken) note(report, `cluster ${report.clusters}: ${line}`, tell);
  const count = (predicate: (one: typeof operations[0]) => boolean) =>
    operations.filter(predicate).length;
  report.operations += operations.length;
  report.reads += count(({ kind }) => kind === "get");
  report.writes += count(({ kind }) => kind !== "get");
  report.refused += count(({ outcome }) => ["exists", "missing", "full"].includes(outcome));
  report.unknown += count(({ kind, outcome }) => kind !== "get" && outcome === "unknown");
  report.epochs += epochs.length;
  report.linearizable += linearizable;
  report.undecided += undecided;
}

function note(report: Report, line: string, tell: (text: string) => void): void {
  report.broken.push(line);
  tell(`VIOLATION: ${line}`);
}

/** The names in an option's value, if there are any; ends with code 2 where one is unknown. */
function chosen(value: string, known: Record<string, unknown>, option: string) {
  const names = value === "" ? undefined : value.split(",");
  const wrong = names?.find((name) => !(name in known));
  if (wrong === undefined) return names;
  const some = Object.keys(known).join(",");
  refuse("torture", `--${option}: there is no ${wrong}`, `--${option}=NAMES, of ${some}`);
}

if (import.meta.main) {
  const values = takeArgs("torture", {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: `${random().seed}` },
    seconds: { type: "string", default: "86400" },
    only: { type: "string", default: "" },
    layout: { type: "string", default: "" },
  });
  const only = chosen(values.only, FAULTS, "only");
  const layouts = chosen(values.layout, LAYOUTS, "layout");
  console.log(`at most ${values.rounds} rounds with seed ${values.seed}`);
  const report = await torture({
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    seconds: Number(values.seconds),
    only,
    layouts: layouts?.map((name) => LAYOUTS[name]),
    tell: (text) => console.log(text),
  });
  console.log(format(report));
  Deno.exitCode = report.broken.length > 0 ? 1 : 0;
}
