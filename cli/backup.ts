/**
 * Copies of all links, made while a master goes on.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import { type FeedStream, HEARTBEAT_MS, wholeLines } from "../journal/feed.ts";
import {
  exists,
  explain,
  JournalError,
  lock,
  type Locked,
  openToRead,
  reasonOf,
  unlock,
  writeAll,
} from "../journal/file.ts";
import { Journal } from "../journal/journal.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { compactOpen } from "../journal/maintenance.ts";
import { refuseForeign } from "../journal/torn.ts";
import { Table } from "../links/table.ts";
import { causeOf } from "../links/errors.ts";
import { checkCopy } from "../replica/judge.ts";

const CHUNK = 1 << 20;
const SILENT_MS = 3 * HEARTBEAT_MS; // a feed that is silent for longer is dead
const TRIES = 5; // to copy a feed that begins anew meanwhile

/** Told how much of all is done. */
type Progress = (done: number, total: number) => void;

/** Where links come from: gives the lines of a journal, and may be asked for them again. */
export interface Source {
  name: string;
  /** @param opened told of the feed that is read, if it is one */
  read(progress: Progress, opened: (stream: FeedStream) => void): AsyncIterable<Uint8Array>;
}

/** A journal's file, which a master may be writing to. */
export function fileSource(path: string): Source {
  return {
    name: path,
    async *read(progress) {
      const { file } = await openToRead(path);
      using _closed = file;
      const { size } = await file.stat();
      const buffer = new Uint8Array(CHUNK);
      let done = 0;
      for (let n; (n = await file.read(buffer)) !== null;) {
        yield buffer.subarray(0, n);
        done += n;
        progress(Math.min(done, size - 1), size);
      }
    },
  };
}

/**
 * The feed of a log.
 *
 * @param name what it is a feed of
 * @param open opens it at its beginning
 */
export function feedSource(
  name: string,
  open: (signal: AbortSignal) => Promise<FeedStream>,
): Source {
  return {
    name,
    async *read(progress, opened) {
      const silent = new AbortController();
      const giveUp = () => silent.abort(new Error("it is silent"));
      let timer = setTimeout(giveUp, SILENT_MS);
      try {
        const stream = await open(silent.signal);
        opened(stream);
        const { offset, size, body } = stream;
        let at = offset;
        for await (const lines of wholeLines(body)) {
          clearTimeout(timer);
          yield lines.subarray(0, size - at); // what the checksum is of
          at += lines.length;
          if (at >= size) return;
          progress(at - offset, size - offset);
          timer = setTimeout(giveUp, SILENT_MS);
        }
        throw new Ended("the feed ended before it was whole");
      } finally {
        clearTimeout(timer);
        silent.abort();
      }
    },
  };
}

/** A feed ended early, as it does where the journal is compacted meanwhile. */
class Ended extends Error {}

/**
 * Writes the links of `source` to a new file at `path`, without superseded lines, and reads them again
 * to see that they are all there. Until it is whole and on disk, the file is called `FILE.part`.
 *
 * @throws {JournalError} it can't be done, or there is a file already
 */
export async function backUp(
  source: Source,
  path: string,
  progress: Progress = () => {},
): Promise<{ links: number; bytes: number }> {
  await refuseExisting(path);
  const part = `${path}.part`;
  const locked = await lockPart(part);
  try {
    const stream = await copy(source, locked, progress);
    const { links, bytes } = await compactPart(part, stream);
    await finish(part, links, path);
    return { links, bytes };
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    if (error instanceof ChecksumError) throw explain(source.name, error);
    if (!(error instanceof JournalError)) throw explain(path, error);
    // What is wrong with the copy is wrong with what it is a copy of.
    throw new JournalError(error.message.replaceAll(part, source.name));
  } finally {
    progress(1, 1);
  }
}

/** Opens `FILE.part`. What no earlier try left there is not written over. */
async function lockPart(part: string): Promise<Locked> {
  const locked = await lock(part, true).catch((error) => {
    const isOdd = /Not a regular file$/.test(error.message);
    throw isOdd ? error : new JournalError(error.message.replaceAll(part, fileOf(part)));
  });
  try {
    await refuseForeign(locked);
    return locked;
  } catch (error) {
    await unlock(locked);
    throw explain(part, error);
  }
}

/** The file that a part becomes. */
function fileOf(part: string): string {
  return part.replace(/\.part$/, "");
}

async function refuseExisting(path: string): Promise<void> {
  if (!await exists(path, Deno.lstat)) return;
  throw new JournalError(`${path}: It exists already, and a backup overwrites nothing`);
}

/**
 * Copies what there is to a file, over what an earlier try left there, and unlocks it.
 *
 * @returns the feed that was copied, if it was one
 */
async function copy(
  source: Source,
  locked: Locked,
  progress: Progress,
): Promise<FeedStream | undefined> {
  try {
    for (let tries = 1;; tries++) {
      await locked.file.truncate(0);
      let stream: FeedStream | undefined;
      const opened = (opened: FeedStream) => void (stream = opened);
      try {
        for await (const bytes of source.read(progress, opened)) {
          await writeAll(locked.file, bytes).catch((error) => {
            throw explain(fileOf(locked.path), error);
          });
        }
        return stream;
      } catch (error) {
        if (error instanceof Ended && tries < TRIES) continue;
        if (error instanceof JournalError) throw error;
        throw new JournalError(`${source.name}: ${reasonOf(causeOf(error))}`);
      }
    }
  } finally {
    await unlock(locked);
  }
}

/** Compacts a copy, once it proves to be what its owner says that it has. */
async function compactPart(
  part: string,
  stream?: FeedStream,
): Promise<{ links: number; bytes: number }> {
  const journal = await Journal.open(part, { copy: true });
  try {
    const links = await load(journal);
    journal.publish();
    if (stream) checkCopy(journal.feed, stream);
    const { bytes: [, bytes] } = await compactOpen(journal);
    return { links: links.count, bytes };
  } finally {
    await journal.close();
  }
}

/** Reads the copy again, as a start would, and gives it its name once it is on disk. */
async function finish(part: string, links: number, path: string): Promise<void> {
  const journal = await Journal.open(part, { copy: true });
  try {
    const { count } = await load(journal);
    if (count !== links) throw new JournalError(`${part}: The copy has ${count} of ${links} links`);
    await refuseExisting(path);
    try {
      await journal.rename(path);
      await journal.close();
    } catch (error) {
      if (!await exists(part)) await Deno.remove(path); // whoever sees it takes it for a good one
      throw error;
    }
  } finally {
    await journal.close();
  }
}

async function load(journal: Journal): Promise<Table> {
  const links = new Table();
  await journal.load(new LinkReader(links));
  return links;
}
