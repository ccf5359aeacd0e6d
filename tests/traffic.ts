/**
 * Following links, and asking how often that was counted.
 *
 * @module
 */
import assert from "node:assert/strict"; // as in replicas.ts
import { eventually, follow, type Goto } from "./processes.ts";

/** Follows a link so many times, over several connections. */
export async function visit(base: string, key: string, times: number): Promise<void> {
  let left = times;
  await Promise.all(Array.from({ length: 4 }, async () => {
    while (left-- > 0) assert.equal((await follow(base, key)).status, 302);
  }));
}

/** Asks a server by RPC, with parameters by name or in their order. */
// deno-lint-ignore no-explicit-any
export async function call(base: string, method: string, params: unknown): Promise<any> {
  const response = await fetch(`${base}/rpc`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    signal: AbortSignal.timeout(10_000),
  });
  return await response.json();
}

/** The same, for the result, or the error. */
// deno-lint-ignore no-explicit-any
export async function rpc(base: string, method: string, ...params: unknown[]): Promise<any> {
  const { result, error } = await call(base, method, params);
  return error ?? result;
}

/** How often a link was followed, as a server says. */
export async function hitsOf({ url }: Goto, key = "docs"): Promise<number> {
  const { hits, message } = await rpc(url, "Store.Traffic", key);
  if (message !== undefined) throw new Error(message);
  return hits;
}

/** Waits until a server has counted so many. */
export async function counted(server: Goto, hits: number, key = "docs"): Promise<void> {
  await eventually(async () => assert.equal(await hitsOf(server, key), hits), 30_000);
}

/** Waits until the mirror at `file` has the counts of the master at `from`, byte for byte. */
export async function copied(file: string, from: string): Promise<void> {
  await eventually(async () => {
    const [ours, theirs] = await Promise.all(
      [file, from].map((path) => Deno.readTextFile(`${path}.hits`)),
    );
    assert.equal(ours, theirs);
  }, 30_000);
}
