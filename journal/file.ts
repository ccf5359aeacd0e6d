/**
 * A journal's file: locked for one process, replaced as a whole or not at all.
 *
 * @module
 */

import { appendBeside, makeBeside, readBeside } from "./beside.ts";

/** What the operator must settle before the journal can be used: one line, no stack. */
export class JournalError extends Error {
  override name = "JournalError";
}

/** Another process has the file. */
export class InUseError extends JournalError {
  /** @param path the file itself, also where it was named by a link */
  constructor(readonly path: string, readonly holder: string) {
    super(`${path}: Already in use by ${holder}`);
  }
}

/** A file that is locked for this process. */
export interface Locked {
  /** The file itself, also where it was named by a link. */
  path: string;
  file: Deno.FsFile;
}

/** Takes the next bytes of a file. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/**
 * Opens the file at `path` to be appended to, makes it where it is missing, and locks it.
 *
 * @param beside whether its name is made of another's, so that no link there may be followed
 * @throws {JournalError} it can't be written, or another process has it
 */
export async function lock(path: string, beside = false): Promise<Locked> {
  for (let tries = 0; tries < 10; tries++) {
    let file;
    try {
      file = beside
        ? await appendBeside(path)
        : await Deno.open(path, { read: true, append: true, create: true, mode: 0o600 });
      // Behind a link stands the file that others lock, and that a compaction must replace.
      if ((await Deno.lstat(path)).isSymlink) path = await Deno.realPath(path);
      const { isFile, size, ino } = await file.stat();
      if (!isFile) throw new Error("Not a regular file");
      if (!await file.tryLock(true)) throw new InUseError(path, await holder(path));
      // A compaction may have put another file in this one's place before we had the lock.
      if (ino === (await Deno.stat(path)).ino) {
        // Also where it isn't new: whoever made it may have been killed before coming here.
        if (size === 0) await syncFolder(path);
        await nameHolder(path);
        return { path, file };
      }
      file.close();
    } catch (error) {
      file?.close();
      throw explain(path, error);
    }
  }
  throw new JournalError(`${path}: Replaced again and again while it was opened`);
}

/**
 * Opens the file at `path` only to be read, and locks nothing: whoever has it may go on.
 *
 * @throws {JournalError} it can't be read
 */
export async function openToRead(path: string): Promise<Locked> {
  try {
    if (!(await Deno.stat(path)).isFile) throw new Error("Not a regular file");
    if ((await Deno.lstat(path)).isSymlink) path = await Deno.realPath(path);
    return { path, file: await Deno.open(path) };
  } catch (error) {
    throw explain(path, error);
  }
}

/** Removes what is left of a replacement that was killed, and of who asked for one. */
export async function removeLeft({ path }: Locked): Promise<void> {
  for (const left of ["tmp", "compact"]) await Deno.remove(`${path}.${left}`).catch(() => {});
}

/** Lets others have the file. */
export async function unlock({ path, file }: Locked): Promise<void> {
  await Deno.remove(`${path}.pid`).catch(() => {});
  // Closing doesn't unlock while a child that was forked just now still has a copy of the handle.
  await file.unlock();
  file.close();
}

/** Gives a locked file another name; the lock goes with it. */
export async function rename({ path, file }: Locked, to: string): Promise<void> {
  await file.sync();
  await Deno.rename(path, to);
  await syncFolder(to);
  await Deno.remove(`${path}.pid`).catch(() => {});
  await nameHolder(to);
}

/**
 * Puts new content in the place of a locked file, so that a crash leaves either the old or the new.
 * The lock goes over to it.
 *
 * @throws {JournalError} that failed, before or after the rename
 */
export async function replace(
  locked: Locked,
  fill: (write: Write) => Promise<void>,
): Promise<void> {
  const draft = await Draft.open(locked);
  try {
    await fill((bytes) => writeAll(draft.file, bytes));
    await draft.file.sync();
    await draft.put(locked);
    await syncFolder(locked.path);
  } catch (error) {
    await draft.discard();
    throw explain(locked.path, error);
  }
}

/** A file that is to take the place of a locked one: `FILE.tmp`. */
export class Draft {
  #placed = false;

  private constructor(readonly path: string, readonly file: Deno.FsFile) {}

  /**
   * Makes an empty one. It belongs to whom the other file does: root may maintain a service's.
   *
   * @throws {JournalError} the file system refuses
   */
  static async open({ path, file: old }: Locked): Promise<Draft> {
    const temp = `${path}.tmp`;
    let file;
    try {
      const { mode, uid, gid } = await old.stat();
      file = await makeBeside(temp);
      const made = await file.stat();
      if (made.uid !== uid || made.gid !== gid) await Deno.chown(temp, uid, gid);
      if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(temp, mode & 0o7777);
      await file.lock(true); // so that the name never points at a file that others may lock
      return new Draft(temp, file);
    } catch (error) {
      if (file) await Deno.remove(temp).catch(() => {});
      file?.close();
      throw explain(path, error);
    }
  }

  /** Takes the place of the locked file, whose name is then to be synced. What was there is closed. */
  async put(locked: Locked): Promise<void> {
    await Deno.rename(this.path, locked.path);
    this.#placed = true;
    locked.file.close();
    locked.file = this.file;
  }

  /** Removes it, unless it has taken the place. */
  async discard(): Promise<void> {
    if (this.#placed) return;
    await Deno.remove(this.path).catch(() => {});
    this.file.close();
  }
}

/** Reads so many bytes of a file. */
export async function readAt(
  file: Deno.FsFile,
  at: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await file.seek(at, Deno.SeekMode.Start);
  for (let have = 0, n; have < length; have += n) {
    n = await file.read(bytes.subarray(have)) ?? 0;
    if (n === 0) throw new Error("Shorter than it was");
  }
  return bytes;
}

/** Makes the names in the folder of `path` durable: a synced file is lost if its name is. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // there a folder can't be opened, nor need it be
  using folder = await Deno.open(path.replace(/[^/]*$/, "") || ".");
  await folder.sync();
}

/**
 * Whether there is something at `path`.
 *
 * @param stat looks for it; `Deno.lstat` finds a link to nowhere, too
 * @throws {JournalError} the file system doesn't say: what can't be seen just now is not missing
 */
export async function exists(
  path: string,
  stat: (path: string) => Promise<unknown> = Deno.stat,
): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw explain(path, error);
  }
}

/** A write may be short; what is left of it follows. */
export async function writeAll(file: Pick<Deno.FsFile, "write">, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const n = await file.write(bytes.subarray(at));
    if (n === 0) throw new Error("Nothing was written");
    at += n;
  }
}

/** An error as one line that names the file. */
export function explain(path: string, error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  return new JournalError(`${path}: ${reasonOf(error)}`);
}

/** What an error of the file system says, without our calls' names around it. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/ \(os error \d+\).*$/, "");
}

/** Says who has the file at `path`; on a full disk it stays unsaid. */
async function nameHolder(path: string): Promise<void> {
  const name = `${path}.pid`;
  await Deno.remove(name).catch(() => {});
  // Only as a new file: what somebody put there meanwhile, such as a link, is not written through.
  const said = Deno.writeTextFile(name, `${Deno.pid}\n`, { createNew: true, mode: 0o600 });
  await said.catch(() => {});
}

/** Who has locked the file at `path`, as far as its pid file tells. */
async function holder(path: string): Promise<string> {
  const pid = await readBeside(`${path}.pid`, 20).catch(() => "");
  return /^\d+\n$/.test(pid) ? `process ${pid.trim()}` : "another process";
}
