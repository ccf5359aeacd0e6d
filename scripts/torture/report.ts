/**
 * What a run did and found.
 *
 * @module
 */

/** The figures of a run. */
export interface Report {
  rounds: number;
  operations: number;
  reads: number;
  writes: number;
  /** Writes that were refused: 404, 409, 507. */
  refused: number;
  /** Writes of which nobody could say whether they were done. */
  unknown: number;
  /** How often each fault happened. */
  faults: Record<string, number>;
  /** Clusters that were started, and histories that began by promotion or restore. */
  clusters: number;
  epochs: number;
  /** Links with a right order of all that was asked of them, in one epoch each; and those that took too long. */
  linearizable: number;
  undecided: number;
  /** The largest part of looks, in rounds that spare feeds, in which a replica had none. */
  withoutFeed: number;
  /** Looks at replicas in these rounds. */
  looks: number;
  broken: string[];
}

export function emptyReport(): Report {
  return {
    rounds: 0,
    operations: 0,
    reads: 0,
    writes: 0,
    refused: 0,
    unknown: 0,
    faults: {},
    clusters: 0,
    epochs: 0,
    linearizable: 0,
    undecided: 0,
    withoutFeed: 0,
    looks: 0,
    broken: [],
  };
}

/** All of it in one line. */
export function format(report: Report): string {
  const { rounds, operations, reads, writes, refused, unknown, faults } = report;
  const { clusters, epochs, linearizable, undecided, looks, withoutFeed, broken } = report;
  const kinds = Object.entries(faults).sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`).join(", ");
  return `${rounds} rounds, ${operations} operations (${reads} reads, ${writes} writes, ` +
    `${refused} of them refused, ${unknown} of unknown outcome), faults: ${kinds || "none"}; ` +
    `${clusters} clusters, ${epochs} epochs, ${linearizable} orders found, ${undecided} undecided, ` +
    `without a feed in at most ${(100 * withoutFeed).toFixed(1)}% of ${looks} looks; ` +
    `${broken.length} violations`;
}
