/**
 * Values of a file as a link has them.
 *
 * @module
 */
import { isName, MAX_NAME } from "../../links/link.ts";
import { isTime, MAX_TIME, parseTime } from "../../links/time.ts";
import { type Remarks, shorten } from "./remarks.ts";

/** A day, or a time: the day, the time of the day, the zone. */
const TIME =
  /^(\d{4}-\d\d-\d\d)(?:([T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?) ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?$/i;

/** The first second of Unix, and the first of Go and of .NET. */
const FIRST: ReadonlySet<number> = new Set([0, -62_135_596_800]);

/** Why a link can't be taken over: what stands in its file, and what is wrong with it. */
export class Unfit extends Error {
  override name = "Unfit";
}

/** Whether a value says nothing: databases write NULL for that, or \N. */
export function isUnset(value: unknown): boolean {
  if (typeof value === "string") return /^(?:NULL|\\N)?$/.test(value.trim());
  if (Array.isArray(value)) return value.every(isUnset);
  if (typeof value === "object" && value !== null) return Object.values(value).every(isUnset);
  return value === undefined || value === null;
}

/** Whether a value says no, or nothing. */
export function isOff(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isOff);
  if (typeof value === "object" && value !== null) return Object.values(value).every(isOff);
  return isUnset(value) || value === false || value === 0 ||
    (typeof value === "string" && /^(?:false|f|no|n|off|0|none)$/i.test(value.trim()));
}

/** Whether a value says yes. */
export function isOn(value: unknown): boolean {
  return value === true || value === 1 ||
    (typeof value === "string" && /^(?:true|t|yes|y|on|1|active|enabled)$/i.test(value.trim()));
}

/**
 * A time in seconds since 1970, 0 where there is none.
 *
 * @param ends whether a day stands for its end
 * @throws {Unfit} it is none
 */
export function readTime(value: unknown, name: string, ends: boolean, remarks: Remarks): number {
  if (isUnset(value) || (ends && value === "never")) return 0;
  if (typeof value !== "string") throw unfit(name, value, "a time");
  const text = value.trim();
  if (!ends && /^0000-00-00/.test(text)) return 0; // as MySQL has it
  const [, day, clock = "", zone] = TIME.exec(text) ?? [];
  if (day !== undefined && zone === undefined) remarks.zoneless = true;
  const time = parseTime(`${day}${clock}${clock && toZone(zone)}`, ends);
  if (time === undefined) throw unfit(name, value, "a time like 2099-12-24T18:00:00Z");
  return keepTime(time, name, value, ends);
}

/**
 * A time of a program that writes seconds since 1970, 0 where there is none.
 *
 * @throws {Unfit} it is none
 */
export function readSeconds(value: unknown, name: string, ends: boolean): number {
  if (isUnset(value)) return 0;
  const time = typeof value === "string" && /^\d{1,15}$/.test(value.trim()) ? Number(value) : value;
  if (!Number.isInteger(time)) throw unfit(name, value, "a number of seconds since 1970");
  if (time === 0) return 0;
  return keepTime(Number(time), name, value, ends);
}

function keepTime(time: number, name: string, value: unknown, ends: boolean): number {
  if (time > MAX_TIME) throw new Unfit(`${name} ${quote(value)} is after the year 2105`);
  if (isTime(time)) return time;
  if (ends) throw new Unfit(`${name} ${quote(value)}: link expired`);
  // Programs write the first second that they know where they know none.
  if (FIRST.has(time)) return 0;
  throw new Unfit(`${name} ${quote(value)} is before the year 1970`);
}

/**
 * A name of somebody, "" where there is none.
 *
 * @throws {Unfit} it can't be kept
 */
export function readName(value: unknown, name: string): string {
  if (isUnset(value)) return "";
  const text = typeof value === "string" ? value.trim() : value;
  if (isName(text)) return text;
  throw unfit(name, value, `1 to ${MAX_NAME} bytes of visible UTF-8`);
}

/** A number of clicks; nothing, where it is none. */
export function readClicks(value: unknown): number | undefined {
  const count = typeof value === "string" && /^\d{1,15}$/.test(value.trim())
    ? Number(value)
    : value;
  return Number.isSafeInteger(count) && Number(count) > 0 ? Number(count) : undefined;
}

function unfit(name: string, value: unknown, wanted: string): Unfit {
  return new Unfit(`${name} ${quote(value)} is not ${wanted}`);
}

/** A value as a message can show it. */
export function quote(value: unknown): string {
  return typeof value === "string" ? `"${shorten(value)}"` : shorten(JSON.stringify(value) ?? "");
}

/** A zone as RFC 3339 has it: databases leave out the minutes or the colon, and where it is UTC all. */
function toZone(zone = "Z"): string {
  const [, hours, minutes = "00"] = /^([+-]\d\d):?(\d\d)?$/.exec(zone) ?? [];
  return hours === undefined ? "Z" : `${hours}:${minutes}`;
}
