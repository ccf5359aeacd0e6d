/**
 * Moving here from other programs: a file of each, in the form that the program documents, with rows
 * that can't be taken over. A real process imports it.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { place } from "../http/suffix.ts";
import { toPlaces } from "../cli/formats/programs/golink.ts";
import { checkURL } from "../links/link.ts";
import { type Outcome, OUTCOMES } from "./moving.ts";
import { startHere } from "./here.ts";
import { follow, run, tempDir } from "./processes.ts";
import locations from "./testdata/moving/golink-locations.json" with { type: "json" };

const FILES = `${import.meta.dirname}/testdata/moving`;
/** Imports a file of these into a new one, in some zone, and gives what became of it. */
async function move(name: string, zone: string): Promise<Outcome> {
  using dir = tempDir();
  const [input, file] = [`${dir.path}/${name}`, `${dir.path}/store.jsonl`];
  await Deno.copyFile(`${FILES}/${name}`, input);
  const { stderr } = await run({ env: { TZ: zone } }, "-import", input, "-file", file);
  const lines = async (path: string) =>
    (await Deno.readTextFile(path).catch(() => "")).split("\n").slice(0, -1)
      .map((line) => JSON.parse(line));
  return {
    links: Object.fromEntries(
      (await lines(file)).map(({ Key, URL, Expires }) => [Key, Expires ? [URL, Expires] : URL]),
    ),
    refused: (await lines(`${input}.rejected`)).map(({ line, reason }) => [line, reason]),
    remarks: stderr.split("\n").slice(0, -1).filter((line) => line.startsWith(`goto: ${input}: `))
      .map((line) => line.slice(`goto: ${input}: `.length)),
  };
}

describe("-import takes over each link as it is, or says why not, whatever the zone:", () => {
  const zones = ["UTC", "Asia/Tokyo", "America/Los_Angeles"];
  for (const [i, [name, outcome]] of Object.entries(OUTCOMES).entries()) {
    it(name, async () => assertEquals(await move(name, zones[i % 3]), outcome));
  }
});

it("each file is tried", () => {
  const files = Array.from(Deno.readDirSync(FILES), ({ name }) => name)
    .filter((name) => name !== "golink-locations.json");
  assertEquals(files.sort(), Object.keys(OUTCOMES).sort());
});

describe("toPlaces()", () => {
  // What Go 1.26's text/template and net/url make of each, by what follows the key.
  const tables: Record<string, Record<string, string>> = locations;
  // What golink and goto make something else of; docs/moving.md says so.
  const knownToDiffer = (long: string, rest: string) =>
    rest === "x%2Fy" ||
    (rest !== "" && /^[^{]*[?#][^{]*$/.test(long)) ||
    (/[&+]/.test(rest) && long.includes("q={{PathEscape"));

  it("makes URLs that lead where golink's lead, or refuses", () => {
    let same = 0;
    for (const [long, table] of Object.entries(tables)) {
      let url;
      try {
        url = checkURL(toPlaces(long));
      } catch {
        continue;
      }
      for (const [rest, location] of Object.entries(table)) {
        if (knownToDiffer(long, rest)) continue;
        const [path, query = ""] = rest.split("?");
        const got = new URL(place(url, { path, query }) ?? "");
        const wanted = new URL(location);
        const name = `${long} ${rest}`;
        assertEquals([got.host, got.pathname, got.hash], [
          wanted.host,
          wanted.pathname,
          wanted.hash,
        ], name);
        // "+" and "%20" both are a space in a query.
        assertEquals([...got.searchParams], [...wanted.searchParams], name);
        if (!long.includes("QueryEscape") && rest !== "p?z=1") {
          assertEquals(got.search, wanted.search, name);
        }
        same++;
      }
    }
    assertEquals(same > 80, true, `${same}`);
  });

  it("refuses what escapes slashes outside a query, and hosts", () => {
    const refused = Object.keys(tables).filter((long) => {
      try {
        return !toPlaces(long);
      } catch {
        return true;
      }
    });
    assertEquals(refused, [
      "https://example.com/#{{PathEscape .Path}}",
      "https://example.com/x/{{QueryEscape .Path}}",
      "https://example.com/{{- .Path -}}",
      "https://example.com/{{.Path | ToLower}}",
      'https://example.com/{{TrimSuffix .Path "/"}}',
      "https://example.com/{{with .Path}}x/{{.}}{{end}}",
      "https://example.com:{{.Path}}/",
      "https://example.com{{.Path}}",
      "https://gitlab.example.com/projects/{{PathEscape .Path}}",
      "https://{{.Path}}.example.com/",
      "{{.Path}}",
    ]);
  });
});

it("golink's links lead where they led, with what follows", async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await Deno.copyFile(`${FILES}/golink.jsonl`, `${dir.path}/in`);
  const { stdout } = await run(`-import=${dir.path}/in`, `-file=${file}`);
  assertMatch(stdout, /4 new/);
  await using goto = await startHere(`-file=${file}`, "-suffix");
  for (
    const [path, location] of [
      ["docs", "https://example.com/handbook"],
      ["docs/hiring?v=2", "https://example.com/handbook/hiring?v=2"],
      ["who/ada", "https://people.example.com/ada"],
      ["search/group/proj", "https://search.example.com/?q=group/proj"],
      ["find/group/proj", "https://search.example.com/?q=group%2Fproj&hl=en"],
      ["find/a&b", "https://search.example.com/?q=a%26b&hl=en"],
    ]
  ) assertEquals((await follow(goto.url, path)).location, location);
});
