/**
 * Times, as seconds since 1970.
 *
 * @module
 */
import { StoreError } from "./errors.ts";
import { trim } from "./text.ts";

/** The last second that there is: one in 2106. */
export const MAX_TIME = 2 ** 32 - 1;

/** Most seconds from now that a number may be: ten years. */
const MAX_SECONDS = 315_360_000;

const UNITS: Record<string, number> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 7 * 86_400,
};

/** The second that it is now. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Whether that time has come. */
export function isExpired(time: number): boolean {
  return time * 1000 <= Date.now();
}

/** Whether a value is a time that can be kept. */
export function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_TIME;
}

/**
 * The end of a link, as somebody gives it: a whole number of seconds from now, up to ten years, a time in the form of RFC 3339,
 * a day (until the end of which, in UTC, the link leads somewhere), or `in 30 days`. 0 where the link
 * shall have no end; nothing where nothing is said.
 *
 * @throws {StoreError} invalid time
 * @example
 * ```ts
 * parseExpires("2099-12-24T18:00:00+01:00"); // 4101814800
 * parseExpires("2099-12-24"); // 4101840000
 * parseExpires("never"); // 0
 * parseExpires("in 2 hours"); // as parseExpires("7200")
 * parseExpires(""); // undefined
 * ```
 */
export function parseExpires(text: string): number | undefined {
  text = trim(text);
  if (text === "") return;
  if (text === "never") return 0;
  const time = toTime(text);
  if (time === undefined) {
    throw invalid(
      "use seconds from now, or a time like 2099-12-24T18:00:00Z, 2099-12-24, or in 30 days",
    );
  }
  checkExpires(time);
  return time;
}

/**
 * An end as {@linkcode parseExpires} reads it, and as people do: RFC 3339.
 *
 * @example
 * ```ts
 * formatExpires(4101814800); // "2099-12-24T17:00:00Z"
 * ```
 */
export function formatExpires(expires?: number): string | undefined {
  if (expires === undefined) return;
  return expires === 0 ? "never" : formatTime(expires);
}

/** A time as RFC 3339 has it. */
export function formatTime(time: number): string {
  return new Date(time * 1000).toISOString().replace(".000", "");
}

/**
 * When a link was created, in seconds since 1970, as a call gives it; 0 where that isn't known.
 *
 * @throws {StoreError} invalid time
 * @example
 * ```ts
 * parseCreated("1795600000"); // 1795600000
 * parseCreated(undefined); // undefined
 * ```
 */
export function parseCreated(text?: string): number | undefined {
  if (text === undefined) return;
  const time = Number(text);
  if (/^\d{1,10}$/.test(text) && (time === 0 || isTime(time))) return time;
  throw new StoreError("invalid time", "invalid time of creation: use seconds since 1970");
}

/**
 * Refuses an end that has come already, or that is too far away. 0 is none.
 *
 * @throws {StoreError} invalid time
 */
export function checkExpires(time: number): void {
  if (time === 0) return;
  if (time > MAX_TIME) throw invalid("it is after the year 2105");
  if (!isTime(time) || isExpired(time)) throw invalid("it is in the past");
}

/** A number of seconds from now. A second since 1970 was meant for the time itself. */
function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds <= MAX_SECONDS) return seconds;
  const since = isTime(seconds)
    ? `if it is a time, write ${formatTime(seconds)}`
    : "it is after the year 2105";
  throw invalid(`a number is seconds from now, at most ${MAX_SECONDS}, ten years; ${since}`);
}

function toTime(text: string): number | undefined {
  const [, seconds] = /^(\d{1,16})$/.exec(text) ?? [];
  if (seconds !== undefined) return now() + secondsOf(seconds);
  const [, count, unit] = /^in (\d{1,10}) (second|minute|hour|day|week)s?$/i.exec(text) ?? [];
  if (unit !== undefined) return now() + Number(count) * UNITS[unit.toLowerCase()];
  return parseTime(text, true);
}

/**
 * A time in the form of RFC 3339, or a day in UTC: its end or its beginning.
 *
 * @example
 * ```ts
 * parseTime("2099-12-24T18:00:00+01:00", true); // 4101814800
 * parseTime("2099-12-24", true); // 4101840000
 * parseTime("2099-12-24", false); // 4101753600
 * parseTime("2099-02-30", false); // undefined: there is no such day
 * ```
 */
export function parseTime(text: string, dayEnds: boolean): number | undefined {
  const day = /^\d{4}-\d\d-\d\d$/.test(text);
  const time = /^\d{4}-\d\d-\d\d[T ](?!24)\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;
  if (!day && !time.test(text)) return;
  const ms = Date.parse(day ? `${text}T00:00:00Z` : text.toUpperCase().replace(" ", "T"));
  if (Number.isNaN(ms) || !isDay(text)) return;
  return Math.floor(ms / 1000) + (day && dayEnds ? UNITS.day : 0);
}

/** Whether there is such a day: the runtime takes February 30 for March 2. */
function isDay(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split("-").map(Number);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return month >= 1 && month <= 12 && day >= 1 && day <= days;
}

function invalid(why: string): StoreError {
  return new StoreError("invalid time", `invalid time to expire: ${why}`);
}
