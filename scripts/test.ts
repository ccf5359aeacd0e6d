/**
 * Runs the tests, also on networks that reach npm but not JSR: there, thin adapters over Deno's own
 * modules (tests/offline/) take the place of `@std/assert` and `@std/testing`.
 *
 * Options are passed on to `deno test`. Of one file, or with `--filter`, it says all that `deno test` does;
 * else how far it is, what failed, and in one line what came of it. The files that took longest the last
 * time (`.tests.json`) come first, so that none is left over at the end.
 *
 * `--long` runs the tests that repeat something at random (`tests/rounds.ts`) for as long as they should be.
 *
 * @module
 */
import { isNoise, Progress, readLines } from "./test/progress.ts";
import { refuse } from "./args.ts";
import config from "../deno.json" with { type: "json" };

const root = `${import.meta.dirname}/..`;
const TIMES = `${root}/.tests.json`;
const LONG = "--long";
const JOBS = 2 * navigator.hardwareConcurrency; // files at once: most of the time is spent waiting

/** The options of `deno test`, and ours: whether each takes the argument behind it for its value. */
async function knownOptions(): Promise<Map<string, boolean>> {
  const known = new Map([[LONG, false]]);
  if (!Deno.args.some((arg) => arg.startsWith("--"))) return known;
  const args = ["test", "--help"];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } })
    .output();
  for (
    const [, name, value] of new TextDecoder().decode(stdout).matchAll(/(--[a-z][a-z-]+)( <)?/g)
  ) {
    known.set(name, known.get(name) || value !== undefined);
  }
  return known;
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

/** The files of all tests, but for those that `--ignore` names. */
async function allFiles(): Promise<string[]> {
  const ignored = Deno.args.filter((arg) => arg.startsWith("--ignore=")).join().split(/[=,]/);
  const names = await Array.fromAsync(Deno.readDir(`${root}/tests`), ({ name }) => name);
  return names.filter((name) => name.endsWith("_test.ts")).map((name) => `tests/${name}`)
    .filter((path) => !ignored.includes(path));
}

/** Whether a test in a file repeats something at random. */
async function hasRounds(path: string): Promise<boolean> {
  return (await Deno.readTextFile(`${root}/${path}`)).includes('from "./rounds.ts"');
}

/** The files, the slowest first; one that never ran may be slow. */
async function slowestFirst(files: string[]): Promise<string[]> {
  const last = await lastTimes();
  const ms = (path: string) => last[path.replace(/^.*\//, "")] ?? 1e9;
  return files.sort((a, b) => ms(b) - ms(a) || (a < b ? -1 : 1));
}

async function lastTimes(): Promise<Record<string, number>> {
  try {
    return JSON.parse(await Deno.readTextFile(TIMES));
  } catch {
    return {}; // they never ran, or the file is none of ours
  }
}

const known = await knownOptions();
const named: string[] = [];
const options: string[] = [];
for (const [i, arg] of Deno.args.entries()) {
  if (arg === "--" || arg === LONG) continue;
  if (arg.startsWith("--") && !known.has(arg.split("=")[0])) {
    const taken = `files, ${LONG}, and options of deno test: --filter=NAME ...`;
    refuse("test", `Unknown option '${arg}'`, taken);
  }
  const isValue = !arg.startsWith("-") && known.get(Deno.args[i - 1] ?? "") === true;
  (arg.startsWith("-") || isValue ? options : named).push(arg);
}
const online = await reachable(Object.values(config.imports), 5000);
if (!online) console.log("JSR is out of reach: testing with the adapters in tests/offline/");

const isLong = Deno.args.includes(LONG);
const isBrief = named.length !== 1 && !options.some((option) => option.startsWith("--filter"));
let files = named.length > 0 ? named : await slowestFirst(await allFiles());
if (isLong && named.length === 0) {
  const has = await Promise.all(files.map(hasRounds));
  files = files.filter((_, i) => has[i]);
}
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
      ...(isBrief ? ["--preload=scripts/test/preload.ts"] : []),
      ...options,
      ...files,
    ],
    cwd: root,
    env: {
      TMPDIR: temp,
      DENO_JOBS: Deno.env.get("DENO_JOBS") ?? String(JOBS),
      // Off by default since Deno 2.8. As variables, since older versions do not know the flags.
      DENO_TEST_SANITIZE_OPS: "1",
      DENO_TEST_SANITIZE_RESOURCES: "1",
      ...(isBrief ? { NO_COLOR: "1" } : {}),
      ...(isLong ? { GOTO_TESTS: "long" } : {}),
    },
    stdout: isBrief ? "piped" : "inherit",
    stderr: "piped",
  }).spawn();

  // A Ctrl-C reaches the tests as well; wait for them to end, then clean up.
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => tests.kill("SIGTERM"));
  }
  if (isBrief) {
    const progress = new Progress(files.length, Deno.stdout.isTerminal());
    const read = async (output: ReadableStream<Uint8Array<ArrayBuffer>>, isError: boolean) => {
      for await (const line of readLines(output)) progress.take(line, isError);
    };
    await Promise.all([read(tests.stdout, false), read(tests.stderr, true)]);
    progress.end((await tests.status).success);
    if (!isLong) {
      await Deno.writeTextFile(TIMES, JSON.stringify({ ...await lastTimes(), ...progress.times }));
    }
  } else for await (const line of readLines(tests.stderr)) if (!isNoise(line)) console.error(line);
  Deno.exitCode = (await tests.status).code;
} finally {
  await Deno.remove(temp, { recursive: true });
}
