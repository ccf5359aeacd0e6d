/**
 * The copies that others took the place of.
 *
 * @module
 */
const MAX_OLD = 5;

/**
 * Gives the file at `path` a second name, so that it stays when another takes its place:
 * `FILE.old-20261125T093000Z`. Five of them stay: beyond that the oldest goes, but never the largest,
 * which may be the last good one.
 *
 * @returns the name
 */
export async function keepOld(path: string, now = new Date()): Promise<string> {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  for (let n = 1;; n++) {
    const name = `${path}.old-${time}${n === 1 ? "" : `-${n}`}`;
    try {
      await keep(path, name);
      await removeOldest(path);
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Gives a file a second name, or, where the file system has no such thing, copies it. */
async function keep(path: string, name: string): Promise<void> {
  try {
    await Deno.link(path, name);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw error;
    using from = await Deno.open(path);
    using to = await Deno.open(name, { write: true, createNew: true, mode: 0o600 });
    try {
      await from.readable.pipeTo(to.writable, { preventClose: true });
      await to.sync();
    } catch (error) {
      await Deno.remove(name);
      throw error;
    }
  }
}

async function removeOldest(path: string): Promise<void> {
  const [, folder, name] = /^(.*?)([^/\\]*)$/s.exec(path) ?? [];
  const found: { path: string; order: string; size: number }[] = [];
  for await (const entry of Deno.readDir(folder || ".")) {
    const [, time, n = "1"] = entry.name.startsWith(`${name}.old-`)
      ? /^(\d{8}T\d{6}Z)(?:-(\d+))?$/.exec(entry.name.slice(name.length + 5)) ?? []
      : [];
    if (time === undefined) continue;
    const path = `${folder}${entry.name}`;
    const { isFile, size } = await Deno.lstat(path);
    if (isFile) found.push({ path, order: time + n.padStart(9, "0"), size });
  }
  found.sort((a, b) => a.order < b.order ? -1 : 1);
  const largest = found.reduce((a, b) => b.size > a.size ? b : a, found[0]);
  const others = found.filter((one) => one !== largest);
  for (const { path } of others.slice(0, Math.max(0, found.length - MAX_OLD))) {
    await Deno.remove(path);
  }
}
