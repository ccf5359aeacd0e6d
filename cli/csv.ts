/**
 * Comma-separated values (RFC 4180).
 *
 * @module
 */

const MAX_RECORD = 1 << 20; // characters; a quote that is never closed shall not take all memory

/** A record, and the line where it begins, from 1. */
export interface CSVRecord {
  line: number;
  fields: string[];
}

/**
 * Reads records. Fields are separated by commas, or by whichever of `;` and tab the first line has
 * instead; blank lines are passed over.
 *
 * @throws {Error} a quote that is not closed
 * @example
 * ```ts
 * const text = ReadableStream.from(['key,url\n"a ""b""",https://example.com/\n']);
 * for await (const { line, fields } of readCSV(text)) console.log(line, fields);
 * ```
 */
export async function* readCSV(chunks: AsyncIterable<string>): AsyncGenerator<CSVRecord> {
  let rest = "";
  let line = 1;
  let separator: string | undefined;
  for await (const chunk of chunks) {
    rest += chunk;
    separator ??= rest.includes("\n") ? separatorOf(rest) : undefined;
    if (separator === undefined) continue;
    let end;
    while ((end = endOf(rest)) !== -1) {
      const text = rest.slice(0, end);
      if (text.trim() !== "") yield { line, fields: split(text, separator) };
      line += text.split("\n").length;
      rest = rest.slice(end + 1);
    }
    if (rest.length > MAX_RECORD) throw new Error(`line ${line}: a quote is not closed`);
  }
  if (rest.trim() === "") return;
  if (endOf(`${rest}\n`) === -1) throw new Error(`line ${line}: a quote is not closed`);
  yield { line, fields: split(rest, separator ?? separatorOf(rest)) };
}

/**
 * One record, with quotes where they are needed.
 *
 * @example
 * ```ts
 * formatCSV(["docs", 'a "b", c']); // 'docs,"a ""b"", c"\r\n'
 * ```
 */
export function formatCSV(fields: string[]): string {
  const quote = (field: string) =>
    /^\s|\s$|[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
  return `${fields.map(quote).join(",")}\r\n`;
}

/** Where the first record ends: at the first newline that is not between quotes. */
function endOf(text: string): number {
  for (let end = text.indexOf("\n"), quotes = 0, at = 0; end !== -1; end = text.indexOf("\n", at)) {
    for (; at < end; at++) if (text[at] === '"') quotes++;
    if (quotes % 2 === 0) return end;
    at = end + 1;
  }
  return -1;
}

/** What separates fields. */
function separatorOf(text: string): string {
  const [first] = text.split("\n", 1);
  return [",", ";", "\t"].find((one) => first.includes(one)) ?? ",";
}

function split(record: string, separator: string): string[] {
  const field = new RegExp(`${separator}(?:"((?:[^"]|"")*)"|([^${separator}]*))`, "gy");
  return [...`${separator}${record.replace(/\r$/, "")}`.matchAll(field)]
    .map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare.trim());
}
