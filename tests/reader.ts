/**
 * What a reader of links makes of a file.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readLinks, Remarks, type Row } from "../cli/formats.ts";

/** All rows of a file, which comes in pieces; and what is said of it, and why it isn't read to its end. */
export async function read(file: string | Uint8Array, size = 1 << 16) {
  const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file;
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  const remarks = new Remarks();
  const rows: Row[] = [];
  let error;
  try {
    for await (const row of readLinks(pieces(), remarks)) rows.push(row);
  } catch (thrown) {
    error = (thrown as Error).message;
  }
  return { rows, remarks: remarks.lines, error };
}

/** The only row of a table. */
export async function rowOf(header: string, row: string): Promise<Row> {
  const { rows, error } = await read(`${header}\n${row}\n`);
  assertEquals([rows.length, error], [1, undefined], `${header} ${row}`);
  return rows[0];
}

/** Where links lead. */
export const URL = "https://example.com/";
