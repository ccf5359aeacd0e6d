import { assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { JournalError } from "../journal/file.ts";
import { Journal } from "../journal/journal.ts";
import { changesTo } from "../journal/log.ts";
import { formatLine, readLines } from "../journal/lines.ts";
import { repair } from "../journal/maintenance.ts";
import { run, start, tempDir } from "./processes.ts";
import { random } from "./random.ts";

const TEXTS = 5000;
const FILES = 100;
// GOTO_FUZZ_SEED=... repeats a run.
const { seed, pick } = random(Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed));

/** What a loader must make of a file, told by one that is too simple to be wrong. */
interface Expected {
  links: Map<string, string>;
  /** The bad lines, counted from 1. */
  bad: number[];
  /** The good lines as they stand. */
  good: Uint8Array[];
}

function expect(bytes: Uint8Array): Expected {
  const expected: Expected = { links: new Map(), bad: [], good: [] };
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline;
    const content = bytes.slice(start, end);
    start = end + 1;
    let record;
    try {
      record = JSON.parse(
        new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content),
      );
    } catch {
      if (newline === -1) break; // torn
    }
    if (typeof record?.Key === "string" && typeof record.URL === "string") {
      // An empty key leads nowhere.
      if (record.Key !== "") expected.links.set(record.Key, record.URL);
      expected.good.push(Uint8Array.of(...content, 10));
    } else {
      expected.bad.push(line);
    }
  }
  return expected;
}

/** A good file with a little wrong: bytes put in, taken out, changed, or the end cut off. */
function spoiled(): Uint8Array {
  const lines = Array.from({ length: 1 + pick(8) }, (_, i) => {
    const url = ["https://example.com/", "https://example.com/é?a=1", "", 'https://x.example/"\\'];
    return formatLine({
      key: `k${pick(5)}${"ü".repeat(pick(2))}`,
      url: url[pick(4)] + i,
      id: pick(4) ? undefined : "m",
    });
  });
  let bytes = [...new TextEncoder().encode(lines.join(""))];
  const byte = () => [pick(256), 10, 0, 34, 92, 123, 125, 32][pick(8)];
  for (let i = pick(4); i > 0; i--) {
    const at = pick(bytes.length + 1);
    const kind = pick(5);
    if (kind === 0) bytes.splice(at, pick(4));
    else if (kind === 1) bytes = bytes.slice(0, at);
    else if (kind === 2 && at < bytes.length) bytes[at] = byte();
    else bytes.splice(at, 0, ...Array.from({ length: 1 + pick(3) }, byte));
  }
  const text = Uint8Array.from(bytes);
  // What has no good line, and doesn't begin as ours do, is no journal: see foreign_test.ts.
  const start = new TextDecoder().decode(text).trimStart().slice(0, 8);
  const isOurs = expect(text).good.length > 0 || '{"Key":"'.startsWith(start);
  return isOurs ? text : spoiled();
}

async function load(path: string, repairs: boolean): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  if (repairs) await repair(path);
  const journal = await Journal.open(path);
  try {
    await journal.load(changesTo(({ key, url }) => links.set(key, url)));
    return links;
  } finally {
    await journal.close();
  }
}

const concat = (parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

it(`spoiled lines are read or counted as bad, each of them (seed ${seed})`, () => {
  for (let i = 0; i < TEXTS; i++) {
    const bytes = spoiled();
    const lines = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
    const { links, bad, good } = expect(lines);
    const what = `seed ${seed}, text ${i}: ${JSON.stringify(new TextDecoder().decode(lines))}`;
    const found = new Map<string, string>();
    const refused: number[] = [];
    const count = readLines(
      lines,
      ({ key, url }) => found.set(key, url),
      (line) => refused.push(line),
    );
    assertEquals(found, links, what);
    assertEquals(refused, bad, what);
    assertEquals(count, good.length + bad.length, what);
  }
});

it(`a spoiled journal loads exactly what is good, or is refused with a line (seed ${seed})`, async () => {
  using dir = tempDir();
  const path = `${dir.path}/store.jsonl`;
  const counts = { loaded: 0, refused: 0 };
  for (let i = 0; i < FILES; i++) {
    const bytes = spoiled();
    const { links, bad, good } = expect(bytes);
    const what = `seed ${seed}, file ${i}: ${JSON.stringify(new TextDecoder().decode(bytes))}`;
    await Deno.writeFile(path, bytes);
    if (bad.length > 0) {
      counts.refused++;
      const error = await load(path, false).then(() => undefined, (error) => error);
      assertEquals(error instanceof JournalError, true, `${what}: ${error}`);
      assertEquals(error.message.startsWith(`${path}:${bad[0]}: `), true, `${what}: ${error}`);
      assertEquals(await Deno.readFile(path), bytes, what);
    } else {
      counts.loaded++;
    }
    assertEquals(await load(path, bad.length > 0), links, what);
    assertEquals(await Deno.readFile(path), concat(good), what);
    await Deno.remove(`${path}.bad`).catch(() => {});
  }
  console.log(`seed ${seed}:`, counts);
});

it(`a spoiled journal never makes the program hang or show its stack (seed ${seed})`, async () => {
  for (let i = 0; i < 12; i++) {
    using dir = tempDir();
    const bytes = spoiled();
    await Deno.writeFile(`${dir.path}/store.jsonl`, bytes);
    const { links, bad } = expect(bytes);
    if (bad.length > 0) {
      const { code, stderr } = await run({ cwd: dir.path }, "-http=127.0.0.1:0");
      assertEquals(code, 1);
      assertMatch(stderr, new RegExp(`^goto: store\\.jsonl:${bad[0]}: [^\\n]+\\n$`));
    } else {
      await using master = await start({ cwd: dir.path });
      assertEquals(master.links, [...links.values()].filter((url) => url !== "").length);
    }
  }
});
