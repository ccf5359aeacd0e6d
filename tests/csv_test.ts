/**
 * CSV as RFC 4180 has it, and as Python's `csv` and papaparse read what it leaves open: a quote within
 * a field that doesn't begin with one stands for itself.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { CSVParser, type CSVRecord, formatCSV, readCSV } from "../cli/csv.ts";
import { JSONParser } from "../cli/formats/json.ts";
import { random } from "./random.ts";

const CASES = 3000;
// GOTO_FUZZ_SEED=... repeats a run.
const { seed, pick } = random(Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed));

/** The records of a text that comes in pieces of `size` characters. */
async function read(text: string, size = text.length || 1): Promise<CSVRecord[]> {
  const records = [];
  for await (const record of readCSV(pieces(text, size))) records.push(record);
  return records;
}

async function* pieces(text: string, size: number) {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

async function fields(text: string): Promise<string[][]> {
  return (await read(text)).map(({ fields }) => fields);
}

it("readCSV() reads what RFC 4180 allows, and what others write", async () => {
  const cases: [text: string, fields: string[][]][] = [
    ["a,b\nc,d\n", [["a", "b"], ["c", "d"]]],
    ["a,b\r\nc,d", [["a", "b"], ["c", "d"]]],
    ["a,b\rc,d\r", [["a", "b"], ["c", "d"]]],
    ['a,b\n"c ""d""","e,f"\n', [["a", "b"], ['c "d"', "e,f"]]],
    ['a,b\n"c\r\nd",e\n', [["a", "b"], ["c\r\nd", "e"]]],
    ['a,b\n5" disk,6" disk\nc,d\n', [["a", "b"], ['5" disk', '6" disk'], ["c", "d"]]],
    ["a;b,c\nd;e,f\n", [["a;b", "c"], ["d;e", "f"]]],
    ["a;b;c,d\ne;f;g\n", [["a", "b", "c,d"], ["e", "f", "g"]]],
    ['"a,b,c";d\n1;2\n', [["a,b,c", "d"], ["1", "2"]]],
    ["a\tb\nc\t\n", [["a", "b"], ["c", ""]]],
    ["sep=;\r\na;b,c\r\n1;2,3\r\n", [["a", "b,c"], ["1", "2,3"]]],
    ['"sep=,"\na;b,c\n', [["a;b", "c"]]],
    ["SEP=\t\na,b\tc", [["a,b", "c"]]],
    ["sep=;", [["sep=", ""]]],
    ["sep=|\na|b\n", [["sep=|"], ["a|b"]]],
    ["\n\r\n\na;b\n\n1;2\n  \n", [["a", "b"], ["1", "2"]]],
    ['a,b\n"",""\n,\n', [["a", "b"], ["", ""], ["", ""]]],
    [" a , b\n", [[" a ", " b"]]],
    ["", []],
    ["\n\n", []],
    ["a,b", [["a", "b"]]],
  ];
  for (const [text, wanted] of cases) assertEquals(await fields(text), wanted, text);
});

it("readCSV() says in which line a record begins, also behind quoted line breaks", async () => {
  const text = '\na,b\r\n"1\n2\r\n3",x\n\n4,"5\r6"\r7,8\r\n9,10';
  const lines = (await read(text)).map(({ line }) => line);
  assertEquals(lines, [2, 3, 7, 9, 10]);
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = ["", "sep=;", "a;b", "1;2", ""].join(end);
    assertEquals((await read(text)).map(({ line }) => line), [3, 4], JSON.stringify(text));
  }
});

it("readCSV() says which record has text behind a closing quote, and goes on behind it", async () => {
  const [, bad, good] = await read('a,b\n"c"d,e\nf,g\n');
  assertEquals(bad.bad, "it has text behind a quote that closes a field");
  assertEquals(good, { line: 3, fields: ["f", "g"] });
});

it("readCSV() refuses a quote that is not closed, and a record that has no end", async () => {
  await assertRejects(() => read('a,b\n"c,d\ne,f\n'), Error, "line 2: a quote is not closed");
  for (const [text, reason] of [['"', "a quote is not closed"], ["", "it is longer than"]]) {
    const endless = async function* () {
      yield `a,b\n${text}`;
      for (;;) yield "x".repeat(1 << 16);
    };
    const all = async () => {
      for await (const _ of readCSV(endless()));
    };
    await assertRejects(all, Error, `line 2: ${reason}`);
  }
});

it("formatCSV() writes what readCSV() reads", async () => {
  const rows = [["a", "b", "c"], [' x"', '"', "1,2"], ["\r\n", "\n", "\r"], ["", " ", "ä\t;"]];
  assertEquals(await fields(rows.map(formatCSV).join("")), rows);
});

/** A text, and what separates its fields. */
interface Case {
  text: string;
  separator: string;
}

function makeCase(): Case {
  const separator = [",", ";", "\t"][pick(3)];
  const ends = [["\n"], ["\r\n"], ["\n", "\r\n", "\r"]][pick(3)];
  const parts = [separator, separator, '"', '"', '""', "a", "ä", " ", ",", ";", "\t", "b c"];
  let text = `h${separator}h${ends[0]}`;
  for (let i = pick(24); i > 0; i--) {
    text += pick(4) === 0 ? ends[pick(ends.length)] : parts[pick(parts.length)];
  }
  return { text, separator };
}

