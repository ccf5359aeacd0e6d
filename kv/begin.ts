/**
 * The beginning of a log in a database.
 *
 * @module
 */
import { JournalError } from "../journal/file.ts";
import { formatAbout } from "../journal/lines.ts";
import { nextTerm } from "../journal/term.ts";
import { ask } from "./call.ts";
import type { End } from "./commit.ts";
import type { Database, Entry, Key } from "./database.ts";
import { formatHead, formatRow, type Layout, newNonce, rowKey, toRows } from "./rows.ts";

/** What an earlier form of this program, which had a row for each link, kept. */
const EARLIER: Key[] = ["head", "size", "next"].map((part) => ["goto", part]);

/** What stands at the end of a log which has begun. */
export type Found = Omit<End, "rows"> & { head: Entry };

/**
 * Reads the head; where there is none, the log begins, with a term of its own.
 *
 * @throws {JournalError} the database is an earlier goto's, or damaged
 */
export async function findHead(database: Database, layout: Layout): Promise<Found> {
  // The row behind the first: that one may be there without a head, where the database failed in between.
  const second = rowKey(layout.rows, 1);
  const keys = [layout.head, layout.turn, layout.snapshot, second, ...EARLIER];
  for (;;) {
    const [head, turn, snapshot, row, ...earlier] = await ask((signal) =>
      database.read(keys, signal)
    );
    if (head) return { head, turn, snapshot };
    if (row || snapshot) throw new JournalError("its head is missing, and its rows are there");
    if (earlier.some((entry) => entry)) {
      throw new JournalError(
        "its links are those of an earlier goto: -export them there, and -import them into a new database",
      );
    }
    const lines = new TextEncoder().encode(formatAbout({ term: nextTerm(1) }));
    const { rows: [first], end } = toRows(lines, { position: 0, sum: 0 }, newNonce());
    const checks = [{ key: layout.head, version: null }];
    const mutations = [
      { key: rowKey(layout.rows, 0), set: formatRow(first) },
      { key: layout.head, set: formatHead({ next: 1, ...end }) },
    ];
    // Where others were first, the next look shows what is there.
    await ask((signal) => database.commit({ checks, mutations }, signal));
  }
}
