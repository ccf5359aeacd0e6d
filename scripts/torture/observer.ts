/**
 * Follows the feed of whoever is the master, straight and not through a proxy, so that it is known in which
 * order all was written.
 *
 * @module
 */
import { within } from "../../tests/processes.ts";
import { Epoch } from "./log_record.ts";

const AGAIN_MS = 50; // after a feed was lost

/** Writes down what a master's log brings, epoch by epoch. */
export class Observer {
  readonly epochs: Epoch[];
  /** What the feed brought that is no line of a log. */
  readonly bad: string[] = [];
  /** The log position that it has come to. */
  position = 0;
  #url = "";
  #session = new AbortController();
  #running = Promise.resolve();

  /** @param now milliseconds since the run began */
  constructor(private readonly now: () => number, epoch: Epoch) {
    this.epochs = [epoch];
  }

  get epoch(): Epoch {
    return this.epochs.at(-1)!;
  }

  /** Follows the master at `url`, whose log goes on with the epoch. */
  follow(url: string): void {
    this.#url = url;
    this.#session = new AbortController();
    this.#running = this.#run(this.#session.signal);
  }

  /** Follows nobody: the master is gone, or is about to be another. */
  async leave(): Promise<void> {
    this.#session.abort();
    await within(10_000, "the end of a feed", this.#running);
  }

  /** Takes in what is left of a log whose master is gone, from its file. */
  readFile(text: string, base: number): void {
    let at = base;
    for (const line of text.split("\n").slice(0, -1)) {
      at += new TextEncoder().encode(line).length + 1;
      this.epoch.take(line, at, this.now(), true);
    }
  }

  /** Begins another history. */
  begin(epoch: Epoch): void {
    this.epoch.ended = epoch.began;
    this.epochs.push(epoch);
    this.position = 0;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch (error) {
        // The connection was lost; a line that is none is told of.
        if (error instanceof SyntaxError && this.bad.length < 10) this.bad.push(error.message);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Opens the feed at the log's beginning, as compaction may have moved every line. */
  async #open(signal: AbortSignal): Promise<{ at: number; size: number; body: Response["body"] }> {
    const { ok, headers, body } = await fetch(`${this.#url}/rpc/log?offset=0`, { signal });
    const number = (name: string) => Number(headers.get(name) ?? NaN);
    const [at, size] = [number("goto-log-offset"), number("goto-log-size")];
    if (ok && !Number.isNaN(at + size)) return { at, size, body };
    await body?.cancel();
    throw new Error("there is no feed");
  }

  /** Follows the log to the end of the feed. */
  async #read(signal: AbortSignal): Promise<void> {
    const { at: start, size, body } = await this.#open(signal);
    let at = start;
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    const leave = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", leave);
    let rest = "";
    for (let text; (text = (await reader.read()).value) !== undefined;) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === "") continue; // a sign of life
        at += line.length + 1; // all of it is ASCII
        try {
          this.epoch.take(line, at, this.now(), at <= size);
        } catch (error) {
          throw new SyntaxError(`the feed has a bad line before ${at}: ${line.slice(0, 120)}`, {
            cause: error,
          });
        }
        if (at >= size) this.position = at;
      }
    }
  }
}
