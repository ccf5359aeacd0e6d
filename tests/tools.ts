/**
 * What the machine can do for the tests beside running the program: disks that are full, files that
 * may not be read, system calls that fail. A test that needs more than there is, is ignored.
 *
 * @module
 */
import { within } from "./processes.ts";

/** How a tool ended, and what it wrote. */
export interface Ran {
  success: boolean;
  stdout: string;
  stderr: string;
}

/** Runs a tool to its end, 10 s at most. */
export async function tool(command: string, ...args: string[]): Promise<Ran> {
  const signal = AbortSignal.timeout(10_000);
  const output = await new Deno.Command(command, { args, signal, stdin: "null" }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    success: output.success,
    stdout: decode(output.stdout),
    stderr: decode(output.stderr),
  };
}

/** Whether a tool is there and does what it is asked. */
export async function works(command: string, ...args: string[]): Promise<boolean> {
  return await tool(command, ...args).then(({ success }) => success, () => false);
}

/** Whether system calls can be watched, and made to fail: needs Linux, strace and ptrace. */
export const canTrace = await works("strace", "-f", "-o", "/dev/null", "true");

/** Whether a process can have mounts of its own: needs Linux and root. */
export const canMount = await works("unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt");

/** Whether files can be given to others: needs root. */
export const canChown = await works(
  "sh",
  "-c",
  'file=$(mktemp) && { chown 12345 "$file"; code=$?; rm "$file"; exit $code; }',
);

/** Whether the limits of a process that runs can be changed: needs Linux. */
export const canLimit = await works("prlimit", "--fsize=1000000:", "true");

/**
 * What a program must be run through so that the permissions of files bind it: nothing for most
 * users, a loss of powers for root. Nothing can be done where root can't lose them.
 */
export const asMortal: string[] | undefined = await works("sh", "-c", 'test "$(id -u)" != 0')
  ? []
  : await works("setpriv", "--bounding-set=-dac_override,-dac_read_search", "true")
  ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
  : undefined;

/** A running `strace`, from {@linkcode trace}. Disposing of it lets the process go on untraced. */
export class Tracer implements AsyncDisposable {
  #text = "";
  #attached = Promise.withResolvers<void>();
  #read: Promise<void>;

  /** Use {@linkcode trace}. */
  constructor(private readonly strace: Deno.ChildProcess) {
    this.#read = this.#readOutput();
  }

  async #readOutput() {
    for await (const text of this.strace.stderr.pipeThrough(new TextDecoderStream())) {
      this.#text += text;
      if (this.#text.includes(" attached")) this.#attached.resolve();
    }
    this.#attached.reject(new Error(`strace ended: ${this.#text}`));
  }

  async begin(): Promise<this> {
    await within(10_000, "strace", this.#attached.promise);
    return this;
  }

  /** Ends the tracing, and gives what was traced. */
  async stop(): Promise<string> {
    await this[Symbol.asyncDispose]();
    return this.#text;
  }

  async [Symbol.asyncDispose]() {
    try {
      this.strace.kill("SIGINT");
    } catch {
      // It has ended already.
    }
    await this.strace.status;
    await this.#read;
  }
}

/** Has `strace` watch a process and all its threads. */
export async function trace(pid: number, ...options: string[]): Promise<Tracer> {
  const args = ["-f", "-p", `${pid}`, ...options];
  return await new Tracer(
    new Deno.Command("strace", { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn(),
  ).begin();
}

/** A small disk of one's own, which goes with the process that holds it. */
export async function smallDisk(path: string, size: string) {
  const holder = new Deno.Command("unshare", {
    args: ["-m", "sh", "-c", `mount -t tmpfs -o size=${size} none "$0" && echo && exec cat`, path],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  await within(5000, "a mount", reader.read());
  const cd = ["sh", "-c", 'cd "$0" && exec "$@"', path];
  const through = ["nsenter", "-t", `${holder.pid}`, "-m", ...cd];
  return {
    /** What a command must be run through to see the disk, in its root. */
    through,
    run: (...command: string[]) => tool(through[0], ...through.slice(1), ...command),
    async [Symbol.asyncDispose]() {
      await holder.stdin.close();
      await reader.cancel();
      await holder.status;
    },
  };
}
