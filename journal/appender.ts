/**
 * Writing to a journal's file.
 *
 * @module
 */
import type { Events } from "./events.ts";
import { type Draft, type Locked, reasonOf, syncFolder, writeAll } from "./file.ts";
import { SameFile } from "./same.ts";

const PROBE_MS = 1000;
const PROBE_BYTES = 4096;

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
 * Appends to a file: all of what it is given, or nothing. While the disk refuses, or the file isn't the
 * one that it was, it looks once a second whether that is still so.
 */
export class Appender {
  /** Why the last write failed, until one succeeds. */
  failure?: string;
  /** How often the disk was waited for. */
  syncs = 0;
  #torn = false; // whether there may be something behind the last whole line
  #lost = false; // whether the file is not as it was left
  #named = true; // whether the file's name is on disk
  readonly #same: SameFile;
  #writing: Promise<unknown> = Promise.resolve();
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
   * Appends whole lines, and syncs.
   *
   * @throws what the file system said; the file is then as it was before
   */
  append(lines: Uint8Array): Promise<void> {
    const done = this.#writing.then(() => this.#append(lines));
    this.#writing = done.catch(() => {});
    return done;
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
    const done = this.#writing.then(async () => {
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
    this.#writing = done.catch(() => {});
    return done;
  }

  async #name(): Promise<void> {
    if (this.#named) return;
    await syncFolder(this.locked.path);
    this.#named = true;
  }

  async #append(lines: Uint8Array): Promise<void> {
    try {
      await this.#name();
      await this.#checkFound();
      await this.#cutOff();
      this.#torn = true;
      await writeAll(this.locked.file, lines);
      // After the write, so that nobody is told of a change in a file that was taken away before.
      const [wrong] = await Promise.all([this.#same.wrong(this.size, lines.length), this.#sync()]);
      if (wrong !== undefined) await this.#takeBack(lines.length, wrong);
      this.#torn = false;
    } catch (error) {
      // A failed sync may have dropped any of the pages: none of it counts.
      await this.#cutOff().catch(() => {});
      this.#fail(reasonOf(error));
      throw error;
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

  /** Takes back what a failed write left behind the last whole line. */
  async #cutOff(): Promise<void> {
    if (!this.#torn) return;
    // Of a file that somebody cut there is nothing to take back: it must not be filled up.
    if ((await this.locked.file.stat()).size > this.size) {
      await this.locked.file.truncate(this.size);
    }
    await this.locked.file.sync();
    this.#torn = false;
  }

  /** Leaves a file that is not as it was left as it was found: the last `bytes` are ours. */
  async #takeBack(bytes: number, reason: string): Promise<never> {
    const { file } = this.locked;
    this.#lost = true;
    this.#torn = false;
    await file.truncate(Math.max(0, (await file.stat()).size - bytes));
    throw new Error(reason);
  }

  /** Writes nothing to a file that was not as it was left, until it is. */
  async #checkFound(): Promise<void> {
    if (!this.#lost) return;
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
      this.#writing = this.#writing.then(() => this.#tryRoom()).catch(() => this.#probeLater());
    }, PROBE_MS);
    Deno.unrefTimer(this.#probe);
  }

  async #tryRoom(): Promise<void> {
    if (this.failure === undefined) return;
    await this.#name();
    await this.#checkFound();
    await this.#cutOff();
    this.#torn = true;
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
    await this.#writing;
    await this.#cutOff();
    await this.locked.file.syncData();
  }
}
