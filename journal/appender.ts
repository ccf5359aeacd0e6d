/**
 * Writing to a journal's file.
 *
 * @module
 */
import { Mutex } from "../links/mutex.ts";
import { pause } from "../links/wait.ts";
import type { Events } from "./events.ts";
import { type Draft, type Locked, reasonOf, syncFolder, writeAll } from "./file.ts";
import { SameFile } from "./same.ts";

const PROBE_MS = 1000;
const PROBE_BYTES = 4096;
const AGAIN_MS = [50, 200, 500]; // from one try to take back a write to the next

/**
 * A write failed, and what of it stands in the file could not be taken back: a start may find it, until the
 * disk works again and it is.
 */
export class MaybeSavedError extends Error {
  override name = "MaybeSavedError";
  /**
   * @param reason why it failed, for whoever wanted it
   * @param cause more of it, for who runs the program
   */
  constructor(reason: string, cause?: Error) {
    super(`may have been saved: ${reason}`, { cause });
  }
}

/** How an {@linkcode Appender} goes about it. */
export interface AppenderOptions {
  /** Whether to wait for the disk. */
  sync?: boolean;
  events?: Events;
  observer?: JournalObserver;
}

/** Told of what a journal is given. */
export interface JournalObserver {
  /** So many changes were committed together. */
  committed(lines: number): void;
  /** The disk was waited for, so long. */
  synced(seconds: number): void;
}

/**
 * Appends to a file: all of what it is given, or nothing, as far as the disk lets it. While the disk refuses, or the file isn't the
 * one that it was, it looks once a second whether that is still so.
 */
export class Appender {
  /** Why the last write failed, until one succeeds. */
  failure?: string;
  /** How often the disk was waited for. */
  syncs = 0;
  #left?: { from: number; to?: number }; // what a failed write left in the file, as far as that is known
  #unfit?: () => Promise<void>; // what is to be done before anything is appended
  #lost = false; // whether the file is not as it was left
  #named = true; // whether the file's name is on disk
  readonly #same: SameFile;
  readonly #mutex = new Mutex();
  #closed = false;
  #probe?: ReturnType<typeof setTimeout>;

  /** @param size where whole lines end */
  constructor(
    private readonly locked: Locked,
    public size: number,
    private readonly options: AppenderOptions,
  ) {
    this.#same = new SameFile(locked);
  }

  /**
   * Makes the file fit for more, as `mend` does. Where that fails, it is tried again, and nothing is appended
   * until it is done.
   */
  async mend(mend: () => Promise<void>): Promise<void> {
    this.#unfit = mend;
    await this.#mend().catch((error) => this.#fail(reasonOf(error)));
  }

