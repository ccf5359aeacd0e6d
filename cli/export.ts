/**
 * Writing links to the standard output.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { JournalError, reasonOf, writeAll } from "../journal/file.ts";
import { formatLine } from "../journal/lines.ts";
import type { Link } from "../links/link.ts";
import { MAX_LIMIT } from "../links/query.ts";
import { quote } from "../links/text.ts";
import { formatTime } from "../links/time.ts";
import type { Store } from "../store.ts";
import { formatCSV } from "./csv.ts";
import { COLUMNS } from "./formats.ts";
import { showProgress } from "./progress.ts";

/**
 * Writes every link to the standard output, as lines of a journal or as CSV with a header, and gives the
 * exit code. A link that is changed meanwhile may come twice; the later one counts.
 *
 * @throws {JournalError} the store or the output fails: one line
 */
export async function runExport(
  form: "jsonl" | "csv",
  store: Store,
  events: Events,
): Promise<number> {
  const encoder = new TextEncoder();
  const write = (text: string) => writeAll(Deno.stdout, encoder.encode(text));
  const progress = showProgress("exporting", events);
  let done = 0;
  try {
    if (form === "csv") await write(formatCSV(COLUMNS));
    let after: string | undefined;
    do {
      const page = await store.list({ order: "written", limit: MAX_LIMIT, after });
      await write(page.links.map(form === "csv" ? toCSV : formatLine).join(""));
      done += page.links.length;
      progress(Math.min(done, page.count - 1), page.count);
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    throw new JournalError(`${reasonOf(error)}, after ${done.toLocaleString("en-US")} links`);
  } finally {
    progress(1, 1);
  }
  return 0;
}

/** @throws {Error} the link has what no UTF-8 has, and so no CSV */
function toCSV({ key, url, created, expires, author = "", editor = "" }: Link): string {
  const [from, to] = [created, expires].map((time) => time ? formatTime(time) : "");
  if (![key, url].every((text) => text.isWellFormed())) {
    throw new Error(`CSV can't hold the key ${quote(key)}, or its URL: use -export`);
  }
  return formatCSV([key, url, from, to, author, editor]);
}
