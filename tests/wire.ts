/**
 * A way to a master without a network, on which a test puts events in order: it holds back, delays or
 * loses what passes.
 *
 * @example
 * ```ts
 * const wire = new Wire(master);
 * const replica = Replica.of([wire]);
 * wire.answers.close(); // the master does its work, but nobody hears of it
 * ```
 *
 * @module
 */
import type { FeedStream, LogName } from "../journal/feed.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import { Replica, type ReplicaOptions } from "../replica/replica.ts";
import type { Transport } from "../replica/transport.ts";
import type { Reply } from "../jsonrpc/call.ts";
import { serveRPC } from "../rpc.ts";
import type { Backend } from "../replica/backend.ts";
import { URLStore, type URLStoreOptions } from "../store.ts";
import { eventually, tempDir } from "./processes.ts";

/** What passes here waits while it is closed. */
export class Gate {
  #open = Promise.withResolvers<void>();
  #isOpen = true;

  constructor() {
    this.#open.resolve();
  }

  close(): void {
    if (this.#isOpen) this.#open = Promise.withResolvers();
    this.#isOpen = false;
  }

  open(): void {
    this.#isOpen = true;
    this.#open.resolve();
  }

  /** Resolves when it is open, or rejects with the reason of `signal`. */
  async pass(signal: AbortSignal): Promise<void> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    try {
      while (!this.#isOpen) await Promise.race([this.#open.promise, aborted]);
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", abort);
      aborted.catch(() => {});
    }
  }
}

/** See above. */
export class Wire implements Transport {
  /** Reads and signs of life on their way to the master, and writes on theirs; the answers; the feed. */
  readonly reads = new Gate();
  readonly writes = new Gate();
  readonly answers = new Gate();
  readonly feeds = new Gate();
  /** Whether calls, and new feeds, fail at once. */
  cut = false;
  feedCut = false;
  /** The texts of the calls that came. */
  readonly called: string[] = [];
  #feeds = new Set<AbortController>();

  constructor(public target: Backend, readonly address = "memory") {}

  /** How often a method was called. */
  count(method: string): number {
    return this.called.join("").split(`"${method}"`).length - 1;
  }

  /** Ends the feeds there are; new ones may be opened. */
  cutFeeds(): void {
    for (const feed of this.#feeds) feed.abort(new Error("cut"));
    this.#feeds.clear();
  }

  async call(text: string, since: number, signal: AbortSignal): Promise<Required<Reply>> {
    this.called.push(text);
    if (this.cut) throw new Error("cut");
    const isWrite = /"Store\.(?:Put|Update|Delete)"/.test(text);
    await (isWrite ? this.writes : this.reads).pass(signal);
    const reply = await serveRPC(this.target)(text, since);
    await this.answers.pass(signal);
    if (this.cut || reply.text === undefined) throw new Error("cut");
    return { text: reply.text, position: reply.position };
  }

  async feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
    log?: LogName,
  ): Promise<FeedStream> {
    if (log === "hits") return await this.target.feed(offset, check, log);
    if (this.cut || this.feedCut) throw new Error("cut");
    await this.feeds.pass(signal);
    const stream = await this.target.feed(offset, check);
    const cut = new AbortController();
    this.#feeds.add(cut);
    const gate = this.feeds;
    const hold = new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        await gate.pass(AbortSignal.any([signal, cut.signal]));
        controller.enqueue(chunk);
      },
    });
    const ended = AbortSignal.any([signal, cut.signal]);
    return { ...stream, body: stream.body.pipeThrough(hold, { signal: ended }) };
  }
}

/** Stores in one process, which are closed, and their files removed, when this is disposed of. */
export class House implements AsyncDisposable {
  readonly #dir = tempDir();
  readonly #stores: Backend[] = [];
  #files = 0;

  /** A file that isn't there yet. */
  file(): string {
    return `${this.#dir.path}/${++this.#files}.jsonl`;
  }

  async master(options: URLStoreOptions & JournalOptions & { file?: string } = {}) {
    // What wires do to feeds shall be done to that of the links.
    const log = await Journal.open(options.file ?? this.file(), options);
    const store = new URLStore(log, { hits: false, ...options });
    this.#stores.push(store);
    await store.load();
    return store;
  }

  /** A replica that follows the feed, unless it can't. */
  async replica(wire: Wire | Wire[], options: ReplicaOptions = {}): Promise<Replica> {
    const replica = Replica.of([wire].flat(), options);
    this.#stores.push(replica);
    await replica.load();
    return replica;
  }

  async [Symbol.asyncDispose]() {
    for (const store of this.#stores.reverse()) {
      await store.endFeeds();
      await store.close();
    }
    this.#dir[Symbol.dispose]();
  }
}

/** Waits until a replica follows the feed, and has come as far as `store`. */
export async function caughtUp(replica: Backend, store: Backend): Promise<void> {
  await eventually(async () => {
    const { reason } = await replica.health();
    return reason === undefined && replica.position.from === store.position.from;
  });
}
