/**
 * JSON as programs write it to files: a value a line, values over several lines, an array, or the answer
 * of an API, which has an array in it.
 *
 * @module
 */
import { parse, parseStrictly } from "./strict.ts";

/** The most characters of a value, which is a link. */
export const MAX_VALUE = 1 << 24;

const PEEK = 1 << 16; // characters in which the first line of JSON lines ends
const MAX_NAME = 20; // of those that matter here

/** Where the answers of APIs have their links. */
const ARRAYS: ReadonlySet<string> = new Set(["data", "links", "shortUrls.data"]);

/** A value, and the line where it begins, from 1. */
export interface JSONValue {
  line: number;
  text: string;
  /** Nothing, where it isn't JSON. */
  value?: unknown;
  /** Why it can't be taken as it is. */
  bad?: string;
  /** Whether it is what stands around an array of values, which is left empty. */
  around?: boolean;
}

/**
 * Reads values of a text that comes in pieces. Each character is looked at once.
 *
 * @example
 * ```ts
 * const parser = new JSONParser();
 * [...parser.push('[{"a":1},{"a"')]; // [{ line: 1, text: '{"a":1}', value: { a: 1 } }]
 * ```
 */
export class JSONParser {
  #head = ""; // what came before it was known how values stand
  #blank = true; // whether there was anything yet
  #parser?: LineParser | JSONSplitter;

