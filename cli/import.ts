/**
 * Taking over links from a file.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { explain, JournalError, reasonOf } from "../journal/file.ts";
import { errExpired, StoreError } from "../links/errors.ts";
import { checkURL } from "../links/link.ts";
import { trim } from "../links/text.ts";
import { isExpired } from "../links/time.ts";
import type { Backend } from "../store.ts";
import { readLinks, type Row } from "./formats.ts";
import { print } from "./print.ts";
import { showProgress } from "./progress.ts";

// Links that are on their way at once share commits and requests; a busy master must answer them in time.
const IN_FLIGHT = 500;

/** A link that was not taken over, and what its key leads to, where it is another one. */
interface Rejection {
  line?: number;
  Key: string;
  URL: string;
  reason: string;
  kept?: string;
}

/** What became of the links. */
interface Report {
  new: number;
  equal: number;
  conflict: number;
  refused: number;
}

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
    return { path, readable: file.readable, size: (await file.stat()).size };
  } catch (error) {
    throw explain(path, error);
  }
}

/**
 * Takes over the links in a file, and gives the exit code. A key that is taken keeps its link. What was not
 * taken over is listed in `FILE.rejected`. To do it again changes nothing.
 *
 * @throws {JournalError} the file can't be read, or the store can't take more: one line
 */
export async function runImport(
  { path, readable, size: total }: Input,
  store: Backend,
  events: Events,
): Promise<number> {
  const progress = showProgress(`importing ${path}`, events);
  let done = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      done += chunk.length;
      controller.enqueue(chunk);
    },
  });
  const text = readable.pipeThrough(counted)
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }));
  const report: Report = { new: 0, equal: 0, conflict: 0, refused: 0 };
  await using rejected = new Rejected(`${path === "-" ? "import" : path}.rejected`);
  try {
    let batch: Promise<Rejection | undefined>[] = [];
    for await (const row of readLinks(text)) {
      batch.push(take(row));
      if (batch.length < IN_FLIGHT) continue;
      await rejected.write(await Promise.all(batch));
      batch = [];
      progress(Math.min(done, total - 1), total);
    }
    await rejected.write(await Promise.all(batch));
  } catch (error) {
    throw new JournalError(`${path}: ${reasonOf(error)}${summary(", after ", report)}`);
  } finally {
    progress(total, total);
  }
  const where = rejected.used ? `; see ${rejected.path}` : "";
  return print(`${path}:${summary(" ", report)}${where}\n`);

  async function take(row: Row): Promise<Rejection | undefined> {
    const { url, created, expires, author, editor } = row;
    const key = row.own ? row.key : trim(row.key);
    try {
      if (row.reason !== undefined) throw new StoreError("invalid url", row.reason);
      if (key === "") throw new StoreError("invalid key", "it has no key");
      if (expires !== undefined && isExpired(expires)) throw errExpired;
      await (row.own
        ? store.restore({ key, url, created, expires, author, editor })
        : store.put(url, key, { expires, author }));
      report.new++;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.kind === "unavailable" || error.kind === "full") throw error;
      const kept = error.kind === "exists" ? await store.get(key) : undefined;
      if (kept === url || kept === normalize(url)) {
        report.equal++;
        return;
      }
      report[kept === undefined ? "refused" : "conflict"]++;
      return { line: row.line, Key: key, URL: url, reason: error.message, kept };
    }
  }
}

/** A URL as a store keeps it; of one that it refuses, nothing. */
function normalize(url: string): string {
  try {
    return checkURL(url);
  } catch {
    return "";
  }
}

function summary(before: string, report: Report): string {
  const parts = Object.entries(report)
    .filter(([name, count]) => count > 0 || name === "new")
    .map(([name, count]) => `${count.toLocaleString("en-US")} ${name}`);
  return before + parts.join(", ");
}

/** The file that lists what was not taken over; it is there only if there is something. */
class Rejected implements AsyncDisposable {
  #writer?: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor(readonly path: string) {}

  get used(): boolean {
    return this.#writer !== undefined;
  }

  async write(rows: (Rejection | undefined)[]): Promise<void> {
    const text = rows.map((row) => row && `${JSON.stringify(row)}\n`).join("");
    if (text === "") return;
    const open = () => Deno.openSync(this.path, { write: true, create: true, truncate: true });
    this.#writer ??= open().writable.getWriter();
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.close();
  }
}
