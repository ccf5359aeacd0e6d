/**
 * The compiled program, for tests that need one.
 *
 * @module
 */
import { type Result, within } from "./processes.ts";

const root = `${import.meta.dirname}/..`;

/** Why there can be no compiled program here; undefined if there can. */
export function missing(): string | undefined {
  if (Deno.env.get("GOTO_BINARY") || Deno.env.get("DENORT_BIN")) return;
  return "neither GOTO_BINARY nor DENORT_BIN is set";
}

/** What the program for a platform is called. */
export function nameOf(target: string): string {
  return `goto-${target}${target.includes("windows") ? ".exe" : ""}`;
}

/** Runs `deno task compile`, which takes seconds, and tells how it ended. */
export async function compile(args: string[], env: Record<string, string> = {}): Promise<Result> {
  return await output(Deno.execPath(), ["task", "--quiet", "compile", ...args], env);
}

/** A compiled program: the one that `GOTO_BINARY` names, or else a new one in `directory`. */
export async function compiled(directory: string): Promise<string> {
  const given = Deno.env.get("GOTO_BINARY");
  if (given) return given;
  const { code, stderr } = await compile([`--target=${Deno.build.target}`, `--dir=${directory}`]);
  if (code !== 0) throw new Error(`deno task compile failed:\n${stderr}`);
  return `${directory}/${nameOf(Deno.build.target)}`;
}

/** Runs a program in the root of the repository, four minutes at most, and tells how it ended. */
export async function output(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const child = new Deno.Command(program, {
    args,
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output();
  const { code, stdout, stderr } = await within(240_000, program, ended).catch(async (error) => {
    child.kill("SIGKILL");
    await ended;
    throw error;
  });
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
