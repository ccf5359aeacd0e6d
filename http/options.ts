/**
 * How requests are answered.
 *
 * @module
 */
import type { Tally } from "../hits/tally.ts";
import type { Store } from "../store.ts";
import type { Counters } from "./counters.ts";
import type { GuardOptions } from "./guard.ts";
import type { Probe } from "./probes.ts";
import type { OnError } from "./problem.ts";
import type { RPC } from "./rpc.ts";

/** What the handlers work on. */
export interface HandlerOptions extends GuardOptions {
  store: Store;
  /** RPC for replicas; without it, `/rpc` is not found. */
  rpc?: RPC;
  /** Whether what follows a key goes into its URL. */
  suffix?: boolean;
  /** The header in which a proxy names the user. */
  userHeader?: string;
  /** What is answered to those who watch over the server; without it, what its store says. */
  probes?: [path: string, probe: Probe][];
  /** What counts the answers. */
  counters?: Counters;
  /** What counts how often each link is followed. */
  tally?: Tally;
  onError?: OnError;
}
