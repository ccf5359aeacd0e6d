/**
 * One append to a log in a database, whatever becomes of the answers.
 *
 * @module
 */
import { MaybeSavedError } from "../journal/appender.ts";
import { pause } from "../links/wait.ts";
import { causeOf } from "../links/errors.ts";
import { type Call, DEADLINE_MS, within } from "./call.ts";
import { after, type Database, type Entry } from "./database.ts";
import {
  formatHead,
  formatRow,
  formatTurn,
  type Head,
  type Layout,
  parseHead,
  parseRow,
} from "./rows.ts";
import { type Row, rowKey } from "./rows.ts";

const TRY_MS = 1000; // one of several
const NEXT_ROWS = 32; // that are read with the head
const REPEAT_MS = 20; // before the first repetition; then twice as long each time

/** The versions that an append checks: null where there is nothing yet. */
export interface Versions {
  head: string | null;
  turn: string | null;
}

/** What an append writes. */
export interface Append {
  /** The number of the first row. */
  first: number;
  rows: Row[];
  /** How far the log has come then. */
  head: Head;
  /** Whether it sets the turn, too, so that who checks for the one of before appends nothing. */
  marks: boolean;
}

/** What stands at the end of a log, at one time. */
export interface End {
  head?: Entry;
  turn?: Entry;
  snapshot?: Entry;
  /** The next rows, as far as they were read. */
  rows: Row[];
}

/** Reads the head, the turn, the snapshot, and rows from number `first` on, where there are any. */
export async function readEnd(
  database: Database,
  layout: Layout,
  first: number,
  signal: AbortSignal,
): Promise<End> {
  const keys = [layout.head, layout.turn, layout.snapshot];
  const start = rowKey(layout.rows, first);
  const range = { start, end: after(layout.rows), limit: NEXT_ROWS };
  const [head, turn, snapshot, ...next] = await database.read(keys, signal, range);
  const rows: Row[] = [];
  for (const entry of next) {
    if (Number(entry?.key.at(-1)) !== first + rows.length || entry === undefined) break;
    rows.push(parseRow(entry));
  }
  return { head, turn, snapshot, rows };
}

/**
 * Appends rows, if the head and the turn still have these versions. Where the answer is lost, or an error, the commit
 * may have been done, or may be done later: so the same one is repeated, under the same check, until the head has
 * moved. No more than one of them can succeed, and the first row tells by its nonce whether one has. That is asked
 * whenever a check failed: the platform's `fetch`, too, repeats what it sent on a connection that was lost.
 *
 * @param lost called when a check failed, before it is asked why
 * @returns the version of the head then, null where others appended behind it; or, where others were first, so that
 * nothing is written, and never will be, what they left
 * @throws {MaybeSavedError} nobody could tell in time
 * @throws {StoreError} nothing is written
 */
export async function commitOnce(
  database: Database,
  layout: Layout,
  versions: Versions,
  append: Append,
  lost: () => Promise<void>,
): Promise<{ version: string | null } | End> {
  const { first, rows, head, marks } = append;
  const write = {
    checks: [
      { key: layout.head, version: versions.head },
      { key: layout.turn, version: versions.turn },
    ],
    // The head last: should the database fail in between, what it did before is overwritten by the next append.
    mutations: [
      ...rows.map((row, i) => ({ key: rowKey(layout.rows, first + i), set: formatRow(row) })),
      ...marks ? [{ key: layout.turn, set: formatTurn() }] : [],
      { key: layout.head, set: formatHead(head) },
    ],
  };
  const end = performance.now() + DEADLINE_MS;
  const call = <T>(ask: Call<T>) => within(Math.min(TRY_MS, end - performance.now()), ask);
  const look = async () =>
    judge(versions, append, await call((signal) => readEnd(database, layout, first, signal)));
  for (let wait = REPEAT_MS;; wait *= 2) {
    let cause: Error | undefined;
    try {
      const version = await call((signal) => database.commit(write, signal));
      if (version !== undefined) return { version };
      await lost();
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      if (error instanceof MaybeSavedError) throw error;
      // Nobody else writes there, and nothing is under way any more: what isn't there now never will be.
      if (database.exclusive) {
        const found = await look();
        if (found === undefined || "rows" in found) throw error;
        return found;
      }
      cause = new Error(causeOf(error)); // it may name the database's address
    }
    if (performance.now() + wait >= end) {
      throw new MaybeSavedError("the database gave no answer", cause);
    }
    await pause(wait);
  }
}

/** What became of an append whose check failed, or which has no answer; nothing, where that isn't decided yet. */
function judge(
  versions: Versions,
  { first, rows: [ours], head }: Append,
  end: End,
): { version: string | null } | End | undefined {
  const { head: found, turn, rows: [row] } = end;
  if ((found?.version ?? null) === versions.head) {
    // Nothing under way can succeed once the turn has moved, either.
    return (turn?.version ?? null) === versions.turn ? undefined : end;
  }
  const next = found ? parseHead(found).next : 0;
  if (next <= first || row?.position !== ours.position || row.sum !== ours.sum) {
    throw new MaybeSavedError("the database was restored, or emptied");
  }
  if (row.nonce !== ours.nonce) return end;
  return { version: next === head.next && found ? found.version : null };
}
