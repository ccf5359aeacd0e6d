/**
 * Runs the tests, also on networks that reach npm but not JSR: there, thin adapters over Deno's own
 * modules (tests/offline/) take the place of `@std/assert` and `@std/testing`.
 *
 * Options are passed on to `deno test`. Where files are named, it says all that `deno test` does; else how
 * far it is, what failed, and in one line what came of it. The files that took longest the last time
 * (`.tests.json`) come first, so that none is left over at the end.
 *
 * @module
 */
import { Progress, readLines } from "./test/progress.ts";
import { refuse } from "./args.ts";
import config from "../deno.json" with { type: "json" };

const root = `${import.meta.dirname}/..`;
const TIMES = `${root}/.tests.json`;
const JOBS = 3 * navigator.hardwareConcurrency; // files at once: most of the time is spent waiting

/** Refuses an option that `deno test` doesn't know. */
async function checkOptions(): Promise<void> {
  const options = Deno.args.filter((arg) => arg.startsWith("--") && arg !== "--");
  if (options.length === 0) return;
  const args = ["test", "--help"];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } })
    .output();
  const known = new Set(new TextDecoder().decode(stdout).match(/--[a-z][a-z-]+/g));
  const unknown = options.find((option) => !known.has(option.split("=")[0]));
  if (unknown === undefined) return;
  refuse(
    "test",
    `Unknown option '${unknown}'`,
    "files, and options of deno test: --filter=NAME ...",
  );
}

/** Whether the modules that the tests import can be had: from the cache, or else from JSR. */
async function reachable(specifiers: string[], ms: number): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", ...specifiers],
    cwd: root,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(ms),
  }).output();
  return success;
}

/** The files of all tests, but for those that `--ignore` names; the slowest first. */
async function allFiles(): Promise<string[]> {
  const ignored = Deno.args.filter((arg) => arg.startsWith("--ignore=")).join().split(/[=,]/);
  const last = await lastTimes();
  const files: { path: string; ms: number }[] = [];
  for await (const { name } of Deno.readDir(`${root}/tests`)) {
    const path = `tests/${name}`;
    if (!name.endsWith("_test.ts") || ignored.includes(path)) continue;
    // One that never ran may take long.
    files.push({ path, ms: last[name] ?? Infinity });
  }
  return files.sort((a, b) => b.ms - a.ms || (a.path < b.path ? -1 : 1)).map(({ path }) => path);
}

async function lastTimes(): Promise<Record<string, number>> {
  try {
    return JSON.parse(await Deno.readTextFile(TIMES));
  } catch {
    return {}; // they never ran, or the file is none of ours
  }
}

await checkOptions();
const online = await reachable(Object.values(config.imports), 5000);
if (!online) console.log("JSR is out of reach: testing with the adapters in tests/offline/");

const isWhole = !Deno.args.some((arg) => !arg.startsWith("-"));
const files = isWhole ? await allFiles() : [];
const temp = await Deno.makeTempDir({ prefix: "goto_test_" });
try {
  const tests = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--parallel", // most of the time is spent waiting for processes
      ...(online ? [] : ["--import-map=tests/offline/import_map.json"]),
      "--no-prompt",
      "--allow-net=127.0.0.1,localhost,[::1],0.0.0.0,[::]",
      `--allow-read=.,${temp}`,
      `--allow-write=${temp},screenshots`,
      "--allow-env=GOTO_*,DENORT_BIN",
      "--allow-run", // not narrower: tests start this Deno, a compiled binary, sh, strace, ...
      ...(isWhole ? ["--preload=scripts/test/preload.ts"] : []),
      ...Deno.args,
      ...files,
    ],
    cwd: root,
    env: {
      TMPDIR: temp,
      DENO_JOBS: Deno.env.get("DENO_JOBS") ?? String(JOBS),
      // Off by default since Deno 2.8. As variables, since older versions do not know the flags.
      DENO_TEST_SANITIZE_OPS: "1",
      DENO_TEST_SANITIZE_RESOURCES: "1",
      ...(isWhole ? { NO_COLOR: "1" } : {}),
    },
    stdout: isWhole ? "piped" : "inherit",
    stderr: isWhole ? "piped" : "inherit",
  }).spawn();

  // A Ctrl-C reaches the tests as well; wait for them to end, then clean up.
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => tests.kill("SIGTERM"));
  }
  if (isWhole) {
    const progress = new Progress(files.length, Deno.stdout.isTerminal());
    const read = async (output: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const line of readLines(output)) progress.take(line);
    };
    await Promise.all([read(tests.stdout), read(tests.stderr)]);
    progress.end((await tests.status).success);
    await Deno.writeTextFile(TIMES, JSON.stringify({ ...await lastTimes(), ...progress.times }));
  }
  Deno.exitCode = (await tests.status).code;
} finally {
  await Deno.remove(temp, { recursive: true });
}
