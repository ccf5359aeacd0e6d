/**
 * What counts how often links are followed.
 *
 * @module
 */
import type { Counts } from "./counts.ts";

/** Adds up what is counted, or passes it on to who does: as far as other servers are concerned. */
export interface ServedHits {
  /**
   * Adds what another server counted, once for each id.
   *
   * @throws {StoreError} full, unavailable: it can't be kept now
   */
  take(counts: Counts): Promise<void>;
}

/** The same, for the server that counts. */
export interface Counting extends ServedHits {
  /** Adds what was counted here. */
  add(counts: Counts): void;
  /** Keeps what was counted, or sends it, and lets go of everything. */
  close(): Promise<void>;
}
