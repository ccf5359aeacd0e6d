/**
 * The journal: a file of JSON lines, one line a change, in the format of the Go program.
 *
 *     {"Key":"1c","URL":"https://example.com/"}
 *
 * A later line for a key replaces the earlier one; an empty URL deletes. The file is only ever
 * appended to, by one process at a time, so that its bytes up to {@linkcode Journal.size} never
 * change: that is what a follower may copy, and what a crash cannot take away.
 *
 * @module
 */

/** Writes one event for the operator: a sentence, and the values that belong to it. */
export type Logger = (
  level: "info" | "warn" | "error",
  msg: string,
  fields?: Record<string, string | number | boolean>,
) => void;

/** Takes one change from a journal: `url` is "" for a deleted key, `id` the writer's own mark. */
export type Apply = (key: string, url: string, id?: string) => void;

/** What the operator must settle before the journal can be used: one line, no stack. */
export class JournalError extends Error {
  override name = "JournalError";
}

/** Takes the next bytes of a file. */
type Write = (bytes: Uint8Array) => Promise<void>;

/** How {@linkcode Journal.open} treats its file. */
export interface JournalOptions {
  /** Whether {@linkcode Journal.append} waits for the disk. */
  sync?: boolean;
  /** Whether bad lines are moved to `FILE.bad`; without it they are an error. */
  repair?: boolean;
  log?: Logger;
}

/** A follower's view of changes: bytes that will never be taken back. */
export interface Log {
  /** Where the durable bytes end. */
  readonly size: number;
  /**
   * Reads whole changes from `offset`, at most about 1 MiB. At the end it waits for the next ones,
   * `wait` milliseconds at most; what it then gives is empty. Nothing, once the log has ended.
   */
  read(offset: number, wait: number): Promise<Uint8Array | undefined>;
  /** The fingerprint of the bytes before `offset`; nothing where they aren't known. */
  check(offset: number): Promise<string | undefined>;
}

/** A fingerprint covers so many bytes before an offset. */
export const CHECK_BYTES = 4096;
const CHUNK = 1 << 20;
const MAX_LINE = 64 << 20;
const PROBE_MS = 1000;
const NEWLINE = 10;

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * One line of the journal.
 *
 * @example
 * ```ts
 * formatLine("1c", "https://example.com/"); // {"Key":"1c","URL":"https://example.com/"}\n
 * ```
 */
export function formatLine(key: string, url: string, id?: string): string {
  // Keys and URLs are checked before they get here; only quoting is left to do.
  const mark = id === undefined ? "" : `,"ID":${JSON.stringify(id)}`;
  return `{"Key":${JSON.stringify(key)},"URL":${JSON.stringify(url)}${mark}}\n`;
}

