/**
 * Comma-separated values (RFC 4180).
 *
 * @module
 */

/** The most characters of a record: a quote that is never closed must not take all memory. */
export const MAX_RECORD = 1 << 24;

const SEPARATORS = [",", ";", "\t"];
/** What Excel reads and writes in front: the separator. */
const SEP_LINE = /^"?sep=([,;\t])"?(?:\r\n?|\n)/i;
const [QUOTE, LF, CR] = [0x22, 0x0a, 0x0d];

/** A record, and the line where it begins, from 1. */
export interface CSVRecord {
  line: number;
  fields: string[];
  /** Why its fields are not to be trusted. */
  bad?: string;
}

/**
 * Reads records. Fields are separated by commas, or by semicolons or tabs where the first line has more
 * of these, or where a line in front says so (`sep=;`); lines end with LF, CRLF or CR; blank lines are skipped. A quote within a field that doesn't
 * begin with one stands for itself.
 *
 * @throws {Error} a quote that is not closed, or a record of more than {@linkcode MAX_RECORD} characters
 * @example
 * ```ts
 * const text = ReadableStream.from(['key,url\n"a ""b""",https://example.com/\n']);
 * for await (const { line, fields } of readCSV(text)) console.log(line, fields);
 * ```
 */
export async function* readCSV(chunks: AsyncIterable<string>): AsyncGenerator<CSVRecord> {
  const parser = new CSVParser();
  for await (const chunk of chunks) yield* parser.push(chunk);
  yield* parser.end();
}

/** Cuts a text that comes in pieces into records. Each character is looked at once. */
export class CSVParser {
  #head = ""; // what came before the separator was known
  #separator = 0;
  #state: "start" | "bare" | "quoted" | "closed" = "start"; // of the field
  #parts = ""; // of the field
  #fields: string[] = [];
  #quoted = false; // whether any field of the record is
  #bad?: string;
  #size = 0; // of the record
  #line = 1;
  #begin = 1; // the line where the record begins
  #cr = false; // the last character was a CR: an LF belongs to it

  /** What separates the fields, once there are some. */
  get separator(): string {
    return String.fromCharCode(this.#separator);
  }

  /** The records that end in `chunk`. Those before an error come before it. */
  *push(chunk: string): Generator<CSVRecord> {
    if (this.#separator !== 0) return yield* this.#read(chunk);
    if (this.#head === "") {
      const blank = /^[\r\n]*/.exec(chunk)?.[0] ?? "";
      this.#countLines(blank);
      this.#begin = this.#line;
      chunk = chunk.slice(blank.length);
    }
    this.#head += chunk;
    if (/[\r\n]/.test(chunk) || this.#head.length > MAX_RECORD) yield* this.#begun();
  }

  /** The last record, where its line doesn't end. */
  *end(): Generator<CSVRecord> {
    if (this.#separator === 0) yield* this.#begun();
    if (this.#state === "quoted") throw new Error(this.#unclosed());
    if (this.#size > 0) yield* this.#endRecord();
  }

  #begun(): Generator<CSVRecord> {
    let head = this.#head;
    this.#head = "";
    const [line = "", separator] = SEP_LINE.exec(head) ?? [];
    head = head.slice(line.length);
    this.#countLines(line);
    this.#begin = this.#line;
    this.#separator = (separator ?? separatorOf(head)).charCodeAt(0);
    return this.#read(head);
  }

  *#read(text: string): Generator<CSVRecord> {
    const separator = this.#separator;
    let at = 0;
    while (at < text.length) {
      if (this.#state === "quoted") {
        const quote = text.indexOf('"', at);
        const end = quote === -1 ? text.length : quote;
        this.#take(text, at, end);
        this.#countLines(text, at, end);
        at = end + 1;
        if (quote === -1) break;
        this.#grow(1);
        this.#state = "closed";
        this.#cr = false;
        continue;
      }
      const char = text.charCodeAt(at);
      if (this.#cr && char === LF) {
        this.#cr = false;
        at++;
        continue;
      }
      this.#cr = false;
      if (char === QUOTE && this.#state !== "bare") {
        // The second of two quotes stands for one.
        if (this.#state === "closed") this.#parts += '"';
        this.#state = "quoted";
        this.#quoted = true;
        this.#grow(1);
        at++;
      } else if (char === separator) {
        this.#endField();
        this.#grow(1);
        at++;
      } else if (char === LF || char === CR) {
        yield* this.#endRecord();
        this.#countLines(text, at, at + 1);
        this.#begin = this.#line;
        at++;
      } else {
        if (this.#state === "closed") {
          this.#bad ??= "it has text behind a quote that closes a field";
        }
        this.#state = "bare";
        let end = at + 1;
        for (; end < text.length; end++) {
          const next = text.charCodeAt(end);
          if (next === separator || next === LF || next === CR) break;
        }
        this.#take(text, at, end);
        at = end;
      }
    }
  }

  #take(text: string, start: number, end: number): void {
    this.#grow(end - start);
    this.#parts += text.slice(start, end);
  }

  /** Counts characters of the record. */
  #grow(count: number): void {
    this.#size += count;
    if (this.#size <= MAX_RECORD) return;
    if (this.#state === "quoted") throw new Error(this.#unclosed());
    const limit = MAX_RECORD.toLocaleString("en-US");
    throw new Error(`line ${this.#begin}: it is longer than ${limit} characters`);
  }

  #endField(): void {
    this.#fields.push(this.#parts);
    this.#parts = "";
    this.#state = "start";
  }

  /** The record that ends, if it isn't blank. */
  #endRecord(): CSVRecord[] {
    this.#endField();
    const [line, fields, bad] = [this.#begin, this.#fields, this.#bad];
    const blank = fields.length === 1 && !this.#quoted && fields[0].trim() === "";
    this.#fields = [];
    this.#quoted = false;
    this.#bad = undefined;
    this.#size = 0;
    return blank ? [] : [bad === undefined ? { line, fields } : { line, fields, bad }];
  }

  /** Counts the lines that end between `start` and `end`. */
  #countLines(text: string, start = 0, end = text.length): void {
    for (let at = start; at < end; at++) {
      const char = text.charCodeAt(at);
      if (char === CR || (char === LF && !this.#cr)) this.#line++;
      this.#cr = char === CR;
    }
  }

  #unclosed(): string {
    return `line ${this.#begin}: a quote is not closed`;
  }
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

/** What the first line has most of outside quotes, of what may separate fields. */
function separatorOf(text: string): string {
  const [first] = text.replace(/"[^"]*"/g, "").split(/[\r\n]/, 1);
  const counts = SEPARATORS.map((separator) => first.split(separator).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))];
}
