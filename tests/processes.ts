/**
 * Real processes for the end-to-end tests: they run the program as `deno task start` does, with its
 * permissions, or, where `GOTO_BINARY` names a compiled one, that binary. Every wait has an end.
 *
 * @example
 * ```ts
 * await using master = await start("-rpc");
 * await using replica = await start(`-master=${master.url}`);
 * const key = await add(replica.url, "https://example.com/");
 * assertEquals((await follow(master.url, key)).location, "https://example.com/");
 * ```
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };

const main = `${import.meta.dirname}/../main.ts`;

/** How a process is started, where the defaults do not fit. */
export interface Options {
  /** Working directory; by default an empty one that goes when the process is disposed of. */
  cwd?: string;
  /** Environment variables, on top of the inherited ones. */
  env?: Record<string, string>;
  /** A command that the program is given to, such as `["strace", "-D"]`. It must end as `exec` does. */
  through?: string[];
  /** A compiled program to run; by default the one that `GOTO_BINARY` names, if it does. */
  binary?: string;
  /** How long it may take until it serves, in milliseconds; 20,000 by default. */
  startsWithin?: number;
}

/** A line that the program logged, with `-log=json`. */
export interface LogEvent {
  time: string;
  level: string;
  msg: string;
  // deno-lint-ignore no-explicit-any
  [field: string]: any;
}

/** The command that runs a module as `deno task start` runs the program. */
export function programOf(module: string): string[] {
  // "deno run --allow-... main.ts"
  const [, ...task] = config.tasks.start.command.replaceAll("'", "").split(" ");
  return [Deno.execPath(), ...task.slice(0, -1), module];
}

function spawn(
  flags: string[],
  { through = [], binary = Deno.env.get("GOTO_BINARY"), cwd, env }: Options,
  stdout: "piped" | "null",
): Deno.ChildProcess {
  const program = binary ? [binary] : programOf(main);
  const [file, ...args] = [...through, ...program, ...flags];
  // Not the port that it takes by default, which somebody may be using.
  const all = { GOTO_HTTP: "127.0.0.1:0", ...env };
  return new Deno.Command(file, { cwd, env: all, args, stdin: "null", stdout, stderr: "piped" })
    .spawn();
}

/** Takes the options, if they are given, from before the flags. */
export function split(args: (Options | string)[]): [Options, string[]] {
  const [first, ...rest] = args;
  return typeof first === "object" ? [first, rest as string[]] : [{}, args as string[]];
}

/** Settles as `promise` does, or fails after `ms`; `what` completes the sentence "gave up on ...". */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`gave up on ${what} after ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a server logs, and how to wait for it. */
export abstract class Logs {
  /** What it logged so far. */
  logs: LogEvent[] = [];
  #ended = false;
  #changed = Promise.withResolvers<void>();

  /** What there is to read of it where an event is waited for in vain. */
  abstract readonly stderr: string;

  /**
   * The first event that `predicate` accepts, of those so far or to come. Fails when the process
   * ends without it, or after `ms`.
   */
  async waitForLog(predicate: (event: LogEvent) => boolean, ms = 10_000): Promise<LogEvent> {
    const seek = async () => {
      for (let i = 0;; i++) {
        while (i === this.logs.length) {
          if (this.#ended) throw new Error("goto ended");
          await this.#changed.promise;
        }
        if (predicate(this.logs[i])) return this.logs[i];
      }
    };
    try {
      return await within(ms, "an event", seek());
    } catch (error) {
      throw new Error(`${(error as Error).message}; it wrote:\n${this.stderr}`, { cause: error });
    }
  }

  /** Forgets what was logged before: it begins anew. */
  protected reset() {
    this.logs = [];
    this.#ended = false;
  }

  /** Takes what it logs. */
  protected add(...events: LogEvent[]) {
    this.logs.push(...events);
    this.#notify();
  }

  /** Nothing more will come. */
  protected end() {
    this.#ended = true;
    this.#notify();
  }

  #notify() {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The program at work, from {@linkcode start}. Disposing of it stops it. */
export class Goto extends Logs implements AsyncDisposable {
  /** All that it wrote to stderr so far. */
  stderr = "";
  /** Where it listens: `http://127.0.0.1:PORT`. */
  url!: string;
  /** How many links it had when it began to serve. */
  links!: number;
  pid!: number;
  /** How the process ended, once it has. */
  status!: Promise<Deno.CommandStatus>;
  /** Whether the process is gone, though not all that it wrote may have been read. */
  exited = true;

  #child!: Deno.ChildProcess;
  #reading = Promise.resolve();

  /** Use {@linkcode start}. */
  constructor(
    private readonly flags: string[],
    private readonly options: Options,
    private readonly temp?: Disposable,
  ) {
    super();
  }

  /** Starts the process and waits until it serves. */
  async begin(): Promise<this> {
    this.reset();
    this.stderr = "";
    const address = this.url ? new URL(this.url).host : "127.0.0.1:0";
    const flags = ["-log=json", `-http=${address}`, ...this.flags];
    this.#child = spawn(flags, this.options, "null");
    this.exited = false;
    this.pid = this.#child.pid;
    this.status = this.#end(this.#readLogs());
    const serving = await this.waitForLog(
      ({ msg }) => msg === "serving",
      this.options.startsWithin ?? 20_000,
    );
    this.url = serving.url;
    this.links = serving.links;
    return this;
  }

  /** Sends a signal; nothing happens if the process is gone. `await status` to see it end. */
  kill(signal: Deno.Signal = "SIGKILL") {
    if (this.exited) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It ended just now, and `status` will tell.
    }
  }

  /** Leaves what it writes to stderr unread, until the function that this gives is called. */
  pauseReading(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reading = promise;
    return resolve;
  }

  /** Asks the process to end, kills it if it has not in 15 s, and tells how it ended. */
  async stop(): Promise<Deno.CommandStatus> {
    this.kill("SIGTERM");
    this.kill("SIGCONT"); // a paused process would not hear of it
    const timer = setTimeout(() => this.kill("SIGKILL"), 15_000);
    try {
      return await this.status;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops the process, if it is still there, and starts it anew: same flags, port and directory. */
  async restart(): Promise<this> {
    await this.stop();
    return await this.begin();
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
    this.temp?.[Symbol.dispose]();
  }

  async #end(read: Promise<void>): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    this.exited = true;
    await within(5000, "the end of stderr", read);
    this.end();
    return status;
  }

  async #readLogs() {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      await this.#reading;
      this.stderr += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      // What is not JSON (a message of Deno itself) stays in `stderr`.
      this.add(...lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)));
    }
  }
}

