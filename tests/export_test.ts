/** What comes out of one store goes into another, and is the same. */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { startHere } from "./here.ts";
import { add, start, tempDir } from "./processes.ts";
import { change, freePort } from "./replicas.ts";

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
  assertEquals(outputs[1], `${path}/0: 2,504 rows: 2,504 new\n`);
  assertEquals((await run(...steps[1])).stdout, `${path}/0: 2,504 rows: 0 new, 2,504 equal\n`);
});

for (const store of ["-file=store.jsonl", "-kv=links.db"]) {
  it(`-export writes what a running master has, on ${store}`, async () => {
    const begin = store.startsWith("-kv") ? start : startHere; // a database is a process's
    await using master = await begin(store, "-rpc");
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
    assertEquals(csv.stdout.replace(/\d{4}-\d\d-\d\dT[\d:]{8}Z/g, "TIME").split("\r\n").sort(), [
      "",
      `docs,https://example.com/,TIME,,,`,
      `key,url,created,expires,author,editor`,
      `list,"https://example.com/?a,b",TIME,,,`,
    ]);
  });
}

it("what -export=csv writes, -import reads", async () => {
  using dir = tempDir();
  const { path } = dir;
  const lines = [
    ...LINKS,
    '{"Key":"ends","URL":"https://example.com/","Created":1795625461,"Expires":4101840000}',
    '{"Key":"names","URL":"https://example.com/","Author":"Lovelace, \\"Ada\\" ","Editor":"NULL"}',
    '{"Key":"a/b","URL":" /old\\r\\n","Created":1795625461,"Editor":"\\\\N"}',
    '{"Key":"NULL","URL":"{path}"}',
  ];
  await Deno.writeTextFile(`${path}/one.jsonl`, [...lines, ""].join("\n"));
  const csv = await run("-export=csv", `-file=${path}/one.jsonl`);
  await Deno.writeTextFile(`${path}/links.csv`, csv.stdout);
  const { stdout } = await run(`-import=${path}/links.csv`, `-file=${path}/two.jsonl`);
  assertMatch(stdout, /links\.csv: 8 rows: 8 new\n$/);
  const [one, two] = await Promise.all(
    ["one", "two"].map(async (name) =>
      (await run("-export", `-file=${path}/${name}.jsonl`)).stdout
    ),
  );
  assertEquals(two.split("\n").sort(), one.split("\n").sort());
  await Deno.writeTextFile(
    `${path}/some.csv`,
    "url,slug,expires\nhttps://example.com/,a,2099-12-24T00:00:00Z\nhttps://example.com/,b,soon\n",
  );
  const some = await run(`-import=${path}/some.csv`, `-file=${path}/three.jsonl`);
  assertMatch(some.stdout, /: 2 rows: 1 new, 1 refused; see /);
  assertMatch(await Deno.readTextFile(`${path}/three.jsonl`), /"Key":"a".*"Expires":4101753600/);
});

it("commands that need a file make none, and none is passed over for another", async () => {
  using dir = tempDir();
  const cwd = dir.path;
  for (
    const [flags, code, line] of [
      [["-export", "-file=no.jsonl"], 1, "no.jsonl: No such file"],
      [["-export"], 1, "store.jsonl: No such file"],
      [["-export", "-kv=no.db"], 1, "no.db: No such file"],
      [["-import=no.csv"], 1, "no.csv: No such file or directory"],
      [["-import=."], 1, ".: Is a directory"],
      [["-backup=no/b.jsonl", "-file=here.jsonl"], 1, "no/b.jsonl: No such file or directory"],
      [
        ["-import=here.jsonl", "-export"],
        2,
        "-import and -export don't go together: give one of them",
      ],
      [["-compact", "-file=no.jsonl", "-master=localhost:1"], 1, "no.jsonl: No such file"],
      [["-compact", "-backup=b"], 2, "-compact and -backup don't go together: give one of them"],
    ] as const
  ) {
    await Deno.writeTextFile(`${cwd}/here.jsonl`, "");
    const ended = await run({ cwd }, ...flags);
    assertEquals([ended.code, ended.stderr], [code, `goto: ${line}\n`], flags.join(" "));
    assertEquals(Array.from(Deno.readDirSync(cwd), ({ name }) => name), ["here.jsonl"]);
  }
});

it("-export says in a line why it can't", async () => {
  using dir = tempDir();
  const line = '{"Key":"odd\\ud800","URL":"https://example.com/"}\n';
  await Deno.writeTextFile(`${dir.path}/odd.jsonl`, line);
  const odd = await run("-export=csv", `-file=${dir.path}/odd.jsonl`);
  assertEquals([odd.code, odd.stderr], [
    1,
    'goto: CSV can\'t hold the key "odd\\ud800", or its URL: use -export, after 0 links\n',
  ]);
  assertEquals((await run("-export", `-file=${dir.path}/odd.jsonl`)).stdout, line);
  const { code, stderr } = await run("-export", `-master=127.0.0.1:${freePort()}`);
  assertEquals(code, 1);
  assertMatch(stderr, /^goto: http:\/\/127\.0\.0\.1:\d+: .*refused.*\n$/i);
  await using master = await startHere();
  for (const command of ["-export", "-import=-"]) {
    const refused = await run(command, `-master=${master.url}`);
    assertEquals(refused.stderr, `goto: ${master.url}: 404 not found: RPC is served with -rpc\n`);
    assertEquals(refused.code, 1);
  }
  const bad = await run("-export=xml");
  assertEquals(bad.code, 2);
  assertEquals(bad.stderr, `goto: -export: "xml" is not allowed: use jsonl or csv\n`);
});
