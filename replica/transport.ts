/**
 * The way to a master.
 *
 * @module
 */
import type { FeedStream, LogName } from "../journal/feed.ts";
import type { Reply } from "../jsonrpc/call.ts";
import { readReason, readText } from "../http/response.ts";
import { parsePosition } from "../journal/position.ts";
import { Trust } from "./trust.ts";

/** No answer to calls is longer, in bytes: a master gives a quarter of that. */
const MAX_ANSWER = 16 << 20;

/** What carries calls to a master, and its feed back. */
export interface Transport {
  readonly address: string;
  /** Sends a JSON-RPC text, to be answered no older than at `since`. */
  call(text: string, since: number, signal: AbortSignal): Promise<Required<Reply>>;
  /** Opens the feed at `offset` (none: its end). */
  feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
    log?: LogName,
  ): Promise<FeedStream>;
}

/** How to reach a master. */
export interface TransportOptions {
  /** The token of replicas. */
  token?: string;
  /** A file of certificates that are trusted beside the known ones, as PEM; read again when it changes. */
  ca?: string;
  /** Told how long each call took, and whether it failed. */
  observer?: { asked(seconds: number, failed: boolean): void };
}

/** The way to a master by `fetch`. */
export class HTTPTransport implements Transport {
  readonly #headers: Record<string, string>;

  readonly #trust?: Trust;

  /** @param address such as `http://localhost:8080` */
  constructor(readonly address: string, private readonly options: TransportOptions = {}) {
    const { token, ca } = options;
    if (address.startsWith("https:")) this.#trust = new Trust(ca);
    // Loopback and backbones are faster than any compressor.
    this.#headers = { "content-type": "application/json", "accept-encoding": "identity" };
    if (token !== undefined) this.#headers.authorization = `Bearer ${token}`;
  }

  async call(text: string, since: number, signal: AbortSignal): Promise<Required<Reply>> {
    const start = performance.now();
    let failed = true;
    try {
      const reply = await this.#call(text, since, signal);
      failed = false;
      return reply;
    } finally {
      this.options.observer?.asked((performance.now() - start) / 1000, failed);
    }
  }

  async #call(text: string, since: number, signal: AbortSignal): Promise<Required<Reply>> {
    const headers = { ...this.#headers, "goto-position": String(since) };
    const response = await fetch(`${this.address}/rpc`, {
      client: this.#trust?.client,
      method: "POST",
      body: text,
      headers,
      redirect: "manual", // a master doesn't send on; and whoever is sent to would get the token
      signal,
    });
    if (response.status !== 200) throw new Error(await readReason(response));
    const answer = await readText(response, MAX_ANSWER);
    return { text: answer, position: parsePosition(response.headers.get("goto-position")) };
  }

  async feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
    log: LogName = "links",
  ): Promise<FeedStream> {
    const name = log === "links" ? "" : `log=${log}&`;
    const query = `${name}offset=${offset ?? "end"}${check === undefined ? "" : `&check=${check}`}`;
    const response = await fetch(`${this.address}/rpc/log?${query}`, {
      client: this.#trust?.client,
      headers: this.#headers,
      redirect: "manual",
      signal,
    });
    if (response.status !== 200 || response.body === null) {
      throw new Error(await readReason(response));
    }
    const [at, size, term] = ["goto-log-offset", "goto-log-size", "goto-log-term"].map((name) =>
      Number(
        /^\d{1,15}$/.exec(response.headers.get(name) ?? (name === "goto-log-term" ? "1" : ""))?.[0],
      )
    );
    const known = response.headers.get("goto-log-check") ?? undefined;
    // Where a number is missing, or is none, the first two are false.
    if (!(at <= size && term >= 1 && /^[\da-f]{1,64}$/.test(known ?? "0"))) {
      await response.body.cancel();
      throw new Error("what answers is no feed");
    }
    const keys = response.headers.get("goto-log-keys") ?? "";
    return {
      offset: at,
      size,
      term,
      sum: /^[\da-f]{8}$/.exec(response.headers.get("goto-log-sum") ?? "")?.[0],
      keys: /^\d{1,15}$/.test(keys) ? Number(keys) : undefined,
      check: known,
      // The pipe keeps the signal: that of a fetch may go with the garbage once the head is there.
      body: response.body.pipeThrough(new TransformStream(), { signal }),
    };
  }
}
