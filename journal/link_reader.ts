/**
 * Reading the links of a log into a table.
 *
 * @module
 */
import { LinkScanner, type Marked } from "../links/scan.ts";
import { NEWLINE } from "../links/syntax.ts";
import type { Table } from "../links/table.ts";
import { type Apply, type Bad, readLines, type Tell } from "./lines.ts";
import { numbered } from "./load.ts";
import type { LineReader } from "./log.ts";

const MAX_STRANGE = 1024; // lines

/**
 * Puts the links of lines into a table. While a log is loaded, lines as this program writes them are taken over as
 * they stand; each change after that goes to `apply`.
 *
 * @example
 * ```ts
 * import { Table } from "../links/table.ts";
 * import { Journal } from "./journal.ts";
 *
 * const table = new Table();
 * const journal = await Journal.open("read.jsonl");
 * await journal.load(new LinkReader(table));
 * await journal.close();
 * ```
 */
export class LinkReader implements LineReader {
  readonly #scanner: LinkScanner;
  #isLoading = true;

  /**
   * @param apply takes a change, in place of the table
   * @param remember told of changes that bear an id, while a log is loaded
   */
  constructor(
    private readonly table: Table,
    private readonly apply: Apply = (change) => table.set(change),
    remember: (change: Marked) => void = () => {},
  ) {
    this.#scanner = new LinkScanner(table, remember);
  }

  get keys(): number {
    return this.table.size;
  }

  read(lines: Uint8Array, bad: Bad, tell: Tell): number {
    if (!this.#isLoading) return readLines(lines, this.apply, bad, tell);
    let count = 0;
    let strange = 1; // lines that the scanner has not known so far, one after the other
    for (let at = 0, end; at < lines.length; at = end) {
      end = this.#scanner.scan(lines, at);
      count += this.#scanner.lines;
      if (end === lines.length) break;
      strange = end > at ? 1 : Math.min(2 * strange, MAX_STRANGE);
      at = end;
      for (let n = 0; n < strange && end < lines.length; n++) end = lines.indexOf(NEWLINE, end) + 1;
      this.#scanner.finish();
      count += readLines(lines.subarray(at, end), this.apply, ...numbered(count, bad, tell));
    }
    return count;
  }

  expect(done: number, total: number): void {
    this.#scanner.expect(done, total);
  }

  loaded(): void {
    this.#scanner.finish();
    this.#isLoading = false;
  }

  /** As many lines stay as there are keys. */
  superseded({ lines }: { lines: number }): number {
    return 1 - this.table.size / lines;
  }
}
