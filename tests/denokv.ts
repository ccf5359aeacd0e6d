/**
 * A real KV Connect service for the tests: denokv, from the PATH, or where `.ci/run` builds it.
 *
 * @module
 */
import type { Options } from "./processes.ts";
import { tempDir, within } from "./processes.ts";
import { freePort } from "./replicas.ts";
import { works } from "./tools.ts";

/** The token that the service asks for. */
export const TOKEN = "a-token-of-the-tests";

/** Why tests that need it are ignored. */
const NO_DENOKV = "no denokv: cargo install denokv --locked --version 0.12.0";

/** The service's program, where there is one. */
export const DENOKV: string | undefined = await find();

async function find(): Promise<string | undefined> {
  const places = [
    Deno.env.get("GOTO_DENOKV"),
    "denokv",
    `${import.meta.dirname}/../../denokv-cache/bin/denokv`,
  ];
  for (const place of places) if (place && await works(place, "--help")) return place;
  console.log(`tests that need it are ignored: ${NO_DENOKV}`);
}

/** The service at work, on a port that stays the same. Disposing of it stops it. */
export class Denokv implements AsyncDisposable {
  readonly url: string;
  /** What a master needs to know of it. */
  readonly options: Options = { env: { GOTO_KV_TOKEN: TOKEN } };
  #child?: Deno.ChildProcess;
  #output?: Promise<void>;
  readonly #temp = tempDir();
  readonly #port = freePort();

  /** @param through a command that the service is given to */
  private constructor(private readonly through: string[]) {
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  /** Starts a service with an empty database. */
  static async start(...through: string[]): Promise<Denokv> {
    const service = new Denokv(through);
    await service.begin();
    return service;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Where its files are. */
  get folder(): string {
    return this.#temp.path;
  }

  /** Starts it, and waits until it listens. */
  async begin(): Promise<void> {
    if (DENOKV === undefined) throw new Error(NO_DENOKV);
    const path = `${this.#temp.path}/links.sqlite`;
    const serve = ["--sqlite-path", path, "serve", "--addr", `127.0.0.1:${this.#port}`];
    const [file, ...args] = [...this.through, DENOKV, ...serve];
    const env = { DENO_KV_ACCESS_TOKEN: TOKEN, NO_COLOR: "1" };
    const child = new Deno.Command(file, {
      args,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    })
      .spawn();
    this.#child = child;
    const listening = Promise.withResolvers<void>();
    this.#output = (async () => {
      let text = "";
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (text.includes("Listening on")) listening.resolve();
      }
      listening.reject(new Error(`denokv ended: ${text}`));
    })();
    await within(20_000, "denokv", listening.promise);
  }

  kill(signal: Deno.Signal = "SIGKILL"): void {
    this.#child?.kill(signal);
  }

  /** Kills it, and waits until it is gone. */
  async stop(): Promise<void> {
    try {
      this.kill();
    } catch {
      // It has ended already.
    }
    await this.#child?.status;
    await this.#output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#temp[Symbol.dispose]();
  }
}
