/**
 * The methods of a store, called from afar.
 *
 * @module
 */
import type { Answer, Client } from "../jsonrpc/client.ts";
import { Lane } from "./lane.ts";
import type { Masters } from "./masters.ts";

const WRITES = new Set(["Store.Put", "Store.Update", "Store.Delete"]);

/**
 * Calls a master. Reads and writes travel apart, so that a read never waits for a disk, and neither
 * waits for a list, or for what is counted.
 *
 * @example
 * ```ts ignore
 * const client = new BatchClient(new Masters([new HTTPTransport("http://localhost:8080")]));
 * const { result } = await client.call("Store.Get", ["0"]);
 * ```
 */
export class BatchClient implements Client {
  readonly #reads: Lane;
  readonly #writes: Lane;
  readonly #lists: Lane;
  readonly #counts: Lane;

  constructor(readonly masters: Masters) {
    this.#reads = new Lane(masters, false);
    this.#writes = new Lane(masters, true);
    this.#lists = new Lane(masters, false);
    // Whoever sends what was counted sends it again, and not as soon.
    this.#counts = new Lane(masters, false, false);
  }

  get down(): boolean {
    return this.#reads.down;
  }

  call(method: string, params: (string | undefined)[], since = 0): Promise<Answer> {
    const lane = WRITES.has(method)
      ? this.#writes
      : method === "Store.List"
      ? this.#lists
      : method === "Store.Hits"
      ? this.#counts
      : this.#reads;
    return lane.call(method, params, since);
  }
}
