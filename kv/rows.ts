/**
 * The format of a log in a database: rows of whole lines, and a head that every append checks.
 *
 * | key, behind `goto`, `log`, NAME | value                                                            |
 * | ------------------------------- | ---------------------------------------------------------------- |
 * | `head`                          | the format, the number of the next row, the position, the sum    |
 * | `row`, NUMBER                   | a first line `POSITION SUM NONCE`, and the lines that begin there |
 * | `snapshot`                      | which rows a snapshot replaces, and where it is                  |
 * | `snapshot`, ID, NUMBER          | its rows, in the format of the others                            |
 * | `turn`                          | a master that lost too often, and goes first, or began to append |
 *
 * @module
 */
import { formatSum, parseSum, type Point } from "../journal/checksum.ts";
import { crc32 } from "../journal/crc32.ts";
import { JournalError } from "../journal/file.ts";
import { isCount } from "../links/count.ts";
import { NEWLINE } from "../links/syntax.ts";
import type { Entry, Key } from "./database.ts";

/** A row has at most so many bytes of lines: a value has room for 64 KiB. */
export const ROW_BYTES = 60_000;
/** The format that is written, and the only one that is read. */
const FORMAT = 1;
const DIGITS = 12; // of the number of a row

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where the parts of a log are. */
export class Layout {
  readonly head: Key;
  readonly turn: Key;
  readonly snapshot: Key;
  readonly probe: Key;
  readonly rows: Key;

  /** @param name which of the logs in the database */
  constructor(name: string) {
    const at = (part: string): Key => ["goto", "log", name, part];
    this.head = at("head");
    this.turn = at("turn");
    this.snapshot = at("snapshot");
    this.probe = at("probe");
    this.rows = at("row");
  }

  /** Where the rows of a snapshot are. */
  rowsOf(id: string): Key {
    return [...this.snapshot, id];
  }
}

/** The key of a row. */
export function rowKey(rows: Key, number: number): Key {
  return [...rows, String(number).padStart(DIGITS, "0")];
}

/** How far a log has come. */
export interface Head extends Point {
  /** The number of the next row. */
  next: number;
}

/** A head as it is kept. */
export function formatHead({ next, position, sum }: Head): Uint8Array<ArrayBuffer> {
  return toJSON({ Format: FORMAT, Next: next, Position: position, Sum: formatSum(sum) });
}

/**
 * Reads a head.
 *
 * @throws {JournalError} it is of another format
 */
export function parseHead({ value }: Entry): Head {
  const { Format, Next, Position, Sum } = fromJSON(value);
  const sum = parseSum(Sum);
  if (Format !== FORMAT) {
    throw new JournalError(
      `its format is ${Format}, and this goto knows ${FORMAT}: use the goto that wrote it`,
    );
  }
  if (!isCount(Next) || !isCount(Position) || sum === undefined) {
    throw new JournalError("its head is none of goto's");
  }
  return { next: Next, position: Position, sum };
}

/** Lines as they are kept, where they begin, and which commit wrote them. */
export interface Row extends Point {
  nonce: string;
  lines: Uint8Array<ArrayBuffer>;
}

/** A row as it is kept. */
export function formatRow({ position, sum, nonce, lines }: Row): Uint8Array<ArrayBuffer> {
  const first = encoder.encode(`${position} ${formatSum(sum)} ${nonce}\n`);
  const value = new Uint8Array(first.length + lines.length);
  value.set(first);
  value.set(lines, first.length);
  return value;
}

/**
 * Reads a row.
 *
 * @throws {JournalError} it is none
 */
export function parseRow({ value, key }: Entry): Row {
  const end = value.indexOf(NEWLINE) + 1;
  const first = decoder.decode(value.subarray(0, end));
  const [, position, digits, nonce] = /^(\d{1,15}) ([\da-f]{8}) (\w+)\n$/.exec(first) ?? [];
  const sum = parseSum(digits);
  if (sum === undefined) throw new JournalError(`row ${Number(key.at(-1))} is none of goto's`);
  return { position: Number(position), sum, nonce, lines: value.subarray(end) };
}

/**
 * Cuts lines into rows.
 *
 * @param from where they begin
 * @returns the rows, and where they end
 */
export function toRows(
  lines: Uint8Array<ArrayBuffer>,
  from: Point,
  nonce: string,
): { rows: Row[]; end: Point } {
  const rows: Row[] = [];
  let { position, sum } = from;
  for (let at = 0; at < lines.length;) {
    const end = at + ROW_BYTES >= lines.length
      ? lines.length
      : lines.lastIndexOf(NEWLINE, at + ROW_BYTES - 1) + 1;
    if (end <= at || end - at > ROW_BYTES) {
      throw new RangeError(`a line of over ${ROW_BYTES} bytes`);
    }
    const row = { position, sum, nonce, lines: lines.subarray(at, end) };
    rows.push(row);
    position += row.lines.length;
    sum = crc32(row.lines, sum);
    at = end;
  }
  return { rows, end: { position, sum } };
}

/** A turn as it is kept. */
export function formatTurn(): Uint8Array<ArrayBuffer> {
  return encoder.encode(newNonce());
}

/** What nobody else has: it tells whose commit wrote a row. */
export function newNonce(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}

/** A value that others may read. */
export function toJSON(value: Record<string, unknown>): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value));
}

/**
 * Reads one.
 *
 * @throws {JournalError} it is none
 */
export function fromJSON(value: Entry["value"]): Record<string, unknown> {
  try {
    const read: unknown = JSON.parse(decoder.decode(value));
    if (typeof read === "object" && read !== null) return { ...read };
  } catch {
    // Said below.
  }
  throw new JournalError("the database holds what isn't goto's");
}
