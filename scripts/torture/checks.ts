/**
 * Looks through a history for broken promises: lost writes, writes that were done twice, answers that no
 * order explains, and servers that went back.
 *
 * @module
 */
import type { Operation } from "./history.ts";
import { linearize, type Step } from "./linear.ts";
import type { Epoch } from "./log_record.ts";
import { checkSessions } from "./sessions.ts";

const MAX_TOLD = 12; // operations of an order that is told

/** What was looked at, and what was found. */
export interface Findings {
  broken: string[];
  /** Links whose operations have, or lack, a right order, in one epoch each. */
  linearizable: number;
  /** Links of which nobody knows, as the search took too long. */
  undecided: number;
}

/**
 * Looks through all operations, epoch by epoch. The last epoch's log must have been read to its end.
 *
 * @param complete whether the logs have all that was written; if not, less can be said
 */
export function check(
  operations: readonly Operation[],
  epochs: readonly Epoch[],
  complete = true,
): Findings {
  const findings: Findings = { broken: [], linearizable: 0, undecided: 0 };
  findings.broken.push(...epochs.flatMap(({ repeated }) => repeated));
  if (!complete) return findings;
  findings.broken.push(...checkWrites(operations, epochs));
  for (const epoch of epochs) {
    checkOrder(operations, epoch, findings);
    findings.broken.push(...checkSessions(operations, epoch));
  }
  return findings;
}

/** Whether all that was acknowledged was written, and nothing that was refused. */
function checkWrites(operations: readonly Operation[], epochs: readonly Epoch[]): string[] {
  const broken: string[] = [];
  for (const { name, kind, key, outcome, process, end } of operations) {
    if (kind === "get" || outcome === "unknown") continue;
    const written = epochs.filter((epoch) => epoch.has(name));
    const what = `${name} (${kind} ${key} at ${process.name}, answered at ${Math.round(end)} ms)`;
    if (outcome === "done" && written.length === 0) {
      broken.push(`${what} was acknowledged and is not in the log`);
    }
    // What a restore took back may be refused where it is repeated.
    if (outcome !== "done" && written.some(({ ended }) => end < ended)) {
      broken.push(`${what} was refused (${outcome}) and is in the log`);
    }
  }
  // Whatever the next epoch began with must not be written again in it.
  for (const epoch of epochs) {
    for (const { name } of epoch.entries) {
      if (name && epoch.known.has(name)) broken.push(`${name} was written again after a restore`);
    }
  }
  return broken;
}

/** Whether what the master of an epoch answered, and all writes, have a right order, link by link. */
function checkOrder(operations: readonly Operation[], epoch: Epoch, findings: Findings): void {
  const seen = new Map(epoch.entries.map((entry) => [entry.name, entry]));
  const byKey = new Map<string, Step[]>();
  for (const operation of operations) {
    const { name, kind, outcome, process, start, end } = operation;
    const entry = seen.get(name);
    let step: Step | undefined;
    if (entry !== undefined) {
      // Who repeated it after a promotion may have been answered for another time.
      const acknowledged = outcome === "done" && end <= epoch.ended;
      step = {
        ...operation,
        outcome: "done",
        end: acknowledged ? end : Math.max(entry.seen, start),
      };
    } else if (kind === "get") {
      // What one of several masters says that it lacks, all of them lack, until their database is restored.
      const isMiss = process.shared && operation.url === "" && end < epoch.ended;
      const counts = process.master || isMiss;
      const asked = counts && operation.epoch === epoch.number && outcome === "done";
      if (asked) step = operation;
    } else if (outcome === "exists" || outcome === "missing") {
      // Nobody knows which master refused what was asked while there was more than one.
      if (operation.epoch === epoch.number && end < epoch.ended) step = operation;
    }
    const key = entry?.key ?? operation.key;
    if (step === undefined || key === "") continue;
    if (!byKey.has(key)) byKey.set(key, []);
    byKey.get(key)!.push(step);
  }
  for (const [key, steps] of byKey) {
    const { linearizable, order, stuck } = linearize(steps, epoch.base.get(key));
    if (linearizable === undefined) findings.undecided++;
    else findings.linearizable++;
    if (linearizable !== false) continue;
    const before = order.slice(-MAX_TOLD).map(format).join(", ");
    findings.broken.push(
      `epoch ${epoch.number}, ${key}: no order explains ${stuck && format(stuck)} after ${
        before || "the start"
      } (first ${epoch.base.get(key) || "none"})`,
    );
  }
}

/** An operation in a line. */
function format({ name, kind, url, outcome, start, end }: Step): string {
  const what = kind === "get"
    ? `get of ${url || "none"}`
    : outcome === "done"
    ? kind
    : `${kind} (${outcome})`;
  return `${name} ${what} ${start.toFixed(1)}-${end.toFixed(1)}`;
}
