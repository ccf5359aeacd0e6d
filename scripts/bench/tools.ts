/**
 * Commands that the benchmark runs, and what it says meanwhile.
 *
 * @module
 */

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // What was started is stopped on the way out.
  Deno.addSignalListener(signal, () => interrupted.abort(new Error("interrupted")));
}

/** Shows what goes on: over itself on a terminal, line by line elsewhere. */
export function progress(text: string): void {
  interrupted.signal.throwIfAborted();
  const terminal = Deno.stderr.isTerminal();
  Deno.stderr.writeSync(new TextEncoder().encode(terminal ? `\r\x1b[K${text}` : `${text}\n`));
}

/** Runs a command, for so many seconds at most, and gives what it printed. */
export async function run(command: string, args: string[], seconds: number): Promise<string> {
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(1000 * seconds)]);
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    signal,
    stdin: "null",
  }).output();
  interrupted.signal.throwIfAborted();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command} failed: ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

/** The first of these commands that is installed. */
export async function findCommand(flag: string, ...names: string[]): Promise<string | undefined> {
  for (const name of names) {
    try {
      await new Deno.Command(name, { args: [flag], stdout: "null", stderr: "null" }).output();
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What the figures were taken on. */
export interface Machine {
  cpu: string;
  cores: number;
  gigabytes: number;
  os: string;
  deno: string;
  /** Whose disk the links are on. */
  folder: string;
}

export async function describeMachine(folder: string): Promise<Machine> {
  const linux = Deno.build.os === "linux";
  const info = linux ? await run("cat", ["/proc/cpuinfo"], 10) : "";
  const memory = linux ? await run("cat", ["/proc/meminfo"], 10) : "";
  return {
    cpu: /model name\s*:\s*(.*)/.exec(info)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    gigabytes: Math.round(Number(/MemTotal:\s*(\d+)/.exec(memory)?.[1]) / 2 ** 20),
    os: Deno.build.os,
    deno: Deno.version.deno,
    folder,
  };
}
