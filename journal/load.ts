/**
 * Reading a journal's file from its beginning.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { join, MAX_LINE } from "./feed.ts";
import { type Apply, type Bad, isJSON, readLines, type Tell } from "./lines.ts";

const CHUNK = 1 << 20;
const MAX_STRANGE = 1024; // lines

/** What a journal is read from. */
export type Readable = Pick<Deno.FsFile, "read" | "seek">;

/** Takes lines over by itself, as far as it knows them. */
export interface Scanner {
  /** How many lines the last scan took. */
  readonly lines: number;
  /** Takes lines from the one that begins at `at`: where does the first one begin that it doesn't know? */
  scan(lines: Uint8Array, at: number): number;
  /** What is told to `apply` next comes after what was taken so far. */
  finish(): void;
  /** Of a file of `total` bytes so many are read. */
  expect(done: number, total: number): void;
}

/** How a file ends. */
export interface Loaded {
  /** Where lines with an end end. */
  size: number;
  /** How many of those there are. */
  lines: number;
  /** What was torn off behind them. */
  torn: Uint8Array;
  /** How many bytes there are of a last line that only lacks its end; 0 where there is none. */
  unended: number;
}

/**
 * Gives all whole lines of `file` to `apply`, or to `bad`, or to `tell`.
 *
 * @param progress told now and then how many bytes are done
 * @param scanner takes what it knows, in place of `apply`
 * @param added given all bytes of lines, after they were read
 */
export async function loadLines(
  file: Readable,
  apply: Apply,
  bad: Bad,
  tell: Tell = () => {},
  progress: (done: number) => void = () => {},
  scanner?: Scanner,
  added: (lines: Uint8Array) => void = () => {},
): Promise<Loaded> {
  let size = 0; // up to where lines are read
  let lines = 0;
  let rest: Uint8Array[] = []; // of a line whose end is still to come
  let restSize = 0;
  const read = (bytes: Uint8Array) => {
    const told = numbered(lines, bad, tell);
    lines += scanner ? scanLines(bytes, scanner, apply, ...told) : readLines(bytes, apply, ...told);
    size += bytes.length;
    added(bytes);
  };
  await file.seek(0, Deno.SeekMode.Start);
  for await (const chunk of chunksOf(file)) {
    const start = chunk.indexOf(NEWLINE) + 1;
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (start > 0) {
      if (restSize < MAX_LINE) {
        read(join([...rest, chunk.subarray(0, start)]));
      } else {
        lines++;
        size += restSize + start;
      }
      read(chunk.subarray(start, end));
      rest = [];
      restSize = 0;
      progress(size);
    }
    if (end === chunk.length) continue;
    const known = restSize >= MAX_LINE; // that it is too long
    restSize += chunk.length - end;
    if (restSize < MAX_LINE) {
      rest.push(chunk.slice(end));
    } else if (!known) {
      bad(lines + 1, `a line of over ${MAX_LINE} bytes`);
      rest = [];
    }
  }
  scanner?.finish();
  const torn = join(rest);
  if (restSize < MAX_LINE) {
    if (!isJSON(torn)) return { size, lines, torn, unended: 0 };
    // What is torn can't be parsed, as its "}" is gone.
    readLines(join([torn, Uint8Array.of(NEWLINE)]), apply, ...numbered(lines, bad, tell));
  }
  return { size, lines, torn: new Uint8Array(), unended: restSize };
}

/** Tells of lines that come after `before` others. */
function numbered(before: number, bad: Bad, tell: Tell): [Bad, Tell] {
  return [
    (line, reason) => bad(before + line, reason),
    (line, about) => tell(before + line, about),
  ];
}

/** Reads a file, always one chunk ahead. A chunk is good until the next one is asked for. */
async function* chunksOf(file: Readable): AsyncGenerator<Uint8Array, void, void> {
  let [buffer, next] = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
  let reading = file.read(buffer);
  try {
    for (let n; (n = await reading) !== null;) {
      [buffer, next] = [next, buffer];
      reading = file.read(buffer);
      yield next.subarray(0, n);
    }
  } finally {
    await reading.catch(() => {}); // nobody closes the file under it
  }
}

/** {@linkcode readLines}, but for what `scanner` takes. */
function scanLines(
  bytes: Uint8Array,
  scanner: Scanner,
  apply: Apply,
  bad: Bad,
  tell: Tell,
): number {
  let lines = 0;
  let strange = 1; // lines that it has not known so far, one after the other
  for (let at = 0, end; at < bytes.length; at = end) {
    end = scanner.scan(bytes, at);
    lines += scanner.lines;
    if (end === bytes.length) break;
    strange = end > at ? 1 : Math.min(2 * strange, MAX_STRANGE);
    at = end;
    for (let n = 0; n < strange && end < bytes.length; n++) end = bytes.indexOf(NEWLINE, end) + 1;
    scanner.finish();
    lines += readLines(bytes.subarray(at, end), apply, ...numbered(lines, bad, tell));
  }
  return lines;
}
