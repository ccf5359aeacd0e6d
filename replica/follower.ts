/**
 * Following a master's feed.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { type FeedStream, HEARTBEAT_MS, type LogName, wholeLines } from "../journal/feed.ts";
import { StoreError } from "../links/errors.ts";
import { type Masters, MAX_BACKOFF_MS, MIN_BACKOFF_MS } from "./masters.ts";
import { kindOf, type Sign } from "./prober.ts";
import type { Transport } from "./transport.ts";
import { Backoff } from "../links/wait.ts";

const SILENT_MS = 3 * HEARTBEAT_MS; // a feed that is silent for longer is dead
const STEADY_MS = 3 * HEARTBEAT_MS; // a feed that went on for so long was a good one
const BROKEN_MS = 400;
const QUIET_MS = 60_000; // and after so long what ends it is news
const MAX_REASONS = 100; // that are told until then
const MAX_BLANKS = 100; // more than there should be by the time

export const errNoFeed = new StoreError("unavailable", "the feed is not at hand");

/** Refuses a feed with a line that is no change. */
export function refuseLine(_line: number, reason: string): never {
  throw new Error(`the feed has a bad line: ${reason}`);
}

/** What keeps a copy from following, and was told of already. */
export class KnownTrouble extends Error {}

/** What takes a feed in. */
export interface Followed {
  /** Opens the feed by `connection` and takes it in until it ends. */
  follow(connection: FeedConnection): Promise<void>;
  /** The feed was lost: what comes from now on is not heard of. */
  lost?(): void;
}

/** Follows the feed of whichever master answers, until it is closed. */
export class Follower {
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;

  /**
   * @param letGo called where the copy hears of no changes, though a master can be asked: then those who
   * follow the copy are to be let go, so that they ask, too
   */
  constructor(
    private readonly masters: Masters,
    private readonly copy: Followed,
    private readonly letGo: () => void,
    private readonly events: Events = silent,
  ) {
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const closed = this.#closed.signal;
    const backoff = new Backoff(MIN_BACKOFF_MS, MAX_BACKOFF_MS);
    const told = new Set<string>();
    for (;;) {
      await this.masters.up();
      if (closed.aborted) return;
      const connection = new FeedConnection(this.masters, closed, this.letGo);
      const { session } = this.masters;
      const began = performance.now();
      let trouble: unknown = new Error("it ended");
      try {
        await this.copy.follow(connection);
      } catch (error) {
        trouble = error;
      }
      connection.end();
      this.copy.lost?.();
      if (closed.aborted) return;
      const lasted = performance.now() - began;
      if (lasted > STEADY_MS) backoff.ease(MIN_BACKOFF_MS);
      // One that breaks off again and again, but gets on, is not left for long.
      else if (connection.worked) backoff.ease(BROKEN_MS);
      if (lasted > QUIET_MS) told.clear();
      const isKnown = trouble instanceof KnownTrouble;
      const isAlive = isKnown ? !session.aborted : await this.masters.probe(session);
      if (isAlive) this.letGo();
      // Of a master that is lost others speak.
      if (isAlive && !isKnown) {
        const reason = trouble instanceof Error ? trouble.message : String(trouble);
        if (!told.has(kindOf(reason)) && told.size < MAX_REASONS) {
          this.events("warn", "lost the master's feed", { reason });
          told.add(kindOf(reason));
        }
      }
      await backoff.pause(closed);
    }
  }
}

/** Where a feed comes from: a master, as a rule. */
export type FeedSource = Pick<Masters, "session" | "checkTerm"> & {
  readonly transport: Pick<Transport, "feed">;
  ask(): Promise<Sign>;
};

/** A connection for the feed, which is given up when nothing comes over it for too long. */
export class FeedConnection {
  /** Whether something came, and was taken in: who does that, says so. */
  worked = false;
  readonly #silent = new AbortController();
  readonly #signal: AbortSignal;
  #timer?: ReturnType<typeof setTimeout>;

  /** @param letGo lets those go who follow the copy, where it hears of no changes, but they can ask */
  constructor(
    private readonly masters: FeedSource,
    closed: AbortSignal,
    readonly letGo: () => void,
  ) {
    this.#signal = AbortSignal.any([closed, masters.session, this.#silent.signal]);
  }

  async open(offset?: number, check?: string, log?: LogName): Promise<FeedStream> {
    this.#listen();
    const stream = await this.masters.transport.feed(offset, check, this.#signal, log);
    clearTimeout(this.#timer);
    this.masters.checkTerm(stream.term);
    return stream;
  }

  /** Asks the master how far its journal reaches. */
  async position(): Promise<number> {
    return (await this.masters.ask()).position.to;
  }

  /**
   * Whether the one who is followed owns the links, so that there is no more than its journal has: a
   * replica may be behind. Where it doesn't say, nothing is certain.
   */
  async owned(): Promise<boolean> {
    try {
      return !("master" in (await this.masters.ask()).health);
    } catch {
      return false;
    }
  }

  /**
   * Gives what comes, in whole lines. While they are worked on, nobody listens for silence. A blank line
   * says that there was nothing left to send: it comes now and then, and not before the end that was
   * promised. A block ends there, so that a copy can be compared with what the master said of it.
   */
  async *blocks({ offset, size, body }: FeedStream): AsyncGenerator<Uint8Array, void, void> {
    const began = performance.now();
    let at = offset;
    let blanks = 0;
    this.#listen();
    for await (const lines of wholeLines(body)) {
      clearTimeout(this.#timer);
      if (lines.length === 0) {
        if (at < size) throw new Error(`it stops at ${at}, before its end at ${size}`);
        const due = (performance.now() - began) / HEARTBEAT_MS;
        if (++blanks > MAX_BLANKS + 2 * due) throw new Error("it brings blank lines without end");
      }
      const due = Math.max(0, size - at);
      at += lines.length;
      if (due > 0) yield lines.subarray(0, due);
      if (due < lines.length || due === 0) yield lines.subarray(due);
      this.#listen();
    }
  }

  /** Closes what is open. */
  end(): void {
    clearTimeout(this.#timer);
    this.#silent.abort();
  }

  #listen(): void {
    this.#timer = setTimeout(() => this.#silent.abort(new Error("it is silent")), SILENT_MS);
  }
}
