/**
 * `-compact`: leaving out what later lines supersede.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { InUseError, JournalError, reasonOf } from "../journal/file.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { compact, type Compaction, compactOpen, repair } from "../journal/maintenance.ts";
import type { CompactionState } from "../journal/upkeep.ts";
import { fromBatch, toBatch, toCall } from "../jsonrpc/batch.ts";
import { isCount } from "../links/count.ts";
import { Table } from "../links/table.ts";
import { causeOf, StoreError } from "../links/errors.ts";
import { randomKey } from "../links/link.ts";
import { limit, pause } from "../links/wait.ts";
import { FILE, openDatabaseOf, transportsOf } from "./backend.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";
import { showProgress } from "./progress.ts";

const POLL_MS = 250;
const DEADLINE_MS = 5000;
const errLate = new Error("it did not answer in time");
const never = new AbortController().signal;

/** Compacts a file, or has the server at `-master` compact its own, and gives the exit code. */
export async function runCompact(flags: Flags, events: Events): Promise<number> {
  const path = flags.file || FILE;
  const [master] = flags.file === "" ? flags.master : []; // what is at hand, as -backup
  const { lines, bytes } = master !== undefined
    ? await compactAt(flags, events)
    : flags.kv !== ""
    ? await compactDatabase(flags, events)
    : await compactFile(path, flags.repair, events);
  const count = (n: number) => n.toLocaleString("en-US");
  return print(
    `${master ?? (flags.kv || path)}: ${count(lines[0])} lines, ${count(bytes[0])} bytes before; ` +
      `${count(lines[1])} lines, ${count(bytes[1])} bytes after\n`,
  );
}

async function compactFile(path: string, repairs: boolean, events: Events): Promise<Compaction> {
  try {
    if (repairs) await repair(path, { events });
    return await compact(path, { events });
  } catch (error) {
    if (!(error instanceof InUseError)) throw error;
    throw new JournalError(
      `${error.path}: ${error.holder} compacts by itself; -compact -master=URL asks it now`,
    );
  }
}

/** Compacts the log of links in a database, which masters may be using. */
async function compactDatabase(flags: Flags, events: Events): Promise<Compaction> {
  const { KVLog } = await import("../kv/log.ts");
  const log = new KVLog(await openDatabaseOf(flags), "links", { events, closes: true });
  try {
    await log.load(new LinkReader(new Table()));
    return await compactOpen(log, { progress: showProgress(`compacting ${log.name}`, events) });
  } catch (error) {
    throw error instanceof StoreError ? new JournalError(`${flags.kv}: ${error.message}`) : error;
  } finally {
    await log.close();
  }
}

/** Asks the first master to compact its log, and waits until it has. */
async function compactAt(flags: Flags, events: Events): Promise<Compaction> {
  const [transport] = await transportsOf(flags);
  const request = toCall("Store.Compact", [randomKey()]);
  const progress = showProgress(`compacting ${transport.address}`, events);
  try {
    for (;;) {
      const { text } = await limit(DEADLINE_MS, errLate, never, (signal) => {
        return transport.call(toBatch([request]), 0, signal);
      });
      const { percent, done, error } = readState(text);
      if (done) return done;
      if (error !== undefined) throw new Error(error);
      progress(percent, 100);
      await pause(POLL_MS);
    }
  } catch (error) {
    throw new JournalError(`${transport.address}: ${reasonOf(causeOf(error))}`);
  } finally {
    progress(100, 100);
  }
}

/** @throws what the server said, or that it said nothing of the kind */
function readState(text: string): CompactionState {
  const [{ result, error } = {}] = fromBatch(text, 1);
  if (error) throw new Error(error.message.slice(0, 200));
  if (isState(result)) return result;
  throw new Error("it doesn't say how far it is");
}

function isState(value: unknown): value is CompactionState {
  const { percent, done, error }: { [Name in keyof CompactionState]?: unknown } = Object(value);
  const { lines, bytes }: { [Name in keyof Compaction]?: unknown } = Object(done);
  return isCount(percent) && (done === undefined || isChange(lines) && isChange(bytes)) &&
    (error === undefined || typeof error === "string");
}

function isChange(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}
