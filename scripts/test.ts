/**
 * Runs the tests, also on networks that reach npm but not JSR: there, thin adapters over Deno's own
 * modules (tests/offline/) take the place of `@std/assert` and `@std/testing`.
 *
 * Arguments are passed on to `deno test`.
 *
 * @module
 */
import { refuse } from "./args.ts";
import config from "../deno.json" with { type: "json" };

const root = `${import.meta.dirname}/..`;

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

await checkOptions();
const online = await reachable(Object.values(config.imports), 5000);
if (!online) console.log("JSR is out of reach: testing with the adapters in tests/offline/");

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
      ...Deno.args,
    ],
    cwd: root,
    env: {
      TMPDIR: temp,
      // Off by default since Deno 2.8. As variables, since older versions do not know the flags.
      DENO_TEST_SANITIZE_OPS: "1",
      DENO_TEST_SANITIZE_RESOURCES: "1",
    },
  }).spawn();

  // A Ctrl-C reaches the tests as well; wait for them to end, then clean up.
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => tests.kill("SIGTERM"));
  }
  Deno.exitCode = (await tests.status).code;
} finally {
  await Deno.remove(temp, { recursive: true });
}
