/**
 * The way to a master.
 *
 * @module
 */
import type { FeedStream } from "../journal/feed.ts";
import type { Reply } from "../rpc.ts";
import { parsePosition } from "../journal/position.ts";

/** No answer to calls is longer, in bytes: a master gives a quarter of that. */
const MAX_ANSWER = 16 << 20;
const MAX_REASON = 64 << 10;

const utf8 = new TextDecoder("utf-8", { fatal: true });

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

/** How to reach a master. */
export interface TransportOptions {
  /** The token of replicas. */
  token?: string;
  /** Certificates that are trusted beside the known ones, as PEM. */
  ca?: string;
  /** Told how long each call took, and whether it failed. */
  observer?: { asked(seconds: number, failed: boolean): void };
}

/** The way to a master by `fetch`. */
export class HTTPTransport implements Transport {
  readonly #headers: Record<string, string>;

  readonly #client?: Deno.HttpClient;

  /** @param address such as `http://localhost:8080` */
  constructor(readonly address: string, private readonly options: TransportOptions = {}) {
    const { token, ca } = options;
    // Over HTTP/2 all would share a connection, and wait for each other where it is slow.
    if (address.startsWith("https:")) {
      this.#client = Deno.createHttpClient({ caCerts: ca ? [ca] : [], http2: false });
    }
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
      client: this.#client,
      method: "POST",
      body: text,
      headers,
      redirect: "manual", // a master doesn't send on; and whoever is sent to would get the token
      signal,
    });
    if (response.status !== 200) throw await failure(response);
    const answer = await readText(response, MAX_ANSWER);
    return { text: answer, position: parsePosition(response.headers.get("goto-position")) };
  }

  async feed(
    offset: number | undefined,
    check: string | undefined,
    signal: AbortSignal,
  ): Promise<FeedStream> {
    const query = `offset=${offset ?? "end"}${check === undefined ? "" : `&check=${check}`}`;
    const response = await fetch(`${this.address}/rpc/log?${query}`, {
      client: this.#client,
      headers: this.#headers,
      redirect: "manual",
      signal,
    });
    if (response.status !== 200 || response.body === null) throw await failure(response);
    const [at, size, term] = ["goto-log-offset", "goto-log-size", "goto-log-term"].map((name) =>
      Number(
        /^\d{1,15}$/.exec(response.headers.get(name) ?? (name === "goto-log-term" ? "1" : ""))?.[0],
      )
    );
    // Where one is missing or no number, neither of these is true.
    if (!(at <= size && term >= 1)) {
      await response.body.cancel();
      throw new Error("what answers is no feed");
    }
    const keys = response.headers.get("goto-log-keys") ?? "";
    return {
      offset: at,
      size,
      term,
      sum: response.headers.get("goto-log-sum") ?? undefined,
      keys: /^\d{1,15}$/.test(keys) ? Number(keys) : undefined,
      check: response.headers.get("goto-log-check") ?? undefined,
      partial: response.headers.get("goto-log-partial") === "true",
      // The pipe keeps the signal: that of a fetch may go with the garbage once the head is there.
      body: response.body.pipeThrough(new TransformStream(), { signal }),
    };
  }
}

/** What a response says that is not the one hoped for. */
async function failure(response: Response): Promise<Error> {
  const text = await readText(response, MAX_REASON).catch((error) => error.message);
  return new Error(`${response.status} ${text.trim().slice(0, 200)}`);
}

/**
 * The text of a response.
 *
 * @throws it is longer than `most` bytes, or no UTF-8: what was spoiled must not become somebody's URL
 */
async function readText(response: Response, most: number): Promise<string> {
  const length = Number(response.headers.get("content-length") ?? NaN);
  if (length <= most) return utf8.decode(await response.bytes()); // which is faster
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > most) throw new Error(`an answer of over ${most} bytes`);
    chunks.push(chunk);
  }
  return utf8.decode(await new Blob(chunks).bytes());
}
