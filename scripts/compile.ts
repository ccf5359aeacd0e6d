/**
 * Compiles goto to one file that needs no Deno: `deno task compile` makes ./goto for this platform,
 * `--target` (it may be repeated) and `--all` fill dist/, with SHA256SUMS.
 *
 * `deno compile` glues the program to a runtime base, denort, which it downloads. `DENORT_BIN` names
 * a local one, `GOTO_COMPILE_DENO` the Deno of the same version, if that is not the one at work.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { basename, dirname, relative, resolve } from "node:path";
import config from "../deno.json" with { type: "json" };
import { refuse, takeArgs } from "./args.ts";

/** The platforms, and how a program of theirs begins, in hexadecimal. */
const TARGETS: Record<string, RegExp> = {
  "x86_64-unknown-linux-gnu": /^7f454c46.{28}3e00/,
  "aarch64-unknown-linux-gnu": /^7f454c46.{28}b700/,
  "x86_64-apple-darwin": /^cffaedfe07000001/,
  "aarch64-apple-darwin": /^cffaedfe0c000001/,
  "x86_64-pc-windows-msvc": /^4d5a/,
};
const LIMIT_MS = 600_000; // for one target, its download included

const root = resolve(import.meta.dirname!, "..");
const deno = Deno.env.get("GOTO_COMPILE_DENO") || Deno.execPath();
const base = Deno.env.get("DENORT_BIN");
if (base === "") Deno.env.delete("DENORT_BIN"); // Deno would take it for a path

/** What went wrong, in one line. */
class Problem extends Error {}

async function main(): Promise<void> {
  const options = parse();
  const stamp = await version(options.commit);
  const here = Deno.build.target;
  const extension = (target: string) => target.includes("windows") ? ".exe" : "";
  const outputs = new Map(
    options.targets.map((target) => [
      target,
      resolve(options.dir, `goto-${target}${extension(target)}`),
    ]),
  );
  const dist = outputs.size > 0;
  if (!dist) outputs.set(here, resolve(root, `goto${extension(here)}`));

  const source = await Deno.makeTempDir({ prefix: "goto_compile_" });
  try {
    await stage(source, stamp);
    for (const [target, path] of outputs) {
      await compile(source, target, path);
      if (target === here) await tryOut(path, stamp);
      const { size } = await Deno.stat(path);
      console.log(`${relative(Deno.cwd(), path)}: ${stamp}, ${(size / 1e6).toFixed(1)} MB`);
    }
  } finally {
    await Deno.remove(source, { recursive: true });
  }
  if (dist) await sum(options.dir, [...outputs.values()]);
}

function parse(): { targets: string[]; dir: string; commit?: string } {
  const values = takeArgs("compile", {
    target: { type: "string", multiple: true, default: [] },
    all: { type: "boolean", default: false },
    dir: { type: "string", default: resolve(root, "dist") },
    commit: { type: "string" }, // for builds that have no .git
  });
  const targets = values.all ? Object.keys(TARGETS) : values.target;
  const unknown = targets.find((target) => !Object.hasOwn(TARGETS, target));
  if (unknown !== undefined) {
    const known = Object.keys(TARGETS).join(", ");
    refuse("compile", `Unknown target '${unknown}'`, `--all, or --target= one of ${known}`);
  }
  return { targets, dir: values.dir, commit: values.commit };
}

async function run(program: string, args: string[]) {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: root,
    env: { NO_COLOR: "1", RUST_BACKTRACE: "0" },
    stdin: "null",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { success, stdout: text(stdout), stderr: text(stderr) };
}

/** The version in deno.json and the commit, as SemVer has it: `0.1.0+be27de7`. */
async function version(commit?: string): Promise<string> {
  if (commit === undefined) {
    const git = run("git", ["describe", "--always", "--dirty", "--exclude=*", "--abbrev=7"]);
    commit = await git.then(({ stdout }) => stdout, () => ""); // no git, or no repository
  }
  return commit ? `${config.version}+${commit}` : config.version;
}

/** Copies the program, with `version` in the deno.json that it reads its own from. */
async function stage(directory: string, version: string): Promise<void> {
  const { success, stdout, stderr } = await run(deno, ["info", "--json", "main.ts"]);
  if (!success) throw new Problem(stderr);
  const { modules }: { modules: { local?: string }[] } = JSON.parse(stdout);
  for (const { local } of modules) {
    if (local === undefined) continue; // one of the runtime's own
    const path = resolve(directory, relative(root, local));
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.copyFile(local, path);
  }
  const text = JSON.stringify({ ...config, version });
  await Deno.writeTextFile(resolve(directory, "deno.json"), text);
}

async function compile(source: string, target: string, output: string): Promise<void> {
  // "deno run -q --allow-... main.ts", as in deno.json: a binary has the permissions of `deno task start`,
  // and is as quiet: the runtime writes nothing to stderr for what a client does, nor waits for its reader.
  const [, , ...start] = config.tasks.start.command.replaceAll("'", "").split(" ");
  const { success, stderr } = await run(deno, [
    "compile",
    // The cache is a file in the temporary directory, where others may put one to be run.
    "--no-code-cache",
    "--deny-import", // by default, code may be loaded from some hosts
    `--target=${target}`,
    `--output=${output}`,
    ...start.slice(0, -1),
    resolve(source, "main.ts"),
  ]);
  if (!success && !base && /denort|base binary/.test(stderr)) {
    const reason = stderr.split("\n").at(-1)!.replace(/^\s*\d+: /, "");
    throw new Problem(
      `the runtime base for ${target} can't be downloaded (${reason}): ` +
        "use a network that reaches Deno's releases, or name a local base in DENORT_BIN",
    );
  }
  const foreign = base && /Invalid object/.test(stderr);
  if (!success && !foreign) throw new Problem(stderr);
  if (!success || !TARGETS[target].test(await head(output))) {
    if (success) await Deno.remove(output);
    throw new Problem(
      `${base} is no base for ${target}: unset DENORT_BIN, or name its own --target`,
    );
  }
}

/** The first bytes of a file, in hexadecimal. */
async function head(path: string): Promise<string> {
  using file = await Deno.open(path);
  const bytes = Buffer.alloc(20);
  await file.read(bytes);
  return bytes.toString("hex");
}

/** Runs a new binary: one whose base is of another version of Deno does not start. */
async function tryOut(path: string, version: string): Promise<void> {
  const { stdout, stderr } = await run(path, ["-version"]);
  if (stdout.startsWith(`goto ${version} `)) return;
  const reason = stderr.split("\n")[0];
  await Deno.remove(path);
  throw new Problem(
    `the binary does not start (${reason}): ` +
      `${
        base ?? "the base"
      } is not of the version of ${deno}; name one that is in GOTO_COMPILE_DENO`,
  );
}

/** Writes SHA256SUMS, for `sha256sum -c`. */
async function sum(directory: string, paths: string[]): Promise<void> {
  const lines = await Promise.all(paths.map(async (path) => {
    const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
    return `${Buffer.from(hash).toString("hex")}  ${basename(path)}\n`;
  }));
  await Deno.writeTextFile(resolve(directory, "SHA256SUMS"), lines.join(""));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  console.error(`compile: ${error.message}`);
  Deno.exit(1);
}
