/**
 * Links as this program and others write them to files.
 *
 * @module
 */
import { readLines, renameMembers } from "../journal/lines.ts";
import { isName, type Link } from "../links/link.ts";
import { isTime } from "../links/time.ts";
import { readCSV } from "./csv.ts";

/** A link as it stands in a file, or why it can't be taken over. */
export interface Row extends Link {
  /** Where it stands; nothing, where later lines of the file changed it. */
  line?: number;
  /** Why it can't be taken over. */
  reason?: string;
  /** Whether it is one of ours: then it stays as it is, however odd, unless a master makes it anew. */
  own?: boolean;
}

/** The columns of our own CSV. */
export const COLUMNS = ["key", "url", "created", "expires"];

// What others call the two columns that are needed, in lower case and without anything but letters.
const KEY_COLUMNS = [
  "key",
  "keyword",
  "slug",
  "shortcode",
  "alias",
  "address",
  "short",
  "shorturl",
];
const URL_COLUMNS = ["url", "longurl", "long", "target", "destination", "originalurl"];

/**
 * Reads links from a text: JSON lines of ours, of the Go program, and of golink's `/.export`, or CSV
 * with a header, as YOURLS, Shlink, Kutt and Bitly export it.
 *
 * @throws {Error} it is neither
 */
export async function* readLinks(text: ReadableStream<string>): AsyncGenerator<Row> {
  const reader = text.getReader();
  let begin = "";
  while (begin.trim() === "") {
    const { value, done } = await reader.read();
    if (done) return;
    begin += value;
  }
  const all = async function* () {
    yield begin.replace(/^\ufeff/, "");
    for (let next; !(next = await reader.read()).done;) yield next.value;
  };
  yield* begin.trimStart().startsWith("{") ? readJSONLines(all()) : readTable(all());
}

/** Lines of ours may change what earlier ones said: they count once all are read. */
async function* readJSONLines(chunks: AsyncIterable<string>): AsyncGenerator<Row> {
  const own = new Map<string, Link>();
  const encoder = new TextEncoder();
  for await (const { line, text } of lines(chunks)) {
    if (text.trim() === "") continue;
    const golink = /^\s*\{\s*"Short"/.test(text) ? readGolink(line, text) : undefined;
    if (golink) yield golink;
    else {
      let wrong: string | undefined;
      const bytes = encoder.encode(`${renameMembers(text)}\n`);
      readLines(
        bytes,
        ({ id: _, ...link }) => own.set(link.key, link),
        (_, reason) => wrong = reason,
      );
      if (wrong !== undefined) yield { line, key: "", url: text.slice(0, 200), reason: wrong };
    }
  }
  for (const link of own.values()) if (link.url !== "") yield { ...link, own: true };
}

/** `{"Short":"docs","Long":"https://example.com/{{.Path}}",...}` */
function readGolink(line: number, text: string): Row | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  const { Short, Long, Owner }: { Short?: unknown; Long?: unknown; Owner?: unknown } = Object(
    value,
  );
  if (typeof Short !== "string" || typeof Long !== "string") return;
  // A template that only places the path, escaped or not, is ours; more than that can't be said here.
  const url = Long.replace(/\{\{\s*(?:(?:Path|Query)Escape\s+)?\.Path\s*\}\}/g, "{path}");
  const reason = url.includes("{{") ? "a template that does more than place .Path" : undefined;
  return { line, key: Short, url, author: isName(Owner) ? Owner : undefined, reason };
}

async function* readTable(chunks: AsyncIterable<string>): AsyncGenerator<Row> {
  let columns: { key: number; url: number; created: number; expires: number } | undefined;
  let own = false;
  for await (const { line, fields } of readCSV(chunks)) {
    if (!columns) {
      const names = fields.map((name) =>
        name.toLowerCase().replace(/[^a-z]/g, "").replace(/^made$/, "created")
      );
      const find = (wanted: string[]) =>
        wanted.map((name) => names.indexOf(name)).find((at) => at !== -1) ?? -1;
      const [created, expires] = [find(["created"]), find(["expires"])];
      columns = { key: find(KEY_COLUMNS), url: find(URL_COLUMNS), created, expires };
      own = names.join() === COLUMNS.join();
      if (columns.key !== -1 && columns.url !== -1) continue;
      throw new Error(
        `no links in it: use lines like {"Key":"docs","URL":"https://example.com/"}, or CSV whose ` +
          `first line names a column ${KEY_COLUMNS.join("/")} and one ${URL_COLUMNS.join("/")}`,
      );
    }
    const { [columns.key]: key = "", [columns.url]: url = "" } = fields;
    const [created, expires] = [columns.created, columns.expires].map((at) =>
      readTime(fields[at] ?? "")
    );
    const reason = created === null || expires === null
      ? "a time is none of RFC 3339's"
      : undefined;
    const times = { created: created ?? undefined, expires: expires ?? undefined };
    // Some give the whole short link; its key is the last part.
    yield {
      line,
      key: own ? key : key.slice(key.lastIndexOf("/") + 1),
      url,
      ...times,
      reason,
      own,
    };
  }
}

/** A time in seconds since 1970; nothing, where nothing is said, and null, where it can't be kept. */
function readTime(text: string): number | undefined | null {
  if (text === "") return;
  const time = Math.floor(Date.parse(text) / 1000);
  return isTime(time) ? time : null;
}

async function* lines(chunks: AsyncIterable<string>) {
  let rest = "";
  let line = 0;
  for await (const chunk of chunks) {
    const texts = `${rest}${chunk}`.split("\n");
    rest = texts.pop() ?? "";
    for (const text of texts) yield { line: ++line, text };
  }
  if (rest !== "") yield { line: ++line, text: rest };
}
