/**
 * Compacting a log in a database: rows are replaced by a snapshot, which begins as a compacted file does.
 *
 * The value of `snapshot` says which one is valid. Whoever begins one, makes it valid, or deletes what it replaced
 * checks the version of that value: a master that was stopped meanwhile does no harm. The head isn't touched.
 *
 * @module
 */
import { Checksum } from "../journal/checksum.ts";
import {
  type Blocks,
  type CompactionOptions,
  compactTo,
  type Kept,
  paced,
} from "../journal/compaction.ts";
import { join } from "../journal/feed.ts";
import { JournalError } from "../journal/file.ts";
import { lastLines } from "../journal/superseded.ts";
import { isCount } from "../links/count.ts";
import { NEWLINE } from "../links/syntax.ts";
import { now } from "../links/time.ts";
import { ask } from "./call.ts";
import { after, type Database, type Entry, MAX_RANGE, type Mutation } from "./database.ts";
import type { Loaded } from "./loaded.ts";
import { formatRow, fromJSON, type Layout, newNonce, rowKey, toJSON, toRows } from "./rows.ts";

const KEPT_BYTES = 4096; // stay as they were, for followers who are a little behind
const COMMIT_BYTES = 600_000; // of lines in one commit
const DAY = 86_400; // seconds
const PAGE = 16; // rows of a snapshot that are deleted at once

/** What the value of `snapshot` says. */
export interface Snapshot {
  /** Names the valid snapshot; "" where there is none. */
  id: string;
  /** It has so many rows, */
  parts: number;
  /** and replaces those of the log below this number. */
  rows: number;
  /** The first of them that isn't deleted yet. */
  first: number;
  /** Other snapshots, which are to be deleted; also one that is being made. */
  old: string[];
  version: string | null;
}

/** Reads it. */
export function parseSnapshot(entry?: Entry): Snapshot {
  const none = { id: "", parts: 0, rows: 0, first: 0, old: [], version: null };
  if (entry === undefined) return none;
  const { ID, Parts, Rows, First, Old } = fromJSON(entry.value);
  if (typeof ID !== "string" || ![Parts, Rows, First].every(isCount) || !Array.isArray(Old)) {
    throw new JournalError("its snapshot is none of goto's");
  }
  const [parts, rows, first] = [Parts, Rows, First].map(Number);
  return { id: ID, parts, rows, first, old: Old.map(String), version: entry.version };
}

/** A snapshot as it is kept. */
function formatSnapshot({ id, parts, rows, first, old }: Omit<Snapshot, "version">) {
  return toJSON({ ID: id, Parts: parts, Rows: rows, First: first, Old: old });
}

/** Makes snapshots of a log, and deletes what they replaced. */
export class Compactor {
  constructor(private readonly database: Database, private readonly layout: Layout) {}

  /**
   * Writes a snapshot of what was read, and makes it the valid one.
   *
   * @param loaded nothing is appended to it before `begun` is called
   * @returns whether there is a new one
   * @throws {JournalError} another master compacts, too
   */
  async compact(
    loaded: Loaded,
    options: CompactionOptions,
    begun: () => void,
  ): Promise<boolean> {
    const { feed, reader, rows, snapshot, term, isScattered } = loaded;
    const { base, size: end, sum: endSum, checksum: { start } } = feed;
    const [id, { keys = 0 }, lines] = [newNonce(), reader, reader.snapshot?.()];
    const next = lines ? rows.next : Math.max(rows.first, rows.find(end - KEPT_BYTES));
    const kept = rows.startOf(next);
    begun();
    const blocks = paced((size) => loaded.blocks(size), options);
    const part = { base, kept, end, start };
    const stays: Kept = lines ? { sum: parseInt(endSum, 16), lines } : await lastLines(
      blocks,
      { ...part, keys, endSum },
      now() - (this.database.exclusive ? 0 : DAY),
    );
    const compacted = await compactTo(part, term, stays);
    if (compacted === undefined && !isScattered) return false;
    // Where no line is superseded, the same bytes are put into fewer rows.
    const bytes = compacted?.lines() ?? linesOf(blocks(kept - base));
    const checksum = new Checksum();
    checksum.begin(compacted?.base ?? base, 0, compacted ?? start);
    const { old } = snapshot;
    const version = await this.#set({ ...snapshot, old: [...old, id] }, snapshot.version);
    let parts = 0;
    for await (const block of together(bytes)) {
      const mutations: Mutation[] = [];
      for (const row of toRows(block, { position: 0, sum: 0 }, id).rows) {
        const { end: position, sum } = checksum;
        const set = formatRow({ ...row, position, sum });
        mutations.push({ key: rowKey(this.layout.rowsOf(id), parts++), set });
        checksum.add(row.lines);
      }
      await this.#commit(mutations, version);
      await options.pause?.();
    }
    await this.#set({
      id,
      parts,
      rows: next,
      first: snapshot.first,
      old: snapshot.id === "" ? old : [...old, snapshot.id],
    }, version);
    return true;
  }

  /** Deletes what a snapshot replaced; nobody may be reading it any more. */
  async cleanUp(snapshot: Snapshot): Promise<void> {
    const { first, rows, old, version } = snapshot;
    for (let at = first; at < rows; at += MAX_RANGE) {
      const count = Math.min(MAX_RANGE, rows - at);
      const keys = Array.from({ length: count }, (_, i) => rowKey(this.layout.rows, at + i));
      await this.#commit(keys.map((key) => ({ key, delete: true })), version);
    }
    for (const id of old) {
      const key = this.layout.rowsOf(id);
      const range = { start: key, end: after(key), limit: PAGE };
      for (;;) {
        const page = await ask((signal) => this.database.range(range, signal));
        if (page.length === 0) break;
        await this.#commit(page.map(({ key }) => ({ key, delete: true })), version);
      }
    }
    await this.#set({ ...snapshot, first: rows, old: [] }, version);
  }

  #set(snapshot: Omit<Snapshot, "version">, version: string | null): Promise<string> {
    return this.#commit([{ key: this.layout.snapshot, set: formatSnapshot(snapshot) }], version);
  }

  async #commit(mutations: Mutation[], version: string | null): Promise<string> {
    const checks = [{ key: this.layout.snapshot, version }];
    const made = await ask((signal) => this.database.commit({ checks, mutations }, signal));
    if (made === undefined) throw new JournalError("another master compacts it");
    return made;
  }
}

/** Gives blocks of so many lines as a commit takes. */
async function* together(
  blocks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const block of blocks) {
    for (let at = 0; at < block.length;) {
      let end = Math.min(block.length, at + COMMIT_BYTES - size);
      end = block.lastIndexOf(NEWLINE, end - 1) + 1;
      if (end <= at) { // not one line more
        yield new Uint8Array(join(held));
        [held, size] = [[], 0];
        continue;
      }
      held.push(block.slice(at, end)); // what is given is good until the next is asked for
      size += end - at;
      at = end;
    }
  }
  if (size > 0) yield new Uint8Array(join(held));
}

async function* linesOf(blocks: ReturnType<Blocks>) {
  for await (const { bytes } of blocks) yield bytes;
}
