/**
 * Links as this program and others write them to files.
 *
 * @module
 */
import { type CSVRecord, MAX_RECORD, readCSV } from "./csv.ts";
import { decode } from "./formats/decode.ts";
import { type JSONValue, readJSON } from "./formats/json.ts";
import { type Confusion, type Layout, layOut } from "./formats/layout.ts";
import { isOwn, isOwnHeader, OwnLines, readOwnRecord } from "./formats/own.ts";
import { readRecord } from "./formats/record.ts";
import type { Remarks } from "./formats/remarks.ts";

export { COLUMNS } from "./formats/own.ts";
export { Remarks } from "./formats/remarks.ts";

/** A link as it stands in a file, or why it can't be taken over. Times are seconds since 1970. */
export interface Row {
  key: string;
  url: string;
  created?: number;
  /** It may be over. */
  expires?: number;
  author?: string;
  editor?: string;
  /** How often it was followed. */
  clicks?: number;
  /** Where it stands; nothing, where later lines of the file changed it. */
  line?: number;
  /** Why it can't be taken over. */
  reason?: string;
  /** Whether it is one of ours: then it stays as it is, however odd, unless a master makes it anew. */
  own?: boolean;
}

const HINT =
  `use lines like {"Key":"docs","URL":"https://example.com/"}, or CSV whose first line ` +
  `names a column key (or keyword, slug, short code, ...) and one url (or target, long url, ...)`;
const MAX_RAW = 200; // characters that show a row which can't be read
const MAX_LAYOUTS = 100;

/**
 * Reads links: JSON or CSV, of ours, of the Go program, golink, YOURLS, Shlink, Kutt, chhoto-url, Bitly,
 * dub, or with columns that are called alike.
 *
 * @param remarks what there is to say of the file
 * @throws {Error} nothing can be read, or nothing more
 */
export async function* readLinks(
  bytes: AsyncIterable<Uint8Array>,
  remarks: Remarks,
): AsyncGenerator<Row> {
  const iterator = decode(bytes);
  let begin = "";
  for (let blank = true; blank;) {
    const { value, done } = await iterator.next();
    if (done) return;
    begin += value;
    blank = value.trim() === "";
    if (blank && begin.length > MAX_RECORD) throw new Error("nothing but blanks is in it");
  }
  const all = async function* () {
    yield begin;
    yield* iterator;
  };
  yield* /^[{[]/.test(begin.trimStart()) ? readObjects(all(), remarks) : readTable(all(), remarks);
}

async function* readTable(chunks: AsyncIterable<string>, remarks: Remarks): AsyncGenerator<Row> {
  let header: string[] | undefined;
  let read: (values: string[], line: number) => Row[] = () => [];
  for await (const record of readCSV(chunks)) {
    const { line, fields } = record;
    if (header === undefined) {
      header = fields;
      read = isOwnHeader(header) ? readOwnRecord : readerOf(header, remarks);
      continue;
    }
    const reason = badRow(record, header);
    if (reason === undefined) yield* read(fields, line);
    else yield { ...rawRow(line, fields.join(",")), reason };
  }
}

/** Reads rows of another program. */
function readerOf(header: string[], remarks: Remarks): (values: string[], line: number) => Row[] {
  const layout = layOut(header);
  if ("reason" in layout) {
    const { reason, hint } = layout;
    throw new Error(hint ? `${reason}: ${hint}` : `no links in it: ${HINT}`);
  }
  for (const name of layout.ignored) remarks.ignore(name);
  return (values, line) => readRecord(layout, values, line, remarks);
}

/** Why the fields of a row may not be what the header calls them. */
function badRow({ fields, bad }: CSVRecord, header: string[]): string | undefined {
  if (bad !== undefined) return bad;
  if (fields.length !== header.length) {
    const count = fields.length === 1 ? "1 field" : `${fields.length} fields`;
    return `it has ${count}, and the header has ${header.length}`;
  }
  if (fields.every((field, at) => field === header[at])) return "it is the header again";
}

async function* readObjects(chunks: AsyncIterable<string>, remarks: Remarks): AsyncGenerator<Row> {
  const own = new OwnLines(remarks);
  const reader = new ObjectReader(remarks);
  for await (const json of readJSON(chunks)) {
    if (json.around) {
      expectAll(json.value, remarks);
      continue;
    }
    remarks.find();
    const { line, value, bad } = json;
    if (bad === undefined && typeof value === "object" && value !== null && isOwn(value)) {
      const row = own.read(value, line);
      if (row !== undefined) yield row;
    } else yield* reader.read(json);
  }
  yield* own.rows();
}

/** Notes how many links there are, if what stands around a page of them says so. */
function expectAll(value: unknown, remarks: Remarks): void {
  const { total, shortUrls, pagination } = Object(value);
  const { totalItems } = Object(Object(shortUrls).pagination);
  for (const count of [total, totalItems, Object(pagination).total]) {
    if (Number.isSafeInteger(count)) remarks.expect(count);
  }
}

/** Reads objects of other programs. */
class ObjectReader {
  // Most objects of a file have the same members.
  readonly #layouts = new Map<string, Layout | Confusion>();

  constructor(private readonly remarks: Remarks) {}

  read({ line, text, value, bad }: JSONValue): Row[] {
    if (
      bad === undefined && (typeof value !== "object" || value === null || Array.isArray(value))
    ) {
      bad = "it is not a JSON object";
    }
    if (bad !== undefined) return [{ ...rawRow(line, text), reason: bad }];
    const members = flatten(Object(value));
    const layout = this.#layOut(members.map(([name]) => name));
    if ("reason" in layout) return [{ ...rawRow(line, text), reason: layout.reason }];
    return readRecord(layout, members.map(([, value]) => value), line, this.remarks);
  }

  #layOut(names: string[]): Layout | Confusion {
    const id = names.join("\n");
    let layout = this.#layouts.get(id);
    if (layout !== undefined) return layout;
    if (this.#layouts.size >= MAX_LAYOUTS) this.#layouts.clear();
    layout = layOut(names);
    this.#layouts.set(id, layout);
    if ("ignored" in layout) { for (const name of layout.ignored) this.remarks.ignore(name); }
    return layout;
  }
}

/** The members of an object, and of objects in it. */
function flatten(value: object): [name: string, value: unknown][] {
  return Object.entries(value).flatMap(([name, value]): [string, unknown][] => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [[name, value]];
    return Object.entries(value).map(([inner, value]) => [`${name}.${inner}`, value]);
  });
}

/** A row that can't be read. */
function rawRow(line: number, text: string): Row {
  return { line, key: "", url: text.slice(0, MAX_RAW) };
}
