/**
 * Links as we write them, as lines and as CSV, and the Go program's lines.
 *
 * @module
 */
import { isName } from "../../links/link.ts";
import { isTime, parseTime } from "../../links/time.ts";
import type { Remarks } from "./remarks.ts";
import type { Row } from "./row.ts";
import { quote, readClicks, Unfit } from "./values.ts";

/** The columns of our own CSV. */
export const COLUMNS = ["key", "url", "created", "expires", "author", "editor"];
/** The headers that it may have: the second is an older one. */
const HEADERS: ReadonlySet<string> = new Set([COLUMNS.join(), "key,url,made,expires"]);

/** The members that are read, and what they were called before. */
const MEMBERS = new Map([
  ["Created", "Made"],
  ["Expires", undefined],
  ["Author", "By"],
  ["Editor", "ChangedBy"],
]);
/** Those that say nothing of a link. */
const SILENT: ReadonlySet<string> = new Set(["Key", "URL", "ID", "Term", "Base", "Fold"]);

/** Whether an object is a line of ours: `{"Key":"docs","URL":"https://example.com/"}`. */
export function isOwn(value: object): value is { Key: string; URL: string } {
  return "Key" in value && "URL" in value && typeof value.Key === "string" &&
    typeof value.URL === "string";
}

/**
 * Gathers lines: later ones change what earlier ones said.
 *
 * @example
 * ```ts
 * import { Remarks } from "./remarks.ts";
 *
 * const lines = new OwnLines(new Remarks());
 * lines.read({ Key: "docs", URL: "https://example.com/" }, 1);
 * lines.read({ Key: "docs", URL: "" }, 2);
 * [...lines.rows()]; // [], as the second line deletes
 * ```
 */
export class OwnLines {
  readonly #rows = new Map<string, Row>();

  constructor(private readonly remarks: Remarks) {}

  /** Takes a line in; one that can't be taken over is given back with the reason. */
  read(value: { Key: string; URL: string }, line: number): Row | undefined {
    const { Key: key, URL: url } = value;
    if (key === "") return; // it speaks of the file itself
    try {
      this.#rows.set(key, { key, url, ...this.#facts(value), line, own: true });
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      return this.refuse(value, line, error.message);
    }
  }

  /** A line that can't be taken over: what was said of its key before doesn't hold any more. */
  refuse({ Key: key, URL: url }: { Key: string; URL: string }, line: number, reason: string): Row {
    this.#rows.delete(key);
    return { key, url, line, reason };
  }

  /** All links. */
  *rows(): Generator<Row> {
    for (const row of this.#rows.values()) if (row.url !== "") yield row;
  }

  #facts(value: object): Partial<Row> {
    const facts: Partial<Row> = {};
    const members: Map<string, unknown> = new Map(Object.entries(value));
    if (members.size === 2) return facts;
    const values = new Map<string, unknown>();
    for (const [name, before] of MEMBERS) {
      const [now, old] = [members.get(name), before && members.get(before)];
      if (now !== undefined && old !== undefined && now !== old) {
        throw new Unfit(`"${name}" and "${before}" don't say the same`);
      }
      if ((now ?? old) !== undefined) values.set(name, now ?? old);
      members.delete(name);
      if (before) members.delete(before);
    }
    facts.created = readTime(values, "Created");
    facts.expires = readTime(values, "Expires");
    facts.author = readName(values, "Author");
    facts.editor = readName(values, "Editor");
    facts.clicks = readClicks(members.get("Hits"));
    for (const name of members.keys()) if (!SILENT.has(name)) this.remarks.ignore(name);
    return facts;
  }
}

/** Whether a table is one of ours. */
export function isOwnHeader(header: string[]): boolean {
  return HEADERS.has(header.join());
}

/** The link of a row of ours, which stays as it is. */
export function readOwnRecord(fields: string[], line: number): Row[] {
  const [key, url, created = "", expires = "", author = "", editor = ""] = fields;
  const time = (text: string, name: string) => {
    const time = text === "" ? undefined : parseTime(text, name === "expires");
    return [name, time ?? (text === "" ? undefined : text)] as const;
  };
  const values = new Map<string, unknown>([
    time(created, "created"),
    time(expires, "expires"),
    ["author", author || undefined],
    ["editor", editor || undefined],
  ]);
  try {
    if (key === "" || url === "") throw new Unfit(`it has no ${key === "" ? "key" : "URL"}`);
    return [{
      key,
      url,
      created: readTime(values, "created"),
      expires: readTime(values, "expires"),
      author: readName(values, "author"),
      editor: readName(values, "editor"),
      line,
      own: true,
    }];
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    return [{ key, url, line, reason: error.message }];
  }
}

/** A time, which is given in seconds since 1970, or as text that can't be read. */
function readTime(values: Map<string, unknown>, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined || value === 0 || isTime(value)) return value || undefined;
  throw new Unfit(`${name} ${quote(value)} is not a time that can be kept`);
}

function readName(values: Map<string, unknown>, name: string): string | undefined {
  const value = values.get(name);
  if (value === undefined || isName(value)) return value;
  throw new Unfit(`${name} ${quote(value)} is not a name that can be kept`);
}
