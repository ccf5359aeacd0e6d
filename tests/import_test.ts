/**
 * Files as other programs write them: with quotes, byte order marks, CRLF, columns that don't matter,
 * and what can't be taken over.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { startHere } from "./here.ts";
import { add, follow, start, tempDir, within } from "./processes.ts";
import { where } from "./replicas.ts";

const YOURLS = `"keyword","url","title","timestamp","ip","clicks"
"docs","https://example.com/docs","The ""docs""","2024-05-01 10:00:00","127.0.0.1","12"
"multi","https://example.com/multi","a title
in two lines","2024-05-01 10:00:00","127.0.0.1","0"
`;
const SHLINK = `\ufeffcreatedAt,shortUrl,shortCode,longUrl,title,tags,visits\r
2024-05-01T10:00:00+02:00,https://s.example.com/docs,docs,https://example.com/docs,,a|b,3\r
2024-05-01T10:00:00+02:00,https://s.example.com/multi,multi,https://example.com/multi,"x, y",,0\r
`;
const KUTT = `id,address,target,description
1,docs,https://example.com/docs,
2,multi,https://example.com/multi,
`;
const BITLY = `Title;Short URL;Long URL
Docs;https://bit.ly/docs;https://example.com/docs
Multi;bit.ly/multi;https://example.com/multi
`;
const GOLINK = `{"Short":"docs","Long":"https://example.com/docs","Owner":"a@example.com"}
{"Short":"multi","Long":"https://example.com/multi","Created":"2022-06-02T00:00:00Z"}
`;
const OURS = `{"Key":"docs","URL":"https://example.com/old"}
{"Key":"gone","URL":"https://example.com/gone"}
{"Key":"docs","URL":"https://example.com/docs","ID":"x"}
{"Key":"gone","URL":""}
{"Key":"multi","URL":"https://example.com/multi"}
`;

/** Imports a text into a new file, and gives what came of it. */
async function imported(text: string) {
  using dir = tempDir();
  const [input, file] = [`${dir.path}/in`, `${dir.path}/store.jsonl`];
  await Deno.writeTextFile(input, text);
  const { code, stdout, stderr } = await run("-import", input, "-file", file);
  const links = await Deno.readTextFile(file).catch(() => "");
  const rejected = await Deno.readTextFile(`${input}.rejected`).catch(() => "");
  return {
    code,
    stderr: stderr.replaceAll(input, "in"),
    stdout: stdout.replaceAll(input, "in"),
    links: lines(links).map(({ Key, URL }) => `${Key} ${URL}`),
    rejected: lines(rejected),
  };
}

