/**
 * Runs a task that takes nothing but its name: `doc`, `microbench`, `ok`.
 *
 * @module
 */
import { takeArgs } from "./args.ts";

const root = `${import.meta.dirname}/..`;
const FOLDERS = [
  "cli",
  "hits",
  "http",
  "journal",
  "jsonrpc",
  "kv",
  "links",
  "replica",
  "threads",
  "web",
];
const TOP = ["main.ts", "handlers.ts", "rpc.ts", "store.ts"];

/** Runs Deno; what fails ends the task. */
async function deno(args: string[], cwd = root): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), { args, cwd, stdin: "null" }).spawn()
    .status;
  if (code !== 0) Deno.exit(code);
}

/** Checks and runs the examples in comments, in a folder for what they write. */
async function doc(): Promise<void> {
  const folder = `${root}/.doc`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder);
  const permissions = ["--no-prompt", "--allow-read=..", "--allow-write=."];
  const files = [...TOP, ...FOLDERS].map((name) => `../${name}`);
  await deno(["test", "--quiet", "--doc", ...permissions, ...files], folder);
  await Deno.remove(folder, { recursive: true });
}

async function microbench(): Promise<void> {
  const temp = (await Deno.makeTempDir()).replace(/[^/\\]*$/, "");
  const permissions = ["--no-prompt", `--allow-read=${temp}`, `--allow-write=${temp}`];
  await deno(["bench", ...permissions, "scripts/micro_bench.ts"]);
}

/** All that a change must pass: `deno test` checks the types of the tests. */
async function ok(): Promise<void> {
  await deno(["fmt", "--check"]);
  await deno(["lint"]);
  await deno(["check", "--doc", ...TOP, ...FOLDERS, "scripts"]);
  await deno(["task", "test"]);
  await deno(["task", "doc"]);
}

const TASKS: Record<string, () => Promise<void>> = { doc, microbench, ok };
const name = Deno.args[0];
takeArgs(name, {}, Deno.args.slice(1));
await TASKS[name]();
