/**
 * The way to a database, as a replica goes it.
 *
 * @module
 */
import type { FeedStream } from "../journal/feed.ts";
import type { Transport } from "../replica/transport.ts";
import { type Reply, serveRPC } from "../rpc.ts";
import type { KVStore } from "./store.ts";

/** What stands between a replica and a database that is its master. */
export class KVTransport implements Transport {
  constructor(readonly address: string, private readonly store: KVStore) {}

  async call(text: string, _since: number, signal: AbortSignal): Promise<Required<Reply>> {
    let failure: { error: unknown } | undefined;
    const call = serveRPC(this.store, (error) => failure ??= { error });
    // What it reads is never older than what was committed before: as new as any position that is known.
    const { text: answer = "", position } = await until(signal, call(text, undefined, true)); // who may say what was asked before
    if (failure) throw failure.error;
    return { text: answer, position };
  }

  feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<FeedStream> {
    return until(signal, this.store.history.open(offset, check, signal));
  }
}

/** Settles as `promise` does, or is rejected as soon as `signal` is aborted. */
async function until<T>(signal: AbortSignal, promise: T | Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
