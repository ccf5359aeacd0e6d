/**
 * How another process asks the one that has a journal to compact it: by a file beside it, `FILE.compact`,
 * which works wherever the journal does. In it the one writes its question, the other how far it is, and
 * what came of it.
 *
 * @module
 */
import { makeBeside, readBeside } from "./beside.ts";
import { explain, JournalError, writeAll } from "./file.ts";
import type { Compaction } from "./maintenance.ts";

const MAX_BYTES = 4096;
const LOOK_MS = 100;
const TELL_MS = 500;
const SILENT_MS = 5_000; // whoever says nothing for so long is not there

/** What stands in the file. */
interface Message {
  /** Which question it belongs to. */
  id: string;
  percent?: number;
  done?: Compaction;
  error?: string;
}

/** What is told to whoever asked. */
export interface Answer {
  progress: (done: number, total: number) => void;
  give(outcome: Compaction | string): Promise<void>;
}

/** What others ask of the one that has a journal. */
export class Asked {
  #answered = ""; // the last question

  constructor(private readonly journal: { readonly path: string }) {}

  /** The next question, if there is one. */
  async take(): Promise<Answer | undefined> {
    const path = nameFor(this.journal.path);
    const id = (await read(path))?.id;
    if (id === undefined || id === this.#answered) return;
    this.#answered = id;
    // Where nothing can be written, whoever asked gives up.
    const say = (message: Omit<Message, "id">) => write(path, { id, ...message }).catch(() => {});
    let told = performance.now();
    let saying = say({ percent: 0 });
    return {
      progress: (done, total) => {
        if (performance.now() - told < TELL_MS) return;
        told = performance.now();
        saying = saying.then(() => say({ percent: Math.floor(100 * done / total) }));
      },
      give: async (outcome) => {
        await saying;
        await say(typeof outcome === "string" ? { error: outcome } : { done: outcome });
      },
    };
  }
}

/**
 * Asks the process that has the journal at `path` to compact it, and waits until it has.
 *
 * @param who that process, as a message names it
 * @param patience how long it may say nothing, in milliseconds
 * @throws {JournalError} it couldn't, or nobody answers
 */
export async function askToCompact(
  path: string,
  who: string,
  progress: (done: number, total: number) => void = () => {},
  patience = SILENT_MS,
): Promise<Compaction> {
  const name = nameFor(path);
  const id = crypto.randomUUID();
  if (await isFresh(name, patience)) {
    throw new JournalError(`${path}: It is being compacted already`);
  }
  await Deno.remove(name).catch(() => {}); // what a question was left of that nobody waits for
  await write(name, { id });
  try {
    let heard = performance.now();
    for (let percent = -1;;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const message = await read(name);
      // Whoever takes the file over next clears up.
      if (!message) throw new JournalError(`${path}: It ended before it was done: ${who}`);
      if (message.id === id) {
        if (message.done) return message.done;
        if (message.error !== undefined) throw new JournalError(`${path}: ${message.error}`);
        if (message.percent !== undefined && message.percent !== percent) {
          heard = performance.now();
          progress(percent = message.percent, 100);
        }
      }
      if (performance.now() - heard > patience) {
        throw new JournalError(`${path}: In use by ${who}, which doesn't answer`);
      }
    }
  } finally {
    progress(100, 100);
    await Deno.remove(name).catch(() => {});
  }
}

function nameFor(path: string): string {
  return `${path}.compact`;
}

/** Whether somebody waits for an answer just now. */
async function isFresh(path: string, patience: number): Promise<boolean> {
  const { mtime } = await Deno.lstat(path).catch(() => ({ mtime: null }));
  return mtime !== null && Math.abs(Date.now() - mtime.getTime()) < patience;
}

async function read(path: string): Promise<Message | undefined> {
  try {
    const message = JSON.parse(await readBeside(path, MAX_BYTES));
    return typeof message?.id === "string" ? message : undefined;
  } catch {
    return; // there is none, or not yet a whole one
  }
}

/** Writes what those can read, and only those, who can read the journal. */
async function write(path: string, message: Message): Promise<void> {
  const temp = `${path}.tmp`;
  try {
    const journal = await Deno.stat(path.replace(/\.compact$/, "")).catch(() => undefined);
    await Deno.remove(temp).catch(() => {});
    using file = await makeBeside(temp, journal);
    if (journal?.mode && Deno.build.os !== "windows") await Deno.chmod(temp, journal.mode & 0o666);
    await writeAll(file, new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    await Deno.rename(temp, path);
  } catch (error) {
    await Deno.remove(temp).catch(() => {});
    throw explain(path, error);
  }
}
