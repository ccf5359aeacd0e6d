/**
 * A data file as the Go program writes it, and what that program answered when it served the file
 * (`http.Redirect` of Go 1.26). The first 30 entries were posted to it, the others are odder still.
 */
import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import locations from "./testdata/go-locations.json" with { type: "json" };
import { add, follow, start, tempDir, withoutIds } from "./processes.ts";

const FILE = `${import.meta.dirname}/testdata/go.jsonl`;

it("a data file of the Go program is served with the Go program's Locations", async () => {
  using dir = tempDir();
  const file = `${dir.path}/go.jsonl`;
  await Deno.copyFile(FILE, file);
  await using goto = await start("-file", file);
  assertEquals(goto.links, Object.keys(locations).length);

  const answers = await Promise.all(
    Object.keys(locations).map(async (key) => {
      const { status, location } = await follow(goto.url, key);
      return [key, status === 302 ? location : status];
    }),
  );
  assertEquals(Object.fromEntries(answers), locations);
  assertEquals((await follow(goto.url, "1c")).body, "key not found");
  await goto.stop();
  assertEquals(await Deno.readTextFile(file), await Deno.readTextFile(FILE), "serving changed it");
});

it("a data file of the Go program goes on with the next key", async () => {
  using dir = tempDir();
  const file = `${dir.path}/go.jsonl`;
  await Deno.copyFile(FILE, file);
  await using goto = await start("-file", file);
  assertEquals(await add(goto.url, "https://example.com/next"), "1c");
  assertEquals(
    withoutIds(await Deno.readTextFile(file)),
    `${await Deno.readTextFile(FILE)}{"Key":"1c","URL":"https://example.com/next"}\n`,
  );
});
