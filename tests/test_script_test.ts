/** `deno task test` itself, on a few files made for it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import type { Result } from "./processes.ts";
import { eventually, tempDir, within } from "./processes.ts";
import { tool } from "./tools.ts";

const root = `${import.meta.dirname}/..`;

const FILES: Record<string, string> = {
  good: `Deno.test("a good one", () => console.log("noise"));
    Deno.test.ignore("an ignored one", () => {});`,
  bad: `Deno.test("a bad one", () => { throw new Error("what went wrong"); });`,
  broken: `throw new Error("a module that throws");`,
  late: `Deno.test("a late one", async () => {
      setTimeout(() => { throw new Error("nobody caught it"); });
      await new Promise((resolve) => setTimeout(resolve, 5000));
    });`,
  typed: `export const text: string = 1;`,
  endless: `Deno.test("an endless one", async () => {
      await Deno.makeTempFile();
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });`,
  long: `import { rounds } from "./rounds.ts";
    Deno.test("a long one", () => { if (rounds(1, 2) !== 2) throw new Error("short"); });`,
};

/** A repository with nothing but the script and such tests. */
async function repository(...names: string[]) {
  const dir = tempDir();
  await Deno.mkdir(`${dir.path}/tests`);
  await Deno.mkdir(`${dir.path}/tmp`);
  const copied = await tool(
    ...["cp", "-r", `${root}/scripts`, `${root}/deno.json`, `${dir.path}/`],
  );
  assert(copied.success, copied.stderr);
  await tool("cp", "-r", `${root}/tests/offline`, `${root}/tests/rounds.ts`, `${dir.path}/tests`);
  for (const name of names) {
    await Deno.writeTextFile(`${dir.path}/tests/${name}_test.ts`, FILES[name]);
  }
  const temp = `${dir.path}/tmp`;
  /** Starts the script, as the task does. */
  const start = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "scripts/test.ts", ...args],
      cwd: dir.path,
      env: { TMPDIR: temp, NO_COLOR: "1", GOTO_TESTS: "" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true, // with a process group of its own
    }).spawn();
  return Object.assign(dir, {
    temp,
    start,
    /** Runs it to its end. */
    async test(...args: string[]): Promise<Result> {
      const { code, stdout, stderr } = await within(60_000, "it", start(...args).output());
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    },
    /** What it left. */
    left: () => Array.from(Deno.readDirSync(temp), ({ name }) => name),
  });
}

/** The lines that it says, but for one that depends on the network. */
function linesOf({ stdout }: Result): string[] {
  return stdout.trimEnd().split("\n").filter((line) => !line.startsWith("JSR is out of reach"));
}

it("deno task test says how far it is, in plain lines, and what came of it in one", async () => {
  using all = await repository("good", "long");
  const { code, stdout, stderr } = await all.test("--no-check", "--filter=/./");
  assertEquals(code, 1, stdout + stderr); // it says all, for which a filter asks
  assertMatch(stdout, /a good one \.\.\. ok/);
  const brief = await all.test("--no-check", "--long");
  assertEquals([brief.code, brief.stderr], [0, ""]);
  assertEquals(linesOf(brief).map((line) => line.replace(/\d+ s/, "1 s")), [
    "1 of 1 files, 1 s: long_test.ts",
    "ok: 1 passed, 0 failed, in 1 of 1 files and 1 s",
  ]);
  await Deno.remove(`${all.path}/tests/long_test.ts`);
  const rest = await all.test("--no-check");
  assertEquals([rest.code, rest.stderr], [0, ""]);
  assertMatch(linesOf(rest).at(-1) ?? "", /^ok: 1 passed, 0 failed, 1 ignored, in 1 of 1 files/);
  assertEquals(rest.stdout.includes("noise"), false);
  // The slowest come first the next time.
  const times = JSON.parse(await Deno.readTextFile(`${all.path}/.tests.json`));
  assertEquals(Object.keys(times), ["good_test.ts"]);
  assertEquals(all.left(), []);
});

it("deno task test says what failed, wherever it did, and nothing else", async () => {
  using all = await repository("good", "bad", "broken", "late");
  const { code, stdout, stderr } = await all.test("--no-check");
  assertEquals([code, stderr], [1, ""]);
  for (const said of ["what went wrong", "a module that throws", "nobody caught it"]) {
    assert(stdout.includes(`Error: ${said}`), stdout);
  }
  assertMatch(stdout, / a bad one \.\.\. FAILED/);
  assertMatch(stdout, /failed: 1 passed, [345] failed, 1 ignored, in \d of 4 files and \d+ s\n$/);
  assertEquals(/Stack backtrace|<unknown>|noise|a good one/.test(stdout), false, stdout);

  const one = await all.test("--no-check", "tests/bad_test.ts");
  assertEquals(one.code, 1);
  assertMatch(one.stdout, /a bad one \.\.\. FAILED[^]*FAILED \| 0 passed \| 1 failed/m);
  assertEquals(/Stack backtrace|<unknown>/.test(one.stdout + one.stderr), false);
});

it("deno task test says which types are wrong, and which option it doesn't know", async () => {
  using all = await repository("good", "typed");
  const typed = await all.test();
  assertEquals(typed.code, 1);
  assertMatch(typed.stdout, /TS2322 .*'number' is not assignable to type 'string'/);
  assertMatch(typed.stdout, /failed: 0 passed, 0 failed, in 0 of 2 files and \d+ s\n$/);
  const { code, stdout, stderr } = await all.test("--bogus");
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^test: Unknown option '--bogus'; deno task test takes .*\n$/);
});

it("deno task test leaves nothing behind when it is stopped", {
  ignore: Deno.build.os === "windows",
}, async () => {
  for (const signal of ["INT", "TERM"]) {
    using all = await repository("good", "endless");
    const child = all.start("--no-check");
    const output = child.output();
    await eventually(() => {
      return all.left().some((name) => [...Deno.readDirSync(`${all.temp}/${name}`)].length > 0);
    }, 20_000);
    // A Ctrl-C reaches all processes of a terminal.
    await tool(
      "/bin/kill",
      `-${signal}`,
      "--",
      signal === "INT" ? `-${child.pid}` : `${child.pid}`,
    );
    const { code } = await within(20_000, "it", output);
    assert(code !== 0);
    assertEquals(all.left(), []);
  }
});