  /**
   * The values that end in `chunk`. Those before an error come before it.
   *
   * @throws {Error} what stands between them is not JSON, or one is too long
   */
  *push(chunk: string): Generator<JSONValue> {
    if (this.#parser !== undefined) return yield* this.#parser.push(chunk);
    const text = this.#blank ? chunk.trimStart() : chunk;
    this.#head += chunk;
    this.#blank &&= text === "";
    if (text.includes("\n") || this.#head.length >= PEEK) yield* this.#begin();
  }

  /**
   * The last value, where its line doesn't end.
   *
   * @throws {Error} a value ends too soon
   */
  *end(): Generator<JSONValue> {
    if (this.#parser === undefined) yield* this.#begin();
    yield* this.#parser!.end();
  }

  #begin(): Generator<JSONValue> {
    this.#parser = areLines(this.#head) ? new LineParser() : new JSONSplitter();
    return this.#parser.push(this.#head);
  }
}

/** Whether each line is a value, so that a line which is none says nothing of the others. */
function areLines(head: string): boolean {
  const text = head.trimStart();
  const end = text.indexOf("\n");
  if (!text.startsWith("{") || (end === -1 && head.length >= PEEK)) return false;
  const line = (end === -1 ? text : text.slice(0, end)).trimEnd();
  const value = parse(line);
  // Or else it goes on in the next line, or there are several in one.
  if (value === undefined) return !/^\{$|[,{[]$/.test(line) && !areValues(line);
  return !ARRAYS.values().some((path) => {
    let inner = value;
    for (const name of path.split(".")) inner = Object(inner)[name];
    return Array.isArray(inner);
  });
}

/** Whether whole values stand there, one behind the other, as pages of an answer that were put into one file. */
function areValues(text: string): boolean {
  const splitter = new JSONSplitter();
  try {
    const values = [...splitter.push(text), ...splitter.end()];
    return values.every(({ value }) => value !== undefined);
  } catch {
    return false;
  }
}

/** A value a line. */
class LineParser {
  #rest = "";
  #line = 1;

  *push(chunk: string): Generator<JSONValue> {
    let start = 0;
    for (let end; (end = chunk.indexOf("\n", start)) !== -1; start = end + 1) {
      yield* this.#take(this.#rest + chunk.slice(start, end));
      this.#rest = "";
    }
    this.#rest += chunk.slice(start);
    if (this.#rest.length > MAX_VALUE) throw tooLong(this.#line);
  }

  end(): JSONValue[] {
    return this.#take(this.#rest);
  }

  /** The value of a line, if it isn't blank. */
  #take(text: string): JSONValue[] {
    const line = this.#line++;
    if (text.charCodeAt(0) !== 0x7b) {
      text = text.replace(/^\ufeff+/, "");
      if (text.trim() === "") return [];
    }
    return [{ line, text, ...parseStrictly(text) }];
  }
}

/** Values wherever they stand. */
class JSONSplitter {
  #line = 1;
  #begin = 1; // the line where the value begins
  #text = ""; // of the value, as far as it is known
  #depth = 0; // of the value
  #string = false;
  #escaped = false;
  #name = ""; // the last string
  #names: string[] = []; // around the position, in a value that is not in an array
  #array = false; // whether the values are in one
  #around?: { text: string; begin: number; depth: number };

  *push(chunk: string): Generator<JSONValue> {
    let start = 0; // of what belongs to the value
    let name = 0; // where a string begins
    for (let at = 0; at < chunk.length; at++) {
      const char = chunk[at];
      if (char === "\n") this.#line++;
      if (this.#string) {
        if (this.#escaped) this.#escaped = false;
        else if (char === "\\") this.#escaped = true;
        else if (char === '"') {
          this.#string = false;
          if (this.#depth <= 2) this.#name += chunk.slice(name, at).slice(0, MAX_NAME);
        }
        continue;
      }
      if (this.#depth === 0) {
        if (char === "{" || (this.#array && !/[\s,\]]/.test(char))) {
          this.#begin = this.#line;
          this.#text = "";
          start = at;
          if (char !== "{" && char !== "[") {
            throw new Error(`line ${this.#line}: a link is an object, {...}`);
          }
        } else if (char === "[" && !this.#array) {
          this.#array = true;
          continue;
        } else if (char === "]" && this.#array) {
          this.#array = false;
          if (this.#around === undefined) continue;
          const { text, begin, depth } = this.#around;
          [this.#text, this.#begin, this.#depth] = [text, begin, depth];
          start = at;
          continue;
        } else if (/\s/.test(char) || char === "," || char === "\ufeff") continue;
        else throw new Error(`line ${this.#line}: bad JSON`);
      }
      switch (char) {
        case '"':
          this.#string = true;
          this.#name = "";
          name = at + 1;
          break;
        case "[":
          if (this.#opensLinks()) {
            const text = this.#text + chunk.slice(start, at + 1);
            this.#around = { text, begin: this.#begin, depth: this.#depth };
            this.#array = true;
            this.#depth = 0;
            this.#text = "";
            start = chunk.length;
            continue;
          }
          this.#depth++;
          break;
        case "{":
          if (this.#depth < 2) this.#names[this.#depth] = this.#name;
          this.#depth++;
          break;
        case "]":
        case "}":
          if (--this.#depth > 0) break;
          yield this.#value(this.#text + chunk.slice(start, at + 1));
          this.#text = "";
          start = chunk.length;
      }
    }
    if (this.#string && this.#depth <= 2) this.#name += chunk.slice(name).slice(0, MAX_NAME);
    if (this.#depth > 0) this.#text += chunk.slice(start);
    if (this.#text.length > MAX_VALUE) throw tooLong(this.#begin);
  }

  end(): JSONValue[] {
    if (this.#depth === 0 && !this.#array) return [];
    throw new Error(`line ${this.#line}: the JSON ends too soon`);
  }

  /** Whether an array that begins here has the links. */
  #opensLinks(): boolean {
    if (this.#array || this.#around !== undefined || this.#depth > 2) return false;
    return ARRAYS.has([...this.#names.slice(1, this.#depth), this.#name].join("."));
  }

  #value(text: string): JSONValue {
    const around = !this.#array && this.#around !== undefined;
    if (around) this.#around = undefined;
    return { line: this.#begin, text, ...parseStrictly(text), around };
  }
}

function tooLong(line: number): Error {
  const limit = MAX_VALUE.toLocaleString("en-US");
  return new Error(`line ${line}: it is longer than ${limit} characters`);
}
