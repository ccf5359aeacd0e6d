/**
 * Reading a journal's file from its beginning.
 *
 * @module
 */
import { NEWLINE } from "../links/syntax.ts";
import { join, MAX_LINE } from "./feed.ts";
import { type Bad, isJSON, type Tell } from "./lines.ts";
import type { LineReader } from "./log.ts";

const CHUNK = 1 << 20;

/** What a journal is read from. */
export type Readable = Pick<Deno.FsFile, "read" | "seek">;

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
 * Gives all whole lines of `file` to `reader`.
 *
 * @param bad told of lines that can't be read, by their number in the file
 * @param tell told of lines about the log itself, likewise
 * @param added given the bytes of lines after they were read, and how many bytes were read before them
 */
export async function loadLines(
  file: Readable,
  reader: LineReader,
  bad: Bad,
  tell: Tell,
  added: (lines: Uint8Array, before: number) => void = () => {},
): Promise<Loaded> {
  let size = 0; // up to where lines are read
  let lines = 0;
  let rest: Uint8Array[] = []; // of a line whose end is still to come
  let restSize = 0;
  const read = (bytes: Uint8Array) => {
    lines += reader.read(bytes, ...numbered(lines, bad, tell));
    added(bytes, size);
    size += bytes.length;
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
  const torn = join(rest);
  if (restSize < MAX_LINE) {
    if (!isJSON(torn)) return { size, lines, torn, unended: 0 };
    // What is torn can't be parsed, as its "}" is gone.
    reader.read(join([torn, Uint8Array.of(NEWLINE)]), ...numbered(lines, bad, tell));
  }
  return { size, lines, torn: new Uint8Array(), unended: restSize };
}

/** Tells of lines that come after `before` others. */
export function numbered(before: number, bad: Bad, tell: Tell): [Bad, Tell] {
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
