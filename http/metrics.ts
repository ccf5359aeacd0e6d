/**
 * What the process is asked for by whoever watches it.
 *
 * @module
 */
import type { Sources } from "./prometheus.ts";

/**
 * All metrics of the process, as Prometheus reads them. On a replica it asks the master how far it is.
 * What that needs of the platform takes longer to load than all the rest: whoever asks first waits for
 * it, and not the start.
 */
export async function metrics(sources: Sources): Promise<string> {
  return await (await import("./prometheus.ts")).describeAll(sources);
}
