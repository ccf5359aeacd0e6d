/**
 * Links as this program and others write them to files.
 *
 * @module
 */
import { CSVParser, type CSVRecord, MAX_RECORD } from "./csv.ts";
import { decode } from "./formats/decode.ts";
import { JSONParser, type JSONValue } from "./formats/json.ts";
import { type Confusion, type Layout, layOut } from "./formats/layout.ts";
import { isOwn, isOwnHeader, OwnLines, readOwnRecord } from "./formats/own.ts";
import { readRecord } from "./formats/record.ts";
import type { Remarks } from "./formats/remarks.ts";
import type { Row } from "./formats/row.ts";

export type { Row } from "./formats/row.ts";
export { COLUMNS } from "./formats/own.ts";
export { Remarks } from "./formats/remarks.ts";

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
 * @throws {Error} nothing can be read, or nothing more: the rows before come before that
 */
export async function* readLinks(
  bytes: AsyncIterable<Uint8Array>,
  remarks: Remarks,
): AsyncGenerator<Row> {
  let head = "";
  let reader: TableReader | ObjectReader | undefined;
  for await (const text of decode(bytes)) {
    if (reader !== undefined) yield* reader.push(text);
    else {
      head += text;
      const begin = text.trimStart();
      if (begin !== "") {
        reader = /^[{[]/.test(begin) ? new ObjectReader(remarks) : new TableReader(remarks);
        yield* reader.push(head);
      } else if (head.length > MAX_RECORD) throw new Error("nothing but blanks is in it");
    }
  }
  if (reader !== undefined) yield* reader.end();
}

/** Reads a table. */
class TableReader {
  readonly #parser = new CSVParser();
  #header?: string[];
  #read!: (values: string[], line: number) => Row[];

  constructor(private readonly remarks: Remarks) {}

  *push(text: string): Generator<Row> {
    for (const record of this.#parser.push(text)) yield* this.#rows(record);
  }

  *end(): Generator<Row> {
    for (const record of this.#parser.end()) yield* this.#rows(record);
  }

  #rows(record: CSVRecord): Row[] {
    const { line, fields } = record;
    if (this.#header === undefined) {
      this.#header = fields;
      this.#read = isOwnHeader(fields) ? readOwnRecord : readerOf(fields, this.remarks);
      return [];
    }
    const reason = badRow(record, this.#header);
    if (reason === undefined) return this.#read(fields, line);
    return [{ ...rawRow(line, fields.join(this.#parser.separator)), reason }];
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

/** Reads objects. */
class ObjectReader {
  readonly #parser = new JSONParser();
  readonly #own: OwnLines;
  // Most objects of a file have the same members, and most of all those that follow one another.
  readonly #layouts = new Map<string, Layout | Confusion>();
  #names: string[] = [];
  #layout?: Layout | Confusion;

  constructor(private readonly remarks: Remarks) {
    this.#own = new OwnLines(remarks);
  }

  *push(text: string): Generator<Row> {
    for (const json of this.#parser.push(text)) yield* this.#rows(json);
  }

  *end(): Generator<Row> {
    for (const json of this.#parser.end()) yield* this.#rows(json);
    yield* this.#own.rows();
  }

  #rows({ line, text, value, bad, around }: JSONValue): Row[] {
    if (around) return this.#around(line, text, value);
    this.remarks.find();
    if (
      bad === undefined && (typeof value !== "object" || value === null || Array.isArray(value))
    ) {
      bad = "it is not a JSON object";
    }
    const object = Object(value);
    if (isOwn(object)) {
      const row = bad === undefined
        ? this.#own.read(object, line)
        : this.#own.refuse(object, line, bad);
      return row === undefined ? [] : [row];
    }
    if (bad !== undefined) return [{ ...rawRow(line, text), reason: bad }];
    const members = flatten(object);
    const layout = this.#layOut(Object.keys(members));
    if ("reason" in layout) return [{ ...rawRow(line, text), reason: layout.reason }];
    return readRecord(layout, Object.values(members), line, this.remarks);
  }

  /** What stands around an array, and is no link, unless it says so of itself. */
  #around(line: number, text: string, value: unknown): Row[] {
    expectAll(value, this.remarks);
    const object = Object(value);
    if (!isOwn(object) && "reason" in layOut(Object.keys(object))) return [];
    return [{ ...rawRow(line, text), reason: "it is a link that has an array of links in it" }];
  }

  #layOut(names: string[]): Layout | Confusion {
    const last = this.#names;
    if (
      this.#layout !== undefined && names.length === last.length &&
      names.every((name, at) => name === last[at])
    ) {
      return this.#layout;
    }
    const id = names.join("\n");
    let layout = this.#layouts.get(id);
    if (layout === undefined) {
      if (this.#layouts.size >= MAX_LAYOUTS) this.#layouts.clear();
      layout = layOut(names);
      this.#layouts.set(id, layout);
      if ("ignored" in layout) { for (const name of layout.ignored) this.remarks.ignore(name); }
    }
    this.#names = names;
    return this.#layout = layout;
  }
}

/** Notes how many links there are, if what stands around a page of them says so. */
function expectAll(value: unknown, remarks: Remarks): void {
  const { total, count, shortUrls, pagination } = Object(value);
  const { totalItems } = Object(Object(shortUrls).pagination);
  for (const all of [total, count, totalItems, Object(pagination).total]) {
    if (Number.isSafeInteger(all)) remarks.expect(all);
  }
}

/** An object in which members of members are called `meta.validUntil`. */
function flatten(object: Record<string, unknown>): Record<string, unknown> {
  const isInner = (value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!Object.values(object).some(isInner)) return object;
  return Object.fromEntries(
    Object.entries(object).flatMap(([name, value]): [string, unknown][] =>
      isInner(value)
        ? Object.entries(Object(value)).map(([inner, value]) => [`${name}.${inner}`, value])
        : [[name, value]]
    ),
  );
}

/** A row that can't be read. */
function rawRow(line: number, text: string): Row {
  return { line, key: "", url: text.slice(0, MAX_RAW) };
}
