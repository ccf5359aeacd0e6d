import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { works } from "./tools.ts";

const hasWrk = await works("sh", "-c", "command -v wrk");
if (!hasWrk) console.log("lists can't be measured: there is no wrk");

(hasWrk ? it : it.ignore)("lists and redirects beside them can be measured", async () => {
  const script = `${import.meta.dirname}/../scripts/lists.ts`;
  const args = ["run", "-A", "--no-check", script, "--links=2000", "--rounds=1", "--order=hits"];
  const signal = AbortSignal.timeout(120_000);
  const output = await new Deno.Command(Deno.execPath(), { args, signal, stdin: "null" }).output();
  const text = new TextDecoder().decode(output.stdout);
  assertEquals(output.success, true, new TextDecoder().decode(output.stderr));
  assertMatch(text, /^2,000 links, by hits; the very first page: [\d.]+ ms$/m);
  assertMatch(text, /^what no link holds +median [\d.]+ ms, worst [\d.]+ ms of \d+$/m);
  assertMatch(text, /^redirects beside lists +[\d.]+\/s, .* longest [\d.]+ ms/m);
});
