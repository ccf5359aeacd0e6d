/**
 * The lines of the log of hits, in JSON.
 *
 *     {"Hits":["docs",1795600000,3,0,"1c",0,1,2],"Day":20782,"At":123456,"ID":"pZ8vD0bQ3e-7"}
 *     {"Hits":["docs",1795600000,0,9],"Days":[[20780,0,5],[20781,0,7]],"Day":20782,"At":130000}
 *
 * `Hits` are, of each link in turn: its key, when it was created (0 where that isn't known), how often it was
 * followed on that day, and how often it was previewed. `At` is the position of the links' log at which the
 * line was made. A line with an `ID` counts once, however often it comes. The second form is what a compaction
 * makes: `Days` are other days, each with the places of links among `Hits`, from 0, and how often they were
 * followed on it.
 *
 * Lines with an empty key are about the log itself, as in the links' log.
 *
 * @module
 */
import { type Bad, readLines, type Tell } from "../journal/lines.ts";
import { isCount } from "../links/count.ts";
import { writeNumber } from "../links/digits.ts";
import { isDay } from "./counts.ts";

/** A line of one's own is no longer, in bytes, unless a single key is. */
export const MAX_LINE = 48 << 10;
const MAX_NUMBERS = 3 * 17; // bytes that two counts take, with commas
const MAX_TAIL = 256; // bytes of what stands behind `Hits`

const ABOUT = '{"Key":"",';

/** What a line says. */
export interface Line {
  day: number;
  at: number;
  id?: string;
  /** Of each link: its key, when it was created, hits and previews of that day, in turn. */
  hits: (string | number)[];
  /** Of each other day: its number, then places of links, from 0, and hits, in turn. */
  days: number[][];
}

/** Whom counts are of: their links by their counters. */
export interface CountedLinks {
  roomFor(counter: number): number;
  writeCounted(counter: number, to: Uint8Array, at: number): number;
}

/** Counts of one day, by the counters of their links: counter, hits, and previews, in turn. */
export interface DayCounts {
  day: number;
  counts: Float64Array;
}

/** Counts, and their line. */
export interface Made extends DayCounts {
  id: string;
  text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const buffer = { bytes: new Uint8Array(2 * MAX_LINE) }; // lines are made one after the other

/**
 * Makes lines of counts, as many as are needed: those of links that have ended are left out.
 *
 * @param at the position of the links' log
 * @param newId gives each line its id
 * @param most see {@linkcode MAX_LINE}
 */
export function makeLines(
  links: CountedLinks,
  { day, counts }: DayCounts,
  at: number,
  newId: () => string,
  most = MAX_LINE,
): Made[] {
  const made: Made[] = [];
  let from = 0; // where the line begins that is being made
  let end = 0; // of what is written of it
  const finish = (to: number) => {
    if (end > 0) {
      const id = newId();
      const tail = `],"Day":${day},"At":${at},"ID":${JSON.stringify(id)}}\n`;
      end += encoder.encodeInto(tail, buffer.bytes.subarray(end - 1)).written - 1;
      const text = decoder.decode(buffer.bytes.subarray(0, end));
      made.push({ day, id, text, counts: counts.subarray(from, to) });
    }
    [from, end] = [to, 0];
  };
  for (let i = 0; i < counts.length; i += 3) {
    const room = links.roomFor(counts[i]);
    if (room === 0) continue;
    const more = room + MAX_NUMBERS + MAX_TAIL;
    if (end + more > most) finish(i);
    const bytes = reserve(end, more);
    if (end === 0) end = encoder.encodeInto('{"Hits":[', bytes).written;
    end = links.writeCounted(counts[i], bytes, end);
    for (let field = 1; field < 3; field++) {
      bytes[end++] = COMMA;
      end = writeNumber(counts[i + field], bytes, end);
    }
    bytes[end++] = COMMA;
  }
  finish(counts.length);
  return made;
}

const COMMA = 0x2c;

/** The buffer, with room for so many bytes behind those that are written. */
function reserve(end: number, more: number): Uint8Array {
  if (end + more > buffer.bytes.length) {
    const longer = new Uint8Array(2 * (end + more));
    longer.set(buffer.bytes.subarray(0, end));
    buffer.bytes = longer;
  }
  return buffer.bytes;
}

/**
 * A line, with its end.
 *
 * @example
 * ```ts
 * formatLine({ hits: ["docs", 1795600000, 3, 0], days: [], day: 20782, at: 0 });
 * // {"Hits":["docs",1795600000,3,0],"Day":20782,"At":0}\n
 * ```
 */
export function formatLine({ hits, days, day, at, id }: Line): string {
  return `{"Hits":${JSON.stringify(hits)}` +
    (days.length === 0 ? "" : `,"Days":${JSON.stringify(days)}`) +
    `,"Day":${day},"At":${at}${id === undefined ? "" : `,"ID":${JSON.stringify(id)}`}}\n`;
}

/**
 * Gives every line of `bytes`, which must end with a newline, to `apply`, those that are none to `bad`, and
 * what is said of the log itself to `tell`.
 *
 * @returns how many lines there are
 */
export function readHits(
  bytes: Uint8Array,
  apply: (line: Line) => void,
  bad: Bad,
  tell: Tell,
): number {
  const texts = decoder.decode(bytes).split("\n");
  for (const [i, text] of texts.slice(0, -1).entries()) {
    if (text.startsWith(ABOUT)) {
      const isBad: Bad = (_, reason) => bad(i + 1, reason);
      readLines(encoder.encode(`${text}\n`), () => {}, isBad, (_, about) => tell(i + 1, about));
      continue;
    }
    const line = parseLine(text);
    if (line === undefined) bad(i + 1, "no line of hits");
    else apply(line);
  }
  return texts.length - 1;
}

/** Reads what {@linkcode formatLine} made; nothing, where it is nothing of the kind. */
export function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  const { Hits: hits, Days: days = [], Day: day, At: at, ID: id }: {
    [Name in "Hits" | "Days" | "Day" | "At" | "ID"]?: unknown;
  } = Object(value);
  if (!areHits(hits) || !areDays(days, hits.length / 4) || !isDay(day) || !isCount(at)) return;
  if (id === undefined || typeof id === "string") return { hits, days, day, at, id };
}

function areHits(value: unknown): value is (string | number)[] {
  if (!Array.isArray(value) || value.length % 4 !== 0) return false;
  for (let i = 0; i < value.length; i++) {
    if (i % 4 === 0 ? typeof value[i] !== "string" : !isCount(value[i])) return false;
  }
  return true;
}

function areDays(value: unknown, links: number): value is number[][] {
  return Array.isArray(value) &&
    value.every((day) =>
      Array.isArray(day) && day.length % 2 === 1 && isDay(day[0]) &&
      day.every((n, i) => isCount(n) && (i % 2 === 0 || n < links))
    );
}
