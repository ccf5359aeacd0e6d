/**
 * The way to a master.
 *
 * @module
 */
import type { FeedStream } from "../journal/feed.ts";
import type { Reply } from "../rpc.ts";
import { parsePosition } from "../journal/position.ts";

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
  ): Promise<FeedStream>;
}

/** The way to a master by `fetch`. */
export class HTTPTransport implements Transport {
  readonly #headers: Record<string, string>;

  /** @param address such as `http://localhost:8080` */
  constructor(readonly address: string, token?: string) {
    // Loopback and backbones are faster than any compressor.
    this.#headers = { "content-type": "application/json", "accept-encoding": "identity" };
    if (token !== undefined) this.#headers.authorization = `Bearer ${token}`;
  }

  async call(text: string, since: number, signal: AbortSignal): Promise<Required<Reply>> {
    const headers = { ...this.#headers, "goto-position": String(since) };
    const init = { method: "POST", body: text, headers, signal };
    const response = await fetch(`${this.address}/rpc`, init);
    const answer = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${answer.slice(0, 200)}`);
    return { text: answer, position: parsePosition(response.headers.get("goto-position")) };
  }

  async feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<FeedStream> {
    const query = `offset=${offset ?? "end"}${check === undefined ? "" : `&check=${check}`}`;
    const response = await fetch(`${this.address}/rpc/log?${query}`, {
      headers: this.#headers,
      signal,
    });
    if (response.status !== 200 || response.body === null) {
      throw new Error(`${response.status} ${(await response.text()).slice(0, 200)}`);
    }
    const [at, size] = ["goto-log-offset", "goto-log-size"].map((name) =>
      Number(/^\d{1,15}$/.exec(response.headers.get(name) ?? "")?.[0])
    );
    if (Number.isNaN(at + size)) {
      await response.body.cancel();
      throw new Error("what answers is no feed");
    }
    return {
      offset: at,
      size,
      check: response.headers.get("goto-log-check") ?? undefined,
      // The pipe keeps the signal: that of a fetch may go with the garbage once the head is there.
      body: response.body.pipeThrough(new TransformStream(), { signal }),
    };
  }
}