/** What another program makes of texts; nothing, where it is not there. */
async function ask<T>(cases: Case[], command: string, ...args: string[]): Promise<T[] | undefined> {
  try {
    const child = new Deno.Command(command, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    const output = child.output();
    await new Blob([JSON.stringify(cases)]).stream().pipeTo(child.stdin);
    const { success, stdout } = await output;
    return success ? JSON.parse(new TextDecoder().decode(stdout)) : undefined;
  } catch {
    return undefined;
  }
}

const cases = Array.from({ length: CASES }, makeCase);

const python = await ask<[line: number, fields: string[]][]>(
  cases,
  "python3",
  "-c",
  `import csv, io, json, sys
def read(text, separator):
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, before = [], 0
    for row in reader:
        rows.append([before + 1, row])
        before = reader.line_num
    return rows
print(json.dumps([read(case["text"], case["separator"]) for case in json.load(sys.stdin)]))`,
);

const papaparse = await ask<string[][]>(
  cases,
  Deno.execPath(),
  "eval",
  `const { default: Papa } = await import("npm:papaparse@5.5.3");
  const cases = await new Response(Deno.stdin.readable).json();
  const read = ({ text, separator: delimiter }) => Papa.parse(text, { delimiter }).data;
  console.log(JSON.stringify(cases.map(read)));`,
);

/** Whether a record says something. */
function saysSomething(fields: string[]): boolean {
  return fields.length > 1 || (fields.length === 1 && fields[0].trim() !== "");
}

/** The records before a quote that is not closed, if there is one. */
async function readSome(text: string, size?: number) {
  const records: CSVRecord[] = [];
  let complete = true;
  try {
    for await (const record of readCSV(pieces(text, size ?? text.length))) records.push(record);
  } catch {
    complete = false;
  }
  const bad = records.some(({ bad }) => bad !== undefined);
  return { records: records.filter(({ fields }) => saysSomething(fields)), complete, bad };
}

it(`readCSV() gives the fields and lines that Python's csv gives (seed ${seed})`, {
  ignore: python === undefined, // there is no Python
}, async () => {
  let compared = 0;
  for (const [i, { text }] of cases.entries()) {
    const { records, complete } = await readSome(text);
    const wanted = python![i].filter(([, fields]) => saysSomething(fields));
    const got = records.map(({ line, fields }) => [line, fields]);
    const name = `case ${i}, seed ${seed}: ${JSON.stringify(text)}`;
    // What isn't closed ends with the text in Python, and is refused here.
    assertEquals(got, complete ? wanted : wanted.slice(0, got.length), name);
    if (complete) compared += got.length;
  }
  assert(compared > CASES, "most texts are refused");
});

it(`readCSV() gives the fields that papaparse gives, or refuses (seed ${seed})`, {
  ignore: papaparse === undefined, // npm is out of reach
}, async () => {
  let compared = 0;
  for (const [i, { text }] of cases.entries()) {
    if (/\r(?!\n)|(?<!\r)\n.*\r/s.test(text) || (text.includes("\r") && /(?<!\r)\n/.test(text))) {
      continue; // papaparse knows one kind of line end at a time
    }
    const { records, complete, bad } = await readSome(text);
    if (!complete || bad) continue;
    const wanted = papaparse![i].filter(saysSomething);
    const name = `case ${i}, seed ${seed}: ${JSON.stringify(text)}`;
    assertEquals(records.map(({ fields }) => fields), wanted, name);
    compared += wanted.length;
  }
  assert(compared > CASES, "most texts are refused");
});

it(`readCSV() reads the same however a text is cut into pieces (seed ${seed})`, async () => {
  for (const { text } of cases.slice(0, 1000)) {
    const whole = await readSome(text);
    for (const size of [1, 2, 1 + pick(9)]) {
      assertEquals(await readSome(text, size), whole, `${size}, ${JSON.stringify(text)}`);
    }
  }
});

/** The shortest of several times that it takes, in milliseconds. */
function timeOf(run: () => void): number {
  let least = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

for (
  const [name, Parser, text] of [
    ["a quote that is never closed", CSVParser, 'a,b\n"' + "x\n".repeat(1 << 15)],
    ["quotes alone", CSVParser, "a,b\n" + '"'.repeat(1 << 16)],
    ["quotes within fields", CSVParser, "a,b\n" + 'a"'.repeat(1 << 15)],
    ["separators alone", CSVParser, "a,b\n" + ",".repeat(1 << 16)],
    ["a header without an end", CSVParser, '"'.repeat(1 << 15) + "x,".repeat(1 << 14)],
    ["blank lines", CSVParser, "\r\n".repeat(1 << 15)],
    ["braces alone", JSONParser, "[" + '{"a":'.repeat(12_000)],
    ["arrays in an object", JSONParser, "{\n" + '"data2":[],'.repeat(6000)],
    ["quotes in JSON", JSONParser, "[\n" + '{"'.repeat(1 << 15)],
    ["a line without an end", JSONParser, '{"a":"b"}\n{"' + "x".repeat(1 << 16)],
  ] as const
) {
  it(`64 KB take at most three times as long as 32 KB, in small pieces: ${name}`, () => {
    const all = (text: string) => () => {
      const parser = new Parser();
      try {
        for (let at = 0; at < text.length; at += 8) {
          for (const _ of parser.push(text.slice(at, at + 8)));
        }
        for (const _ of parser.end());
      } catch {
        // It need not be right.
      }
    };
    const half = text.slice(0, text.length / 2);
    timeOf(all(half)); // the first time is for the compiler
    const ratio = () => timeOf(all(text)) / timeOf(all(half));
    // Others work on this machine, too.
    const ratios = [ratio()];
    while (ratios.at(-1)! > 3 && ratios.length < 5) ratios.push(ratio());
    assert(Math.min(...ratios) <= 3, `${ratios}`);
  });
}
