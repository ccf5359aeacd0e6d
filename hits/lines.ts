/**
 * The lines of `FILE.hits`, in JSON.
 *
 *     {"Day":20782,"Rows":[1,2],"Keys":["docs","1c"],"Hits":[1,3,2,1],"Previews":[2,1],"ID":"pZ8vD0bQ3e-7"}
 *
 * `Rows` are those that are given to `Keys`, one to each. `Hits` and `Previews` are rows and what was counted of
 * each on that day, in turn; `Gone` are the rows of links that have ended, of which nothing counts that came
 * before. `ID` is that of counts from elsewhere.
 *
 * @module
 */
import { isCount } from "../links/count.ts";
import { isDay } from "./counts.ts";

const MAX_ROW = 2 ** 29; // more links there can't be

/** What a line says. */
export interface Line {
  day: number;
  rows?: number[];
  keys?: string[];
  hits?: number[] | Uint32Array;
  previews?: number[];
  gone?: number[];
  id?: string;
}

/**
 * A line, with its end.
 *
 * @example
 * ```ts
 * formatLine({ day: 20782, rows: [1], keys: ["docs"], hits: [1, 3] });
 * // {"Day":20782,"Rows":[1],"Keys":["docs"],"Hits":[1,3]}\n
 * ```
 */
export function formatLine(line: Line): string {
  const { day, rows = [], keys = [], hits = [], previews = [], gone = [], id } = line;
  const members = [
    keys.length > 0 ? `,"Rows":[${rows.join(",")}],"Keys":${JSON.stringify(keys)}` : "",
    hits.length > 0 ? `,"Hits":[${hits.join(",")}]` : "",
    previews.length > 0 ? `,"Previews":[${previews.join(",")}]` : "",
    gone.length > 0 ? `,"Gone":[${gone.join(",")}]` : "",
    id === undefined ? "" : `,"ID":${JSON.stringify(id)}`,
  ];
  return `{"Day":${day}${members.join("")}}\n`;
}

/** Reads what {@linkcode formatLine} made; nothing, where it is nothing of the kind. */
export function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  const line: { [Name in (typeof MEMBERS)[number]]?: unknown } = Object(value);
  const { Day: day, Rows: rows, Keys: keys, ID: id } = line;
  const { Hits: hits, Previews: previews, Gone: gone } = line;
  if (!isDay(day) || !areTexts(keys) || !(id === undefined || typeof id === "string")) return;
  if (!areCounts(hits) || !areCounts(previews) || !areCounts(gone)) return;
  if (!areCounts(rows) || rows?.some((row) => row > MAX_ROW)) return;
  if (rows?.length !== keys?.length) return;
  return { day, rows, keys, hits, previews, gone, id };
}

const MEMBERS = ["Day", "Rows", "Keys", "Hits", "Previews", "Gone", "ID"] as const;

function areTexts(value: unknown): value is string[] | undefined {
  return value === undefined ||
    Array.isArray(value) && value.every((text) => typeof text === "string");
}

function areCounts(value: unknown): value is number[] | undefined {
  return value === undefined || Array.isArray(value) && value.every(isCount);
}
