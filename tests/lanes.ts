/**
 * A proxy between a replica and its master that spoils reads, writes and the feed each in its own way.
 *
 * @module
 */

import { pause } from "../links/wait.ts";

/** What happens to what passes: it is cut off, late by some milliseconds, or never comes. */
export type Fault = "cut" | "black hole" | number;

/** The three ways from a replica to its master. */
export type LaneName = "reads" | "writes" | "feed";

/** Breaks an answer off. */
function broken(): Response {
  return new Response(
    new ReadableStream({
      start: (controller) => controller.error(new Error("cut")),
    }),
  );
}

export class LaneProxy implements AsyncDisposable {
  /** What is wrong just now. */
  readonly faults: { [Name in LaneName]?: Fault } = {};
  #closed = new AbortController();
  #changed = Promise.withResolvers<void>();
  #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param pick a random number below `n` */
  constructor(private target: string, private readonly pick: (n: number) => number) {
    const onListen = () => {};
    const onError = () => broken();
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen, onError },
      (req) => this.#pass(req),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Leads what is asked from now on to another target. */
  leadTo(target: string): void {
    this.target = target;
  }

  /** Lets things go wrong, or, without a fault, right again. */
  set(lane: LaneName, fault?: Fault): void {
    this.faults[lane] = fault;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  heal(): void {
    for (const lane of ["reads", "writes", "feed"] as const) this.set(lane);
  }

  async #pass(req: Request): Promise<Response> {
    const { pathname, search } = new URL(req.url);
    const body = req.method === "POST" ? await req.text() : undefined;
    const lane = body === undefined
      ? "feed"
      : /"Store\.(?:Put|Update|Delete)"/.test(body)
      ? "writes"
      : "reads";
    // Half of what is cut is cut off after the master did its work.
    const late = this.pick(2) === 0;
    if (!late && !await this.#survives(lane)) return broken();
    const headers = new Headers(req.headers);
    headers.delete("host");
    const response = await fetch(this.target + pathname + search, {
      method: req.method,
      headers,
      body,
      signal: this.#closed.signal,
    });
    if (late && !await this.#survives(lane)) {
      await response.body?.cancel();
      return broken();
    }
    if (lane !== "feed") return new Response(await response.bytes(), response);
    const spoil = new TransformStream<Uint8Array, Uint8Array>({
      transform: async (chunk, controller) => {
        if (await this.#survives("feed")) controller.enqueue(chunk);
        else controller.error(new Error("cut"));
      },
    });
    return new Response(response.body?.pipeThrough(spoil), response);
  }

  /** Waits as the fault has it; whether what passes gets through. */
  async #survives(lane: LaneName): Promise<boolean> {
    for (;;) {
      const fault = this.faults[lane];
      if (fault === undefined) return true;
      if (fault === "cut") return false;
      if (fault === "black hole") await this.#changed.promise;
      else {
        await pause(fault, this.#closed.signal);
        return true;
      }
    }
  }

  async [Symbol.asyncDispose]() {
    for (const lane of ["reads", "writes", "feed"] as const) this.set(lane, "cut");
    this.#closed.abort();
    await this.#server.shutdown();
  }
}