function lines(text: string) {
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

for (const [name, text] of Object.entries({ YOURLS, SHLINK, KUTT, BITLY, GOLINK, OURS })) {
  it(`-import takes over what ${name} exports`, async () => {
    const { code, stdout, links } = await imported(text);
    assertEquals(code, 0);
    assertEquals(stdout, "in: 2 rows: 2 new\n");
    assertEquals(links, ["docs https://example.com/docs", "multi https://example.com/multi"]);
  });
}

it("-import takes the last line where it does not end", async () => {
  for (const text of [OURS, KUTT]) {
    const { code, links } = await imported(text.trimEnd());
    assertEquals([code, links.at(-1)], [0, "multi https://example.com/multi"]);
  }
});

it("-import takes over what the Go program wrote, as it stands", async () => {
  const file = `${import.meta.dirname}/testdata/go.jsonl`;
  const text = await Deno.readTextFile(file);
  const { stdout, links } = await imported(text);
  const count = lines(text).length;
  assertEquals(stdout, `in: ${count} rows: ${count} new\n`);
  assertEquals(links, lines(text).map(({ Key, URL }) => `${Key} ${URL}`));
});

it("-import reads the names that a link's members had, and loses none", async () => {
  using dir = tempDir();
  const [input, file] = [`${dir.path}/old.jsonl`, `${dir.path}/store.jsonl`];
  await Deno.writeTextFile(
    input,
    `{"Key":"a","URL":"https://example.com/a","Made":1795600000,"By":"ada","ChangedBy":"bob"}\n` +
      `{"Key":"b","URL":"https://example.com/?\\"By\\":","Made":7,"Expires":4000000000,"ID":"x-1"}\n` +
      `{"Key":"c","URL":"https://example.com/c","By":"\\u0061da"}\n` +
      `{"Key":"d","URL":"https://example.com/d","Made":1795600000}\n` +
      `{"Key":"d","URL":"","ChangedBy":"bob"}\n`,
  );
  const { code, stdout } = await run("-import", input, "-file", file);
  assertEquals([code, stdout], [0, `${input}: 3 rows: 3 new\n`]);
  assertEquals(
    await Deno.readTextFile(file),
    `{"Key":"a","URL":"https://example.com/a","Created":1795600000,"Author":"ada","Editor":"bob"}\n` +
      `{"Key":"b","URL":"https://example.com/?\\"By\\":","Created":7,"Expires":4000000000}\n` +
      `{"Key":"c","URL":"https://example.com/c","Author":"ada"}\n`,
  );
  await Deno.writeTextFile(
    input,
    "key,url,made,expires\r\ne,https://example.com,2026-11-25T09:46:40Z,",
  );
  assertEquals((await run("-import", input, "-file", file)).code, 0);
  assertMatch(
    await Deno.readTextFile(file),
    /\n\{"Key":"e","URL":"https:\/\/example.com","Created":1795600000\}\n$/,
  );
});

it("-import lists what it can't take over, with the reason and the line", async () => {
  const { code, stdout, rejected } = await imported(`key,url
docs,https://example.com/docs
docs,https://example.com/other
docs,example.com/docs
api,https://example.com/
,https://example.com/
ftp,ftp://example.com/
`);
  assertEquals(code, 0);
  assertEquals(stdout, "in: 6 rows: 1 new, 1 equal, 1 conflict, 3 refused; see in.rejected\n");
  assertEquals(rejected.map(({ line, reason, kept }) => [line, reason, kept]), [
    [3, "line 2 has this key, too: it leads elsewhere", "https://example.com/docs"],
    [5, `invalid key: "api" is reserved`, undefined],
    [6, "it has no key", undefined],
    [7, "invalid URL: it must start with http:// or https://", undefined],
  ]);
});

it("-import takes a golink template that only places .Path, and lists others", async () => {
  const { stdout, rejected } = await imported(
    ["{{.Path}}", "{{PathEscape .Path}}", "{{with .Path}}{{.}}{{end}}", "{{.User}}"].map(
      (template, i) => `{"Short":"k${i}","Long":"https://example.com/?q=${template}"}\n`,
    ).join(""),
  );
  assertEquals(stdout, "in: 4 rows: 2 new, 2 refused; see in.rejected\n");
  assertEquals(rejected.map(({ Key }) => Key), ["k2", "k3"]);
});

it("-import done again changes nothing, also through a replica's master that runs", async () => {
  await using master = await start("-rpc");
  using dir = tempDir();
  const input = `${dir.path}/in.csv`;
  const rows = Array.from({ length: 10_000 }, (_, i) => `k${i},https://example.com/${i}\n`);
  await Deno.writeTextFile(input, `key,url\n${rows.join("")}`);
  const first = await run("-import", input, `-master=${master.url}`);
  assertEquals(first.stdout, `${input}: 10,000 rows: 10,000 new\n`);
  assertEquals(await where(master.url, "k9999"), "https://example.com/9999");
  const second = await run("-import", input, `-master=${master.url}`);
  assertEquals(second.stdout, `${input}: 10,000 rows: 0 new, 10,000 equal\n`);
});

it("-import says in one line why it can't", async () => {
  for (
    const [text, reason] of [
      ["a,b\n1,2\n", /^goto: in: no links in it: use lines like .*; nothing was imported\n$/],
      [
        'key,url\nk,"https://example.com/\n',
        /^goto: in: line 2: a quote is not closed; nothing was imported\n$/,
      ],
    ] as const
  ) {
    const { code, stderr } = await imported(text);
    assertEquals(code, 1);
    assertMatch(stderr, reason);
  }
  const { code, stderr } = await run("-import=/nowhere");
  assertEquals([code, stderr], [1, "goto: /nowhere: No such file or directory\n"]);
});

it("-import refuses a file that a master has, and names the way", async () => {
  using dir = tempDir();
  await using master = await startHere("-file", `${dir.path}/store.jsonl`);
  const key = await within(10_000, "a link", add(master.url, "https://example.com/"));
  const { code, stderr } = await run(
    `-import=${dir.path}/store.jsonl`,
    "-file",
    `${dir.path}/store.jsonl`,
  );
  assertEquals(code, 1);
  assertMatch(stderr, /^goto: .*: Already in use by process \d+\n$/);
  assertEquals((await follow(master.url, key)).status, 302);
});