/** Starts the program on a free port of 127.0.0.1 and waits until it serves. */
export async function start(...flags: string[]): Promise<Goto>;
export async function start(options: Options, ...flags: string[]): Promise<Goto>;
export async function start(...args: (Options | string)[]): Promise<Goto> {
  const [options, flags] = split(args);
  const temp = options.cwd ? undefined : tempDir();
  const goto = new Goto(flags, { cwd: temp?.path, ...options }, temp);
  try {
    return await goto.begin();
  } catch (error) {
    await goto[Symbol.asyncDispose]();
    throw error;
  }
}

/** How a program ended that ran to its end. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the program to its end, 20 s at most, with these flags and no others, on a free port. */
export async function run(...flags: string[]): Promise<Result>;
export async function run(options: Options, ...flags: string[]): Promise<Result>;
export async function run(...args: (Options | string)[]): Promise<Result> {
  const [options, flags] = split(args);
  using temp = tempDir();
  const child = spawn(flags, { cwd: temp.path, ...options }, "piped");
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  try {
    const { code, signal, stdout, stderr } = await child.output();
    const text = {
      stdout: new TextDecoder().decode(stdout),
      stderr: new TextDecoder().decode(stderr),
    };
    if (signal) throw new Error(`goto ${flags.join(" ")} ended by ${signal}:\n${text.stderr}`);
    return { code, ...text };
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `fn` until it neither throws nor gives `false`: for conditions that no event announces. */
export async function eventually<T>(fn: () => T | Promise<T>, ms = 10_000): Promise<T> {
  const end = Date.now() + ms;
  for (let wait = 5;; wait = Math.min(2 * wait, 100)) {
    let problem: unknown = new Error("it is still false");
    try {
      const value = await within(
        Math.max(end - Date.now(), 1),
        "one attempt",
        (async () => await fn())(),
      );
      if (value !== false) return value;
    } catch (error) {
      problem = error;
    }
    if (Date.now() + wait > end) {
      throw new Error(`not true within ${ms} ms: ${(problem as Error).message}`, {
        cause: problem,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/**
 * Lets others have the machine for a moment: for what keeps a server busy, and would else show how busy it
 * can be, and nothing more.
 */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/** A new directory, removed with its content when disposed of (`using dir = tempDir()`). */
export function tempDir(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/**
 * The lines of a journal without the times of links, and the ids of writes: those that came through another
 * thread have one.
 */
export function withoutIds(lines: string): string {
  return lines.replace(/(?:,"Created":\d+)?(?:,"ID":"[^"]*")?(?=\}$)/gm, "");
}

/** Makes a short link through the form, and gives its key. */
export async function add(base: string, url: string, key?: string): Promise<string> {
  const response = await fetch(`${base}/add`, {
    method: "POST",
    headers: { accept: "text/plain" },
    body: new URLSearchParams(key === undefined ? { url } : { url, key }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = (await response.text()).trim();
  if (!response.ok) throw new Error(`POST /add: ${response.status} ${text}`);
  return text.slice(text.lastIndexOf("/") + 1);
}

/** The one line that a text is, without its end. */
export function lineOf(text: string): string {
  return text.replace(/\n$/, "");
}

/** Asks for a short link, without going where it points. */
export async function follow(
  base: string,
  key: string,
): Promise<{ status: number; location: string | null; body: string }> {
  const response = await fetch(`${base}/${key}`, {
    redirect: "manual",
    signal: AbortSignal.timeout(10_000),
  });
  const { status, headers } = response;
  return { status, location: headers.get("location"), body: lineOf(await response.text()) };
}
