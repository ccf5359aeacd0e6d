/** What `deno task` runs. */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import config from "../deno.json" with { type: "json" };
import { output } from "./binary.ts";

/** Runs a task with an option that it doesn't take. */
async function mistake(task: string, option: string) {
  return await output(Deno.execPath(), ["task", "--quiet", task, option]);
}

for (const task of Object.keys(config.tasks)) {
  it(`deno task ${task} --bogus says what it takes, and does nothing`, async () => {
    const { code, stdout, stderr } = await mistake(task, "--bogus");
    assertEquals([code, stdout], [2, ""], stderr);
    // That of the program has its own words.
    const takes = task === "start" ? /unknown flag -bogus; -help lists them\n$/ : / takes \S.*\n$/;
    assertMatch(stderr, /^\w+: [^\n]*\n$/);
    assertMatch(stderr, takes);
  });
}

it("a task says so of a number that is none", async () => {
  const { code, stderr } = await mistake("crash", "--rounds=many");
  assertEquals(code, 2);
  assertMatch(stderr, /^crash: --rounds is no number; deno task crash takes --rounds=200 /);
});

it("deno task demo shows links that are followed, but none made while the master is away", async () => {
  const { code, stdout, stderr } = await output(Deno.execPath(), ["task", "--quiet", "demo"]);
  assertEquals([code, stderr], [0, ""]);
  const statuses = (paragraph: string) =>
    Array.from(paragraph.matchAll(/ -> (\d+)/g), ([, status]) => Number(status));
  assertEquals(stdout.split("\n\n").slice(1).map(statuses), [
    [200, 200, 200],
    [302, 302, 302, 302],
    [200, 302, 302, 302],
    [302, 302, 302, 503],
    [200, 302],
  ]);
});
