import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { loadLines, type Readable } from "../journal/load.ts";
import { type Apply, formatLine, type Tell } from "../journal/lines.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { changesTo } from "../journal/log.ts";
import type { Change, Link } from "../links/link.ts";
import type { Marked } from "../links/scan.ts";
import { Table } from "../links/table.ts";
import { random } from "./random.ts";
import { rounds } from "./rounds.ts";

const FILES = rounds(50, 150);
// GOTO_FUZZ_SEED=... repeats a run.
const { seed, pick } = random(Number(Deno.env.get("GOTO_FUZZ_SEED") ?? random().seed));

/** Content that is read in pieces of at most `piece` bytes: a read may be short. */
function readable(bytes: Uint8Array, piece: () => number): Readable {
  let at = 0;
  return {
    seek: (offset) => Promise.resolve(at = Number(offset)),
    read(buffer) {
      if (at === bytes.length) return Promise.resolve(null);
      const n = Math.min(buffer.length, bytes.length - at, piece());
      buffer.set(bytes.subarray(at, at + n));
      at += n;
      return Promise.resolve(n);
    },
  };
}

/** What comes of a journal. */
interface Loaded {
  links: Map<string, Link>;
  keys: number;
  ids: Marked[];
  bad: [line: number, reason: string][];
  abouts: Parameters<Tell>[];
  end: Awaited<ReturnType<typeof loadLines>>;
}

async function load(bytes: Uint8Array, scans: boolean, piece: () => number): Promise<Loaded> {
  const table = new Table({ segmentBits: 19 });
  const ids: Loaded["ids"] = [];
  const bad: Loaded["bad"] = [];
  const abouts: Loaded["abouts"] = [];
  const remember = (change: Marked) => ids.push(JSON.parse(JSON.stringify(change)));
  const set: Apply = ({ id, ...link }) => {
    table.set(link);
    if (id !== undefined) remember({ ...link, id });
  };
  const reader = scans ? new LinkReader(table, set, remember) : undefined;
  const end = await loadLines(
    readable(bytes, piece),
    reader ?? changesTo(set),
    (line, reason) => bad.push([line, reason]),
    (line, about) => abouts.push([line, about]),
  );
  reader?.loaded();
  const links = new Map([...table].map(([key]) => [key, table.peek(key)!]));
  return { links, keys: table.size, ids, bad, abouts, end };
}

const encoder = new TextEncoder();
const URLS = [
  "https://example.com/",
  "https://example.com/a?b=1&c=<2>",
  "https://ü.example/",
  "",
  "x\x7f",
];

/** What is no time that can be kept, or isn't written as one. */
const ODD = ["0", "00", "-1", "1.5", "1e3", "4294967295", "4294967296", '"1"', "null", " 1", ""];