/** The SHA-256 of `bytes`, in hexadecimal. */
export async function fingerprint(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * Gives every line of `bytes`, which must end with a newline, to `apply`, and those that are no
 * changes to `bad`, with the number of the line, counted from 1.
 */
export function readLines(
  bytes: Uint8Array,
  apply: Apply,
  bad: (line: number, reason: string) => void,
): number {
  let text;
  try {
    text = utf8.decode(bytes);
  } catch {
    return readLinesOneByOne(bytes, apply, bad);
  }
  // JSON allows no control character inside a string: where there is one, JSON.parse decides.
  // deno-lint-ignore no-control-regex
  const odd = /[\0-\x09\x0b-\x1f]/.test(text);
  let escape = odd ? 0 : text.indexOf("\\");
  let line = 0;
  for (let start = 0, end; start < text.length; start = end + 1) {
    line++;
    end = text.indexOf("\n", start);
    if (!odd && escape !== -1 && escape < start) escape = text.indexOf("\\", start);
    // A line as we write it is cut apart in place, which is three times as fast as JSON.parse.
    if ((escape === -1 || escape > end) && text.startsWith('{"Key":"', start)) {
      const keyEnd = text.indexOf('"', start + 8);
      if (text.startsWith('","URL":"', keyEnd)) {
        const urlEnd = text.indexOf('"', keyEnd + 9);
        if (urlEnd === end - 2 && text.charCodeAt(end - 1) === 0x7d) {
          // A slice of the URL would be a view of `text`, which would stay in memory, and every look at
          // it a detour: JSON.parse gives a string of its own.
          apply(text.slice(start + 8, keyEnd), JSON.parse(text.slice(keyEnd + 8, urlEnd + 1)));
          continue;
        }
      }
    }
    const reason = readLine(text.slice(start, end), apply);
    if (reason) bad(line, reason);
  }
  return line;
}

/** {@linkcode readLines} where a line isn't UTF-8: which one is it? */
function readLinesOneByOne(
  bytes: Uint8Array,
  apply: Apply,
  bad: (line: number, reason: string) => void,
): number {
  let line = 0;
  for (let start = 0, end; start < bytes.length; start = end) {
    line++;
    end = bytes.indexOf(NEWLINE, start) + 1;
    let reason: string | undefined = "invalid UTF-8";
    try {
      reason = readLine(utf8.decode(bytes.subarray(start, end - 1)), apply);
    } catch {
      // The reason stands.
    }
    if (reason) bad(line, reason);
  }
  return line;
}

function isJSON(bytes: Uint8Array): boolean {
  try {
    JSON.parse(utf8.decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** Applies one line, or says why it can't. */
function readLine(line: string, apply: Apply): string | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    if (line.startsWith("\ufeff")) return "a byte order mark";
    return line.includes("\0") ? "NUL bytes" : line.trim() ? "bad JSON" : "a blank line";
  }
  if (typeof record !== "object" || record === null) return "not a JSON object";
  const { Key, URL, ID } = record as { Key?: unknown; URL?: unknown; ID?: unknown };
  if (typeof Key !== "string") return `"Key" is ${Key === undefined ? "missing" : "no string"}`;
  if (typeof URL !== "string") return `"URL" is ${URL === undefined ? "missing" : "no string"}`;
  apply(Key, URL, typeof ID === "string" ? ID : undefined);
}

/** A condition variable: some wait, for a time at most, until another says that things changed. */
export class Condition {
  #waiters = new Set<() => void>();

  /** Resolves with the next {@linkcode notifyAll}, or after `ms` milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiters.add(wake);
    });
  }

  notifyAll(): void {
    for (const wake of this.#waiters) wake();
  }
}

/** What an error of the file system says, without our calls' names around it. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/ \(os error \d+\).*$/, "") : String(error);
}

/** Makes the names in the folder of `path` durable: a synced file is lost if its name is. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // there a folder can't be opened, nor need it be
  using folder = await Deno.open(path.replace(/[^/]*$/, "") || ".");
  await folder.sync();
}

/**
 * An open journal, locked for this process until it is closed.
 *
 * @example
 * ```ts
 * const journal = await Journal.open("store.jsonl");
 * await journal.load((key, url) => urls.set(key, url));
 * await journal.append(formatLine("0", "https://example.com/")); // now it is on disk
 * await journal.close();
 * ```
 */
export class Journal implements Log {
  /** Why the last write failed, until one succeeds. */
  failure?: string;
  /** How often the disk was waited for. */
  syncs = 0;
  #size = 0;
  #file: Deno.FsFile;
  #reader?: Deno.FsFile;
  #reading: Promise<unknown> = Promise.resolve();
  #writing: Promise<unknown> = Promise.resolve();
  #last: { offset: number; bytes: Uint8Array } = { offset: -1, bytes: new Uint8Array() };
  #grown = new Condition();
  #torn = false;
  #ended = false;
  #probe?: ReturnType<typeof setTimeout>;
  #log: Logger;

  private constructor(
    public path: string,
    file: Deno.FsFile,
    private readonly options: JournalOptions,
  ) {
    this.#file = file;
    this.#log = options.log ?? (() => {});
  }

  /**
   * Opens `path`, makes it where it is missing, and locks it.
   *
   * @throws {JournalError} if the file can't be written, or another process has it
   */
  static async open(path: string, options: JournalOptions = {}): Promise<Journal> {
    for (let tries = 0; tries < 10; tries++) {
      let file;
      try {
        file = await Deno.open(path, { read: true, append: true, create: true });
        // Behind a link stands the file that others lock, and that a compaction must replace.
        if ((await Deno.lstat(path)).isSymlink) path = await Deno.realPath(path);
        const { isFile, size, ino } = await file.stat();
        if (!isFile) throw new Error("Not a regular file");
        if (!await file.tryLock(true)) throw new Error(`Already in use by ${await holder(path)}`);
        // A compaction may have put another file in this one's place before we had the lock.
        if (ino === (await Deno.stat(path)).ino) {
          // Also where it isn't new: whoever made it may have been killed before coming here.
          if (size === 0) await syncFolder(path);
          await nameHolder(path);
          await Deno.remove(`${path}.tmp`).catch(() => {}); // of a replacement that was killed
          return new Journal(path, file, options);
        }
        file.close();
      } catch (error) {
        file?.close();
        throw new JournalError(`${path}: ${reasonOf(error)}`);
      }
    }
    throw new JournalError(`${path}: Replaced again and again while it was opened`);
  }

  get size(): number {
    return this.#size;
  }

  /** An error as one line that names the file. */
  #explain(error: unknown): JournalError {
    if (error instanceof JournalError) return error;
    return new JournalError(`${this.path}: ${reasonOf(error)}`);
  }

  /**
   * Reads the whole file. A torn last line, which nobody was told of, is cut off.
   *
   * @throws {JournalError} naming the first bad line, unless they are to be repaired
   */
  async load(apply: Apply): Promise<void> {
    try {
      await this.#load(apply);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async #load(apply: Apply): Promise<void> {
    const { size: total } = await this.#file.stat();
    const progress = new Progress(`loading ${this.path}`, total, this.#log);
    const bad = new Set<number>();
    let buffer = new Uint8Array(CHUNK);
    let offset = 0; // of the buffer's first byte
    let have = 0;
    let line = 0;
    const read = (bytes: Uint8Array) =>
      readLines(bytes, apply, (number, reason) => {
        if (!this.options.repair) {
          throw new JournalError(
            `${this.path}:${line + number}: ${reason}; -repair moves bad lines to ${this.path}.bad`,
          );
        }
        bad.add(line + number);
      });
    await this.#file.seek(0, Deno.SeekMode.Start);
    for (let n; (n = await this.#file.read(buffer.subarray(have))) !== null;) {
      const seen = have;
      have += n;
      const end = buffer.subarray(seen, have).lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        const whole = seen + end;
        line += read(buffer.subarray(0, whole));
        buffer.copyWithin(0, whole, have);
        offset += whole;
        have -= whole;
        progress.at(offset);
      } else if (have === buffer.length) {
        if (have >= MAX_LINE) {
          throw new JournalError(`${this.path}:${line + 1}: a line of over ${MAX_LINE} bytes`);
        }
        const larger = new Uint8Array(have * 2);
        larger.set(buffer);
        buffer = larger;
      }
    }
    progress.done();
    this.#size = offset;
    const tail = buffer.subarray(0, have);
    if (isJSON(tail)) {
      // Only its newline is missing: what is torn can't be parsed, as its "}" is gone.
      const line = new Uint8Array(have + 1);
      line.set(tail);
      line[have] = NEWLINE;
      read(line);
      await this.#write(Uint8Array.of(NEWLINE));
      this.#size += have + 1;
    } else if (have > 0) {
      this.#log("warn", "cut off a torn last line", {
        file: this.path,
        bytes: have,
        text: new TextDecoder().decode(tail.subarray(0, 200)),
      });
      await this.#file.truncate(this.#size);
    }
    if (bad.size > 0) await this.#dropLines(bad);
    // What a killed process left unsynced must not be shown as durable.
    if (this.options.sync) await this.#file.syncData();
    this.#reader?.close();
    this.#reader = await Deno.open(this.path);
  }

  /** Moves lines to `FILE.bad`: a copy of them is safe there before they leave the journal. */
  async #dropLines(bad: ReadonlySet<number>): Promise<void> {
    const path = `${this.path}.bad`;
    using aside = await Deno.open(path, { append: true, create: true });
    await this.replace(async (write) => {
      const move = (bytes: Uint8Array) => writeAll(aside, bytes);
      await this.#partition((line) => !bad.has(line), write, move);
      await aside.sync();
      await syncFolder(path);
    });
    this.#log("warn", "moved bad lines aside", { lines: bad.size, file: path });
  }

  /** Hands on every line to one or the other, by its number. */
  async #partition(stays: (line: number) => boolean, keep: Write, drop: Write): Promise<void> {
    const buffer = new Uint8Array(CHUNK);
    const kept = new Uint8Array(CHUNK);
    const dropped = new Uint8Array(CHUNK);
    let line = 1;
    await this.#file.seek(0, Deno.SeekMode.Start);
    for (let n; (n = await this.#file.read(buffer)) !== null;) {
      let keeps = 0;
      let drops = 0;
      for (let start = 0, end; start < n; start = end) {
        const newline = buffer.indexOf(NEWLINE, start);
        const whole = newline !== -1 && newline < n;
        end = whole ? newline + 1 : n;
        const piece = buffer.subarray(start, end);
        if (stays(line)) {
          kept.set(piece, keeps);
          keeps += piece.length;
        } else {
          dropped.set(piece, drops);
          drops += piece.length;
        }
        if (whole) line++;
      }
      await keep(kept.subarray(0, keeps));
      await drop(dropped.subarray(0, drops));
    }
  }

  /**
   * Puts new content in the file's place, so that a crash leaves either the old or the new.
   * Only for a journal that nobody follows yet.
   *
   * @throws {JournalError} if that failed, before or after the rename
   */
  async replace(fill: (write: Write) => Promise<void>): Promise<void> {
    const path = `${this.path}.tmp`;
    const file = await this.#twin(path);
    try {
      await file.lock(true); // so that the name never points at a file that others may lock
      let size = 0;
      await fill(async (bytes) => {
        await writeAll(file, bytes);
        size += bytes.length;
      });
      await file.sync();
      await Deno.rename(path, this.path);
      await syncFolder(this.path);
      this.#size = size;
    } catch (error) {
      file.close();
      await Deno.remove(path).catch(() => {});
      throw this.#explain(error);
    }
    this.#file.close();
    this.#file = file;
    if (!this.#reader) return;
    this.#reader.close();
    this.#reader = await Deno.open(this.path);
  }

  /** Makes an empty file that belongs to whom this one does: root may compact a service's file. */
  async #twin(path: string): Promise<Deno.FsFile> {
    let file;
    try {
      const { mode, uid, gid } = await this.#file.stat();
      file = await Deno.open(path, { read: true, append: true, createNew: true, mode: 0o600 });
      const made = await file.stat();
      if (made.uid !== uid || made.gid !== gid) await Deno.chown(path, uid, gid);
      if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(path, mode & 0o7777);
      return file;
    } catch (error) {
      if (file) await Deno.remove(path).catch(() => {});
      file?.close();
      throw this.#explain(error);
    }
  }

  /**
   * Rewrites the file without superseded lines. Those of deleted keys stay, so that no key is
   * handed out twice. For a journal that is neither loaded nor followed.
   *
   * @returns lines and bytes, before and after
   */
  async compact(): Promise<{ lines: [number, number]; bytes: [number, number] }> {
    const last = new Map<string, number>();
    let count = 0;
    await this.load((key) => last.set(key, ++count));
    const stays = new Uint8Array(count + 1);
    for (const line of last.values()) stays[line] = 1;

    const before = this.#size;
    // The lines stay as they stand, with whatever a later version may have put in them.
    await this.replace((write) =>
      this.#partition((line) => stays[line] === 1, write, () => Promise.resolve())
    );
    return { lines: [count, last.size], bytes: [before, this.#size] };
  }

  /**
   * Writes whole lines at the end, all or none, and syncs.
   *
   * @throws what the file system said; the file is then as it was before
   */
  append(lines: string | Uint8Array): Promise<void> {
    const bytes = typeof lines === "string" ? encoder.encode(lines) : lines;
    const done = this.#writing.then(() => this.#append(bytes));
    this.#writing = done.catch(() => {});
    return done;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#cutOff();
      this.#torn = true;
      await this.#write(bytes);
      this.#torn = false;
    } catch (error) {
      // A failed sync may have dropped any of the batch's pages: none of it counts.
      await this.#cutOff().catch(() => {});
      this.#fail(error);
      throw error;
    }
    this.#resume();
    if (bytes.length <= CHUNK) this.#last = { offset: this.#size, bytes };
    this.#size += bytes.length;
    this.#grown.notifyAll();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#file, bytes);
    if (this.options.sync) {
      await this.#file.syncData();
      this.syncs++;
    }
  }

  /** Takes back what a failed write left behind the last whole line. */
  async #cutOff(): Promise<void> {
    if (!this.#torn) return;
    await this.#file.truncate(this.#size);
    await this.#file.sync();
    this.#torn = false;
  }

  #fail(error: unknown): void {
    if (this.failure === undefined) {
      this.#log("error", "cannot write", { file: this.path, reason: reasonOf(error) });
      this.#probeLater();
    }
    this.failure = reasonOf(error);
  }

  /** Without new links nothing would show that there is room again: so it is tried. */
  #probeLater(): void {
    clearTimeout(this.#probe);
    if (this.#ended) return;
    this.#probe = setTimeout(() => {
      this.#writing = this.#writing.then(() => this.#tryRoom()).catch(() => this.#probeLater());
    }, PROBE_MS);
    Deno.unrefTimer(this.#probe);
  }

  async #tryRoom(): Promise<void> {
    if (this.failure === undefined) return;
    await this.#cutOff();
    this.#torn = true;
    try {
      await writeAll(this.#file, new Uint8Array(CHECK_BYTES).fill(0x20));
      await this.#file.syncData();
    } finally {
      await this.#cutOff();
    }
    this.#resume();
  }

  #resume(): void {
    if (this.failure === undefined) return;
    this.failure = undefined;
    clearTimeout(this.#probe);
    this.#log("info", "writing again", { file: this.path });
  }

  async read(offset: number, wait: number): Promise<Uint8Array | undefined> {
    if (offset === this.#size && !this.#ended) await this.#grown.wait(wait);
    if (offset === this.#size && this.#ended) return;
    if (offset === this.#last.offset) return this.#last.bytes;
    const length = Math.min(CHUNK, this.#size - offset);
    return length > 0 ? await this.#readAt(offset, length) : new Uint8Array();
  }

  async check(offset: number): Promise<string | undefined> {
    if (offset > this.#size) return;
    const length = Math.min(offset, CHECK_BYTES);
    return await fingerprint(await this.#readAt(offset - length, length));
  }

  /** One reader serves all followers, each in its turn. */
  #readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#reading.then(async () => {
      const bytes = new Uint8Array(length);
      if (!this.#reader) throw new Error("The journal is not loaded");
      await this.#reader.seek(offset, Deno.SeekMode.Start);
      for (let have = 0, n; have < length; have += n) {
        n = await this.#reader.read(bytes.subarray(have)) ?? 0;
        if (n === 0) throw new JournalError(`${this.path}: Shorter than it was`);
      }
      return bytes;
    });
    this.#reading = bytes.catch(() => {});
    return bytes;
  }

  /** Gives the file another name; the lock goes with it. */
  async rename(path: string): Promise<void> {
    await this.#file.sync();
    await Deno.rename(this.path, path);
    await syncFolder(path);
    await Deno.remove(`${this.path}.pid`).catch(() => {});
    await nameHolder(path);
    this.path = path;
  }

  /** Lets followers go, once they have read what there is. */
  end(): void {
    this.#ended = true;
    this.#grown.notifyAll();
  }

  /** Syncs, whatever the options say, and lets go of the file. */
  async close(): Promise<void> {
    this.end();
    clearTimeout(this.#probe);
    await Promise.all([this.#writing, this.#reading]);
    try {
      await this.#cutOff();
      await this.#file.syncData();
      await Deno.remove(`${this.path}.pid`).catch(() => {});
    } finally {
      this.#reader?.close();
      this.#file.close();
    }
  }
}

/** Whether there is something at `path`. */
export function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}

/** Says who has the journal at `path`; on a full disk it stays unsaid. */
async function nameHolder(path: string): Promise<void> {
  await Deno.writeTextFile(`${path}.pid`, `${Deno.pid}\n`).catch(() => {});
}

/** Who has locked the journal at `path`, as far as its pid file tells. */
async function holder(path: string): Promise<string> {
  const pid = await Deno.readTextFile(`${path}.pid`).catch(() => "");
  return /^\d+\n$/.test(pid) ? `process ${pid.trim()}` : "another process";
}

/** A write may be short; what is left of it follows. */
async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const n = await file.write(bytes.subarray(at));
    if (n === 0) throw new Error("Nothing was written");
    at += n;
  }
}

/** Tells how far a long load is: a line rewritten on a terminal, log lines elsewhere. */
class Progress {
  #next = performance.now() + 1000;
  #shown = false;
  constructor(
    private readonly what: string,
    private readonly total: number,
    private readonly log: Logger,
  ) {}

  at(bytes: number): void {
    if (performance.now() < this.#next) return;
    const percent = Math.floor(100 * bytes / this.total);
    if (Deno.stderr.isTerminal()) {
      Deno.stderr.writeSync(encoder.encode(`\r${this.what}: ${percent}%`));
      this.#shown = true;
      this.#next = performance.now() + 100;
    } else {
      this.log("info", this.what, { percent });
      this.#next = performance.now() + 1000;
    }
  }

  done(): void {
    if (this.#shown) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
  }
}
