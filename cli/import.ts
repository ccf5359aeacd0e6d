/**
 * Taking over links from a file.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { explain, JournalError, reasonOf } from "../journal/file.ts";
import { readLinks, Remarks, type Row } from "./formats.ts";
import { print } from "./print.ts";
import { showProgress } from "./progress.ts";
import { Rejected } from "./rejected.ts";
import { type Report, Taker, type Target } from "./taker.ts";
import { complain } from "./stderr.ts";

// Links that are on their way at once share commits and requests; a busy master must answer them in time.
const IN_FLIGHT = 500;
const UNTRUSTED =
  "dates, authors and editors are not taken over: a master takes them from who bears its -token";

/** What links are read from. */
interface Input {
  path: string;
  readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** In bytes, as far as that is known. */
  size: number;
}

/**
 * Opens the file at `path`; "-" is the standard input.
 *
 * @throws {JournalError} it can't be read
 */
export async function openInput(path: string): Promise<Input> {
  if (path === "-") return { path, readable: Deno.stdin.readable, size: Infinity };
  try {
    const file = await Deno.open(path);
    const { isFile, isDirectory, size } = await file.stat();
    if (isDirectory) {
      file.close();
      throw new Error("Is a directory");
    }
    return { path, readable: file.readable, size: isFile ? size : Infinity };
  } catch (error) {
    throw explain(path, error);
  }
}

/** How an import is done. */
export interface ImportOptions {
  events: Events;
  /** Whether it only tells what would happen. */
  dry: boolean;
}

/**
 * Takes over the links in a file, and gives the exit code. A key that is taken keeps its link. What was not
 * taken over is listed in `FILE.rejected`. To do it again changes nothing.
 *
 * @throws {JournalError} the file can't be read, or the store can't take more: one line
 */
export async function runImport(
  { path, readable, size: total }: Input,
  target: Target,
  { events, dry }: ImportOptions,
): Promise<number> {
  const progress = showProgress(`importing ${path}`, events);
  let done = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      done += chunk.length;
      controller.enqueue(chunk);
    },
  });
  const remarks = new Remarks();
  const list = `${path === "-" ? "import" : path}.rejected`;
  await using rejected = dry ? new Rejected() : await Rejected.at(list, events);
  const complete = await target.trusted?.() ?? true;
  let silent = complete;
  const taker = new Taker(target, complete);
  const { report } = taker;
  try {
    for await (const rows of batchesOf(readLinks(readable.pipeThrough(counted), remarks))) {
      if (!silent && rows.some(({ created, author, editor }) => created ?? author ?? editor)) {
        events("warn", UNTRUSTED, { import: path });
        silent = true;
      }
      const { rejections, failure } = await taker.take(rows);
      await rejected.write(rejections);
      if (failure !== undefined) throw failure;
      progress(Math.min(done, total - 1), total, report.rows);
    }
  } catch (error) {
    const after = report.rows === 0 ? "" : `, after ${summary(report)}`;
    const so = dry ? "" : outcomeOf(report.rows, taker.unknown);
    throw new JournalError(`${path}: ${reasonOf(error)}${after}${so}`);
  } finally {
    progress(1, 1);
    for (const line of remarks.lines) complain(`${path}: ${line}`);
  }
  if (!dry) await rejected.finish();
  const where = dry ? "; nothing was changed" : rejected.used ? `; see ${rejected.used}` : "";
  print(`${path}: ${summary(report)}${where}\n`);
  return report.rows > 0 && report.new + report.equal === 0 ? 1 : 0;
}

/** Gathers rows. Those before an error come before it. */
async function* batchesOf(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let batch: Row[] = [];
  try {
    for await (const row of rows) {
      batch.push(row);
      if (batch.length < IN_FLIGHT) continue;
      yield batch;
      batch = [];
    }
  } catch (error) {
    if (batch.length > 0) yield batch;
    throw error;
  }
  if (batch.length > 0) yield batch;
}

/** `10,000 rows: 9,987 new, 3 equal, 4 conflicts, 6 refused` */
/** What became of the rows of an import that failed, beside those that were decided. */
function outcomeOf(decided: number, unknown: number): string {
  if (decided + unknown === 0) return "; nothing was imported";
  const more = unknown === 0
    ? ""
    : `; ${counted(unknown, "row")}${decided > 0 ? " more" : ""} may have been imported`;
  return `${more}; to import it again is safe`;
}

function counted(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

function summary({ rows, conflict, ...report }: Report): string {
  const kinds = {
    new: report.new,
    equal: report.equal,
    [conflict === 1 ? "conflict" : "conflicts"]: conflict,
    refused: report.refused,
  };
  const parts = Object.entries(kinds)
    .filter(([kind, n]) => n > 0 || kind === "new")
    .map(([kind, n]) => `${n.toLocaleString("en-US")} ${kind}`);
  return `${counted(rows, "row")}: ${parts.join(", ")}`;
}