/** A line of some kind, without its end. */
function line(): string | number[] {
  const key = `k${pick(50)}`;
  const url = `${URLS[pick(URLS.length)]}${pick(1000)}`;
  const ours = (change: Change) => formatLine(change).slice(0, -1);
  const go = (text: string) =>
    JSON.stringify(text).replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
  const kinds: (() => string | number[])[] = [
    () => ours({ key, url: URLS[pick(URLS.length)] }),
    () => ours({ key, url, id: `${pick(30)}` }),
    () =>
      ours({
        key: ["", "é", '"', "\\", "你", "__proto__", " ", "a/b"][pick(8)],
        url,
        id: pick(2) ? "" : undefined,
      }),
    () => `{"Key":${go(key)},"URL":${go(url)}}`,
    () => `{"Key": "${key}", "URL": "${url}"}`,
    () => `  {"Key":"${key}","URL":"${url}"}\t`,
    () => `{"URL":"${url}","Key":"${key}"}`,
    () => ours({ key, url, created: 1 + pick(2 ** 32 - 1) }),
    () => ours({ key, url, created: 1 + pick(1e9), expires: 1 + pick(2 ** 32 - 1) }),
    () => ours({ key, url, expires: 1 + pick(1e9), id: "m" }),
    () => `{"Key":"${key}","URL":"${url}","Created":${ODD[pick(ODD.length)]}}`,
    () => `{"Key":"${key}","URL":"${url}","Hits":${ODD[pick(ODD.length)]}}`,
    () =>
      ours({ key, url, created: 1795600000, author: "ada", hits: pick(1e9), id: `id-${pick(99)}` }),
    () => ours({ key, url, hits: 2 ** pick(53) }),
    () => `{"Key":"${key}","URL":"${url}","Expires":${ODD[pick(ODD.length)]},"ID":"m"}`,
    () => `{"Key":"${key}","URL":"${url}","Expires":7,"Created":8}`,
    () => `{"Key":"${key}","URL":"${url}","ID":"a","Key":"other"}`,
    () => `{"Key":"${key}","URL":"${url}","ID":"${"é".repeat(pick(3))}\\n"}`,
    () => `{"Key":"${key}","URL":"${url}","ID":${pick(9)}}`,
    () => `{"Key":"","URL":"","Term":2,"Base":123}`,
    () => `{"Key":"${key}","URL":"${url}"}\r`,
    () => `\ufeff{"Key":"${key}","URL":"${url}"}`,
    () => `{"Key":"${key}","URL":"${url}"`,
    () => `{"Key":"${key}","URL":"${url}"}}`,
    () => `{"Key":"${key}","URL":"${url}","}`,
    () => `{"Key":"${key}\t","URL":"${url}"}`,
    () => `{"Key":"${key}","URL":"${url}\0"}`,
    () =>
      [
        "",
        " ",
        "null",
        "[]",
        "1",
        '{"Key":1,"URL":""}',
        '{"Key":"a"}',
        '{"Key":"',
        "\0\0",
      ][pick(9)],
    () => [...encoder.encode(`{"Key":"${key}","URL":"`), 0xff, 0xc3, ...encoder.encode('"}')],
    () => ours({ key: "k".repeat(254 + pick(4)), url }),
    () => ours({ key, url: "u".repeat(65_533 + pick(5)) }),
    () => ours({ key, url: `${"v".repeat(pick(300_000))}${pick(2) ? "" : "é"}` }),
  ];
  // The last kinds are long: few of them.
  return pick(3) ? kinds[pick(3)]() : kinds[pick(pick(20) ? kinds.length - 3 : kinds.length)]();
}

function journal(lines: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < lines; i++) {
    const content = line();
    parts.push(typeof content === "string" ? encoder.encode(content) : Uint8Array.from(content));
    if (i < lines - 1 || pick(3)) parts.push(Uint8Array.of(10));
  }
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return pick(10) ? bytes : bytes.subarray(0, pick(size + 1));
}

it(`a journal loads the same, with the same errors, as by JSON.parse alone (seed ${seed})`, async () => {
  let [links, bad] = [0, 0];
  for (let i = 0; i < FILES; i++) {
    const bytes = journal(pick(4) ? pick(40) : pick(3000));
    const most = [1, 7, 50, 1000, 1 << 20][bytes.length > 100_000 ? 3 + pick(2) : pick(5)];
    const expected = await load(bytes, false, () => Infinity);
    const found = await load(bytes, true, () => 1 + pick(most));
    assertEquals(found, expected, `seed ${seed}, file ${i}`);
    links += expected.links.size;
    bad += expected.bad.length;
  }
  assert(links > 0 && bad > 0);
});

it("a journal that breaks off anywhere loads the same as by JSON.parse alone", async () => {
  const text =
    '{"Key":"a","URL":"b"}\n{"Key":"c","URL":"d","ID":"e"}\n{"Key":"é","URL":"\\u0026"}\n';
  const bytes = encoder.encode(text);
  for (let end = 0; end <= bytes.length; end++) {
    for (const piece of [1, 2, 3, 5, 8, 13, 21, 34, 55]) {
      const part = bytes.subarray(0, end);
      const expected = await load(part, false, () => Infinity);
      assertEquals(await load(part, true, () => piece), expected, `${end} bytes, by ${piece}`);
    }
  }
});

it("the ids of the last 65,536 lines that bear one are remembered, in their order", async () => {
  const lines = Array.from(
    { length: 70_000 },
    (_, i) => formatLine({ key: `k${i % 100}`, url: `${i}`, id: i % 7 ? `id ${i}` : undefined }),
  );
  lines.push(
    ...Array.from({ length: 10_000 }, (_, i) => formatLine({ key: `l${i}`, url: "", id: `${i}` })),
  );
  const { ids } = await load(encoder.encode(lines.join("")), true, () => Infinity);
  assertEquals(ids.length, 65_536);
  const { ids: all } = await load(encoder.encode(lines.join("")), false, () => Infinity);
  assertEquals(ids, all.slice(-65_536));
});
