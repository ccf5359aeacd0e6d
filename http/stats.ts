/**
 * What the main thread counts: calls, commits, and what it asked the master.
 *
 * @module
 */
import { Histogram } from "./exposition.ts";

const SYNC_SECONDS = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
];
const BATCH_SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];

/** Counters of the main thread, and what counts in them. */
export class Stats {
  readonly started = Date.now() / 1000;
  readonly calls = new Map<string, number>(); // by method
  readonly callErrors = new Map<string, number>(); // by code
  readonly batches = new Histogram(BATCH_SIZES);
  readonly commits = new Histogram(BATCH_SIZES);
  readonly syncs = new Histogram(SYNC_SECONDS);
  readonly masterRequests = new Histogram(REQUEST_SECONDS);
  masterErrors = 0;

  /** Counts JSON-RPC that is served. */
  readonly rpc = {
    request: (calls: number) => this.batches.observe(calls),
    call: (method: string) => increment(this.calls, method),
    error: (code: number) => increment(this.callErrors, String(code)),
  };

  /** Counts what a journal is given. */
  readonly journal = {
    committed: (lines: number) => this.commits.observe(lines),
    synced: (seconds: number) => this.syncs.observe(seconds),
  };

  /** Counts a request to the master. */
  asked(seconds: number, failed: boolean): void {
    this.masterRequests.observe(seconds);
    if (failed) this.masterErrors++;
  }
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
