/**
 * A process that does what commands of the program do (`-export`, `-import`, ...), one after another: what
 * `main.ts` does with its flags, but for the end. Each order is a line of JSON on stdin; where one is done,
 * a line on stdout and one on stderr say so.
 *
 * @module
 */
import { runCommand } from "../cli/commands.ts";
import { writeEvents } from "../cli/events.ts";
import { runToEnd, runToExit } from "../cli/exit.ts";
import { parseFlags } from "../cli/flags.ts";
import { ignoreProxies } from "../cli/proxies.ts";

/** What is asked of the process. */
export interface Order {
  flags: string[];
  cwd: string;
  /** Variables whose names begin with `GOTO_`. */
  env: Record<string, string>;
  /** What the lines begin with that say that it is done. */
  mark: string;
}

/** In place of the exit code, where the flags ask for a server, or where nothing could be done. */
export const NO_COMMAND = -1;

async function execute({ flags, cwd, env }: Order): Promise<number> {
  Deno.chdir(cwd);
  const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    return await runToEnd(async () => {
      const parsed = parseFlags(flags, (name) => Deno.env.get(name));
      return await runCommand(parsed, writeEvents(parsed.log)) ?? NO_COMMAND;
    });
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

if (import.meta.main) {
  await runToExit(async () => {
    ignoreProxies();
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
    let rest = "";
    for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const order: Order = JSON.parse(line);
        const end = new TextEncoder().encode(`${order.mark} ${await execute(order)}\n`);
        Deno.stdout.writeSync(end);
        Deno.stderr.writeSync(end);
      }
    }
    return 0;
  });
}
