/**
 * Commands of the program, for tests whose subject is what they do, not that they are processes: one process
 * does all those of a file, since to start one costs more than most of them.
 *
 * @example
 * ```ts
 * const { code, stdout } = await run({ cwd }, "-export");
 * ```
 *
 * @module
 */
import { NO_COMMAND, type Order } from "./commands_process.ts";
import * as processes from "./processes.ts";
import { type Options, programOf, type Result, split, tempDir, within } from "./processes.ts";

const COMMAND_MS = 20_000;

/** What a stream brought, up to a line that begins with a mark. */
class Output {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** Gives all before the mark, and the code behind it. */
  async readTo(mark: string): Promise<{ text: string; code: number }> {
    const decoder = new TextDecoder();
    for (let text = "";;) {
      const { done, value } = await this.#reader.read();
      text += decoder.decode(value, { stream: !done });
      const at = text.lastIndexOf(`${mark} `);
      if (at !== -1 && text.endsWith("\n")) {
        return { text: text.slice(0, at), code: Number(text.slice(at + mark.length)) };
      }
      if (done) throw new Error(`the process that runs commands ended:\n${text}`);
    }
  }
}

/** The process: it is there before the first test, and ends with the last one. */
class Commands {
  #child: Deno.ChildProcess;
  #orders: WritableStreamDefaultWriter<Uint8Array>;
  #stdout: Output;
  #stderr: Output;
  /** Whether it is at work, or gone. */
  busy = false;

  constructor() {
    const [file, ...args] = programOf(`${import.meta.dirname}/commands_process.ts`);
    const env = { GOTO_HTTP: "127.0.0.1:0" }; // as processes.ts has it
    const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    this.#child = new Deno.Command(file, { args, env, ...piped }).spawn();
    this.#orders = this.#child.stdin.getWriter();
    this.#stdout = new Output(this.#child.stdout);
    this.#stderr = new Output(this.#child.stderr);
    addEventListener("unload", () => this.#kill());
  }

  #kill() {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It is gone.
    }
  }

  /** Gives nothing where the flags are none of a command. */
  async run(flags: string[], cwd: string, env: Record<string, string>) {
    this.busy = true;
    try {
      const mark = crypto.randomUUID();
      const order: Order = { flags, cwd, env, mark };
      await this.#orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
      const read = Promise.all([this.#stdout.readTo(mark), this.#stderr.readTo(mark)]);
      const [{ code, text: stdout }, { text: stderr }] = await within(
        COMMAND_MS,
        `goto ${flags.join(" ")}`,
        read,
      );
      this.busy = false;
      return code === NO_COMMAND ? undefined : { code, stdout, stderr };
    } catch (error) {
      this.#kill(); // it stays busy: the next ones start their own
      throw error;
    }
  }
}

const commands = Deno.env.get("GOTO_BINARY") ? undefined : new Commands();

/**
 * Runs the program to its end, as {@linkcode processes.run} does: in a process of its own where the flags ask
 * for a server, where the options ask for one, and while another command is at work.
 */
export async function run(...flags: string[]): Promise<Result>;
export async function run(options: Options, ...flags: string[]): Promise<Result>;
export async function run(...args: (Options | string)[]): Promise<Result> {
  const [options, flags] = split(args);
  const { cwd, env = {}, through, binary } = options;
  const own = through?.length || binary || flags.includes("-import=-") ||
    Object.keys(env).some((name) => !name.startsWith("GOTO_"));
  if (commands !== undefined && !commands.busy && !own) {
    using temp = cwd === undefined ? tempDir() : undefined;
    const result = await commands.run(flags, cwd ?? temp!.path, env);
    if (result !== undefined) return result;
  }
  return await processes.run(options, ...flags);
}
