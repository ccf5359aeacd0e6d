/**
 * The files beside a journal, whose names are made of its name. Whoever may write to the folder may put links
 * and pipes there: those are refused, and never followed.
 *
 * @module
 */

const TRIES = 10;

/** Whom a file belongs to. */
export type Owner = Pick<Deno.FileInfo, "uid" | "gid">;

/**
 * Makes a file where there is nothing, for its owner alone, to be read and appended to.
 *
 * @param owner whom it is to belong to, where that can be had: root may maintain a service's files
 * @throws what the file system said: also that there is something, were it a link to nowhere
 */
export async function makeBeside(path: string, owner?: Owner): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { read: true, append: true, createNew: true, mode: 0o600 });
  if (owner) {
    const { uid, gid } = await file.stat();
    if (uid !== owner.uid || gid !== owner.gid) {
      await Deno.chown(path, owner.uid, owner.gid).catch(() => {});
    }
  }
  return file;
}

/**
 * Opens the file at `path` to be read, or, with `append`, to be written to as well.
 *
 * @throws what the file system said, or that it is no regular file
 */
export async function openBeside(path: string, append = false): Promise<Deno.FsFile> {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await Deno.lstat(path);
    if (!found.isFile) throw new Error("Not a regular file");
    const file = await Deno.open(path, { read: true, append });
    // Another one may have taken its place before it was opened.
    const { isFile, dev, ino } = await file.stat();
    if (isFile && dev === found.dev && ino === found.ino) return file;
    file.close();
  }
  throw new Error("Replaced again and again while it was opened");
}

/**
 * Opens the file at `path` to be appended to, or makes it, as {@linkcode makeBeside} does.
 *
 * @throws what the file system said, or that it is no regular file
 */
export async function appendBeside(path: string, owner?: Owner): Promise<Deno.FsFile> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await openBeside(path, true);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    try {
      return await makeBeside(path, owner);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new Error("Made and removed again and again while it was opened");
}

/**
 * Reads the text at `path`.
 *
 * @param most so many bytes it may have
 * @throws what the file system said, or that it is no regular file, or a longer one
 */
export async function readBeside(path: string, most = Infinity): Promise<string> {
  const file = await openBeside(path);
  if ((await file.stat()).size > most) {
    file.close();
    throw new Error(`Over ${most} bytes`);
  }
  return await new Response(file.readable).text();
}