  async #mend(): Promise<void> {
    await this.#unfit?.();
    this.#unfit = undefined;
  }

  /**
   * Appends whole lines, and syncs.
   *
   * @throws {MaybeSavedError} or else what the file system said: the file is then as it was before
   */
  append(lines: Uint8Array): Promise<void> {
    return this.#mutex.run(() => this.#append(lines));
  }

  /**
   * Lets `draft` take the file's place between two writes, once `finish` has given it what it lacks of
   * so many bytes; `placed` is then told of it, and gives its size.
   *
   * @throws what the file system said; the file is then as it was before
   */
  replace(
    draft: Draft,
    finish: (size: number) => Promise<void>,
    placed: () => number,
  ): Promise<void> {
    return this.#mutex.run(async () => {
      const wrong = this.failure ?? await this.#same.wrong(this.size);
      if (wrong !== undefined) throw new Error(wrong);
      await finish(this.size);
      await draft.file.syncData();
      await draft.put(this.locked);
      this.size = placed();
      this.#named = false;
      // There is no way back: where the name can't be made durable, nothing more is taken until it can.
      await this.#name().catch((error) => this.#fail(reasonOf(error)));
    });
  }

  async #name(): Promise<void> {
    if (this.#named) return;
    await syncFolder(this.locked.path);
    this.#named = true;
  }

  async #append(lines: Uint8Array): Promise<void> {
    let begun = false;
    try {
      await this.#mend();
      await this.#name();
      await this.#cutOff();
      if (this.#lost) await this.#check();
      this.#left = { from: this.size };
      begun = true;
      await writeAll(this.locked.file, lines);
      // After the write, so that nobody is told of a change in a file that was taken away before.
      const [wrong] = await Promise.all([this.#same.wrong(this.size, lines.length), this.#sync()]);
      if (wrong !== undefined) await this.#lose(lines.length, wrong);
      this.#left = undefined;
    } catch (error) {
      const reason = reasonOf(error);
      // A failed sync may have dropped any of the pages: none of it counts.
      const gone = !begun || await this.#takeBack();
      this.#fail(reason);
      throw gone ? error : new MaybeSavedError(reason);
    }
    this.size += lines.length;
    this.#resume();
  }

  async #sync(): Promise<void> {
    if (!this.options.sync) return;
    const start = performance.now();
    await this.locked.file.syncData();
    this.syncs++;
    this.options.observer?.synced((performance.now() - start) / 1000);
  }

  /** Cuts off what a failed write left, for good: a few times, where the disk refuses. Gives whether it is gone. */
  async #takeBack(): Promise<boolean> {
    for (const wait of [...AGAIN_MS, undefined]) {
      try {
        await this.#cutOff();
        return true;
      } catch {
        if (wait !== undefined) await pause(wait);
      }
    }
    return false;
  }

  /** Cuts off what a failed write left: that, and nothing of what others wrote or cut. */
  async #cutOff(): Promise<void> {
    if (this.#left === undefined) return;
    const { file } = this.locked;
    const size = await sizeOf(file);
    const { from, to = this.#left.to = size } = this.#left;
    if (size > to) throw new Error(`the file has ${size} bytes, not ${to}: others wrote to it`);
    if (size > from) await file.truncate(from);
    await file.sync();
    this.#left = undefined;
  }

  /** Leaves a file that is not as it was left as it was found: the last `bytes` are ours. */
  async #lose(bytes: number, reason: string): Promise<never> {
    this.#lost = true;
    const to = await sizeOf(this.locked.file);
    this.#left = { from: Math.max(0, to - bytes), to };
    throw new Error(reason);
  }

  /** Refuses a file that is not as it was left. */
  async #check(): Promise<void> {
    const wrong = await this.#same.wrong(this.size);
    if (wrong !== undefined) throw new Error(wrong);
    this.#lost = false;
  }

  #fail(reason: string): void {
    if (this.failure === undefined) {
      this.options.events?.("error", "cannot write", { file: this.locked.path, reason });
      this.#probeLater();
    }
    this.failure = reason;
  }

  /** Without new links nothing would show that there is room again: so it is tried. */
  #probeLater(): void {
    clearTimeout(this.#probe);
    if (this.#closed) return;
    this.#probe = setTimeout(() => {
      this.#mutex.run(() => this.#tryRoom()).catch(() => this.#probeLater());
    }, PROBE_MS);
    Deno.unrefTimer(this.#probe);
  }

  async #tryRoom(): Promise<void> {
    if (this.failure === undefined) return;
    await this.#mend();
    await this.#name();
    await this.#cutOff();
    await this.#check();
    this.#left = { from: this.size };
    try {
      await writeAll(this.locked.file, new Uint8Array(PROBE_BYTES).fill(0x20));
      await this.locked.file.syncData();
    } finally {
      await this.#cutOff();
    }
    this.#resume();
  }

  #resume(): void {
    if (this.failure === undefined) return;
    this.failure = undefined;
    clearTimeout(this.#probe);
    this.options.events?.("info", "writing again", { file: this.locked.path });
  }

  /**
   * Syncs, whether or not it always did.
   *
   * @throws what the file system said
   */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#probe);
    await this.#mutex.run(async () => {
      await this.#cutOff();
      await this.locked.file.syncData();
    });
  }
}

/** How many bytes a file has. Unlike its status, no server need be asked for that. */
function sizeOf(file: Deno.FsFile): Promise<number> {
  return file.seek(0, Deno.SeekMode.End);
}
