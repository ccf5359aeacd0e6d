/**
 * Listening, until there is no more to be answered.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { pause } from "../links/wait.ts";
import { type Address, canShare, hostsOf, isOutOfDescriptors, tryOut } from "./address.ts";
import type { Certificate } from "./certificate.ts";
import type { Handler } from "./client.ts";
import { MemoryWatch, type Usage } from "./memory.ts";
import { Serving } from "./serving.ts";

const WATCH_MS = 1000; // between two looks whether all is well
const QUIET_MS = 60_000; // after so long without trouble it is told of again
const LAST_ANSWERS_MS = 1000; // for what is in flight when all connections must be closed
const LAST_BYTES_MS = 100; // the same, where each takes memory
const SENT_MS = 20; // until what was answered, or closed, is

/** How to listen. */
export interface ListenOptions {
  /** Whether other threads may listen at the same address. */
  shared?: boolean;
  /** Serves HTTPS, HTTP/2 too; when the files change, new connections have the new certificate. */
  certificate?: Certificate;
  /** Measures memory: connections are closed where clients use it up. */
  usage?: () => Usage;
  events?: Events;
}

/** A server at work. */
export interface Server {
  port: number;
  /** Takes nothing new; resolves once all that came has been answered. */
  shutdown(): Promise<void>;
}

/**
 * Serves HTTP, until it is told to stop: where the runtime gives up listening, it begins anew.
 *
 * @throws {ListenError}
 */
export function listen(address: Address, handler: Handler, options: ListenOptions = {}): Server {
  return new Listener(address, handler, options);
}

/**
 * Out of file descriptors, Deno stops to listen for good; and as it ends no connection that is idle, or
 * that never sends the rest of a request, there may be no room ever again. So all connections are closed
 * then, and those who have something to ask come back. That is looked for as well as told: not every
 * version tells, and the last descriptor is needed for the file and the master. So it is, as the last
 * resort, with memory: what a client sends while it waits for an answer Deno reads without end.
 */
class Listener implements Server {
  readonly port: number;
  #serving: Serving;
  #leaving = new Set<Promise<void>>(); // servers whose certificate is an old one
  #stopping = false;
  #renewing?: Promise<void>;
  #lastTrouble = -Infinity;
  #doubtful = 0; // how often the certificate was refused
  #watch: ReturnType<typeof setInterval>;
  readonly #memory?: MemoryWatch;
  readonly #events: Events;

  constructor(
    private readonly address: Address,
    private readonly handler: Handler,
    private readonly options: ListenOptions,
  ) {
    this.#events = options.events ?? silent;
    this.#memory = options.usage && new MemoryWatch(options.usage);
    // One that shares its address with its successor still shares it with no other process.
    if (options.certificate && !options.shared && address.port !== 0) {
      tryOut(address);
    }
    this.#serving = this.#open(address.port);
    this.port = this.#serving.port;
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    Deno.unrefTimer(this.#watch);
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    await this.#renewing;
    await Promise.all([this.#serving.stop(), ...this.#leaving]);
  }

  #open(port: number): Serving {
    const { certificate } = this.options;
    const shared = this.options.shared || certificate !== undefined && canShare;
    const options = { shared, pair: certificate?.pair };
    const serving = new Serving({ ...this.address, port }, this.handler, options, (error) => {
      if (this.#serving === serving) this.#renew(error);
    });
    return serving;
  }

  /** Takes each address for a moment: that must fail, since it is in use, and for no other reason. */
  #look(): void {
    for (const hostname of hostsOf(this.address.hostname)) {
      try {
        tryOut({ hostname, port: this.port });
        this.#renew("it is not listened any more");
      } catch (error) {
        if (isOutOfDescriptors(error)) this.#renew(error);
      }
    }
    if (this.#memory?.isFull()) this.#renew("what clients sent ahead takes 512 MiB", LAST_BYTES_MS);
    if (this.options.certificate?.refresh() || this.#doubtful === 1) this.#replace();
  }

  /** Lets a server with the new certificate take over. */
  #replace(): void {
    if (this.#stopping || this.#renewing) return;
    if (!canShare) return this.#events("warn", "there is a new certificate: start again to use it");
    const before = this.#serving;
    try {
      this.#serving = this.#open(this.port);
    } catch (error) {
      // Perhaps the other file is yet to come.
      if (++this.#doubtful === 2) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#events("error", "the new certificate is of no use: going on with the one before", {
          reason: reason.replace(/^.*: (?=\w+)/, ""),
        });
      }
      return;
    }
    this.#doubtful = 0;
    this.#events("info", "there is a new certificate");
    const left = before.leave().finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  #renew(reason: unknown, ms = LAST_ANSWERS_MS): void {
    this.#renewing ??= this.#begin(reason, ms).finally(() => this.#renewing = undefined);
  }

  async #begin(reason: unknown, ms: number): Promise<void> {
    if (this.#stopping) return;
    const now = performance.now();
    if (now - this.#lastTrouble > QUIET_MS) {
      const message = reason instanceof Error ? reason.message : String(reason);
      this.#events("error", "closing all connections", { reason: message.replace(/^Error: /, "") });
    }
    this.#lastTrouble = now;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([this.#serving.answered(), late]);
    clearTimeout(timer);
    await pause(SENT_MS);
    this.#serving.abort();
    for (let wait = SENT_MS; !this.#stopping; wait = Math.min(2 * wait, WATCH_MS)) {
      await pause(wait);
      try {
        this.#serving = this.#open(this.port);
        return;
      } catch {
        // There is still no room, or another process has taken the address: it may let go of it.
      }
    }
  }
}
