/** What comes out of one store goes into another, and is the same. */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, run, start, tempDir } from "./processes.ts";
import { change } from "./replicas.ts";

const LINKS = [
  `{"Key":"0","URL":"https://example.com/0"}`,
  `{"Key":"docs","URL":"https://example.com/?a=%22b%22,c"}`,
  `{"Key":"gone","URL":"https://example.com/gone"}`,
  `{"Key":"gone","URL":""}`,
  `{"Key":"old key, \\"odd\\"","URL":"javascript:alert(\\"1\\")"}`,
  `{"Key":"päth","URL":"HTTP://Example.com/\\u0001ä"}`,
];

function links(lines: string): Record<string, string> {
  const all = lines.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  return Object.fromEntries(all.map(({ Key, URL }) => [Key, URL]).sort());
}

it("links come back the same from a file by a database to a file, however odd they are", async () => {
  using dir = tempDir();
  const { path } = dir;
  const numbers = Array.from(
    { length: 2500 },
    (_, i) => `{"Key":"n${i}","URL":"https://example.com/${i}"}`,
  );
  await Deno.writeTextFile(`${path}/one.jsonl`, [...LINKS, ...numbers, ""].join("\n"));
  const steps: string[][] = [
    [`-export`, `-file=${path}/one.jsonl`],
    [`-import=${path}/0`, `-kv=${path}/links.db`],
    [`-export=jsonl`, `-kv=${path}/links.db`],
    [`-import=${path}/2`, `-file=${path}/two.jsonl`],
    [`-export`, `-file=${path}/two.jsonl`],
  ];
  const outputs = [];
  for (const [i, flags] of steps.entries()) {
    const { code, stdout, stderr } = await run(...flags);
    assertEquals([code, stderr.replaceAll(/^.*percent.*\n/gm, "")], [0, ""]);
    outputs.push(stdout);
    await Deno.writeTextFile(`${path}/${i}`, stdout);
  }
  const [first, , second, , third] = outputs.map((output) =>
    output.startsWith("{") ? links(output) : {}
  );
  assertEquals(Object.keys(first).length, 2504);
  assertEquals(second, first);
  assertEquals(third, first);
  assertEquals(outputs[1], `${path}/0: 2,504 new\n`);
  assertEquals((await run(...steps[1])).stdout, `${path}/0: 0 new, 2,504 equal\n`);
});

for (const store of ["-file=store.jsonl", "-kv=links.db"]) {
  it(`-export writes what a running master has, on ${store}`, async () => {
    await using master = await start(store, "-rpc");
    await add(master.url, "https://example.com/", "docs");
    await add(master.url, "https://example.com/?a,b", "list");
    await add(master.url, "https://example.com/", "gone");
    await change(master.url, "gone");
    const lines = await run("-export", `-master=${master.url}`);
    assertEquals(links(lines.stdout), {
      docs: "https://example.com/",
      list: "https://example.com/?a,b",
    });
    const csv = await run("-export=csv", `-master=${master.url}`);
    assertEquals(csv.stdout.split("\r\n").sort(), [
      "",
      `docs,https://example.com/`,
      `key,url`,
      `list,"https://example.com/?a,b"`,
    ]);
  });
}

it("what -export=csv writes, -import reads", async () => {
  using dir = tempDir();
  const { path } = dir;
  await Deno.writeTextFile(`${path}/one.jsonl`, [...LINKS.slice(0, 4), ""].join("\n"));
  const csv = await run("-export=csv", `-file=${path}/one.jsonl`);
  await Deno.writeTextFile(`${path}/links.csv`, csv.stdout);
  const { stdout } = await run(`-import=${path}/links.csv`, `-file=${path}/two.jsonl`);
  assertEquals(stdout, `${path}/links.csv: 2 new\n`);
  const two = await run("-export", `-file=${path}/two.jsonl`);
  assertEquals(links(two.stdout), links((await run("-export", `-file=${path}/one.jsonl`)).stdout));
});

it("-export says in a line why it can't", async () => {
  const { code, stderr } = await run("-export", "-master=127.0.0.1:1");
  assertEquals(code, 1);
  assertMatch(stderr, /goto: master out of reach, after 0 links\n$/);
  const bad = await run("-export=xml");
  assertEquals(bad.code, 2);
  assertEquals(bad.stderr, `goto: -export: "xml" is not allowed: use jsonl or csv\n`);
});
