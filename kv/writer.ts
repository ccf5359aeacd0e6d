/**
 * Changes on their way into the database.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { type Link, randomKey, RESERVED } from "../links/link.ts";
import { factsOf } from "../links/wanted.ts";
import { genKey } from "../store.ts";
import { type Database, type Entry, MAX_READ } from "./database.ts";
import { DEADLINE_MS } from "./head.ts";
import {
  type Commit,
  isKeyed,
  type Keyed,
  linkOf,
  type Request,
  type Save,
  toWrite,
} from "./changes.ts";
import { idKey, linkKey, toChange } from "./layout.ts";
import type { KVHits } from "./hits.ts";
import type { Lease } from "./lease.ts";

const MAX_QUEUE = 65_536; // changes
const MAX_COMMIT_BYTES = 48 << 10; // of lines: a value holds 64 KiB
const MAX_TRIES = 50; // of one change that others are always ahead of
const RETRY_MS = 50;
const MAX_LOOKED = 400; // changes of a commit that needs no checks, as it does two things for each

const FREE = { version: null }; // a key that nobody has had

const errFull = new StoreError("unavailable", "too many changes are waiting for the database");
const errLate = new StoreError("unavailable", "the database did not answer in time");
const errClosed = new StoreError("unavailable", "shutting down");

/**
 * Gathers changes into commits, several of which are under way at once. A change whose key or id is in one
 * of them waits for it. When a commit's checks fail, each of its changes looks why: those that can't be made
 * are refused, alone; the others go on.
 */
export class Writer {
  /** Why the last commit could not be written, until one is. */
  failure?: string;
  #queue: Save[] = [];
  readonly #busy = new Set<string>(); // keys and ids that are in commits
  #commits = 0;
  #gathering = false;
  #idle = Promise.withResolvers<void>();
  #closed = false;

  /** @param done told of each commit */
  constructor(
    private readonly database: Database,
    private readonly lease: Lease | undefined,
    private readonly hits: KVHits,
    private readonly done: (commit: Commit) => void,
  ) {}

  /** Makes a change; resolves once it is in the database. */
  save(request: Request): Promise<Link> {
    if (this.#closed) return Promise.reject(errClosed);
    if (this.#queue.length >= MAX_QUEUE) return Promise.reject(errFull);
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    const counted = request.key === undefined;
    // A new key is tried without a look: it is mostly free.
    const found = request.isNew ? FREE : undefined;
    const deadline = performance.now() + DEADLINE_MS;
    this.#queue.push({ ...request, counted, found, deadline, tries: 0, resolve, reject });
    this.#gather();
    return promise;
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.#commits > 0 || this.#queue.length > 0) await this.#idle.promise;
  }

  /** Takes no more, and finishes what is on its way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.idle();
  }

  /** Lets changes of the same turn share a commit. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    queueMicrotask(() => {
      this.#gathering = false;
      this.#start();
    });
  }

  #start(): void {
    while (this.#commits < this.database.maxCommits) {
      const saves = this.#take();
      if (saves.length === 0) break;
      this.#commits++;
      this.#work(saves).finally(() => {
        this.#commits--;
        for (const { key, id } of saves) this.#release(key, id);
        this.#start();
        this.#idle.resolve();
        this.#idle = Promise.withResolvers();
      });
    }
  }

  #release(key: string | undefined, id: string): void {
    if (key !== undefined) this.#busy.delete(`k${key}`);
    this.#busy.delete(`i${id}`);
  }

  /** Takes what one commit can hold from the queue, and refuses what waited too long. */
  #take(): Save[] {
    const now = performance.now();
    const taken: Save[] = [];
    const left: Save[] = [];
    let [checks, bytes, at] = [0, 0, 0];
    for (; at < this.#queue.length; at++) {
      const save = this.#queue[at];
      if (save.deadline < now) {
        save.reject(errLate);
        continue;
      }
      const { key, url, id, foreign } = save;
      if (this.#busy.has(`k${key}`) || this.#busy.has(`i${id}`)) {
        left.push(save);
        continue;
      }
      checks += foreign ? 2 : 1;
      bytes += 3 * (url.length + (key?.length ?? 16)) + 384; // as UTF-8, with names, at most
      const most = this.database.exclusive ? MAX_LOOKED : this.database.maxChecks;
      if (taken.length > 0 && (checks > most || bytes > MAX_COMMIT_BYTES)) break;
      if (key !== undefined) this.#busy.add(`k${key}`);
      this.#busy.add(`i${id}`);
      taken.push(save);
    }
    this.#queue = left.length === 0 ? this.#queue.slice(at) : [...left, ...this.#queue.slice(at)];
    return taken;
  }

  /** Makes changes, as far as they can be made just now; the others wait again. */
  async #work(saves: Save[]): Promise<void> {
    let left = saves;
    try {
      const named = await this.#name(saves);
      // Where nobody else commits, a look is as good as a check, of which a commit has only so many.
      const looks = this.database.exclusive && 2 * named.length > this.database.maxChecks;
      if (looks) { for (const save of named) save.found = undefined; }
      left = await this.#look(named);
      if (left.length === 0) return;
      // What was counted of a link that had the key before is not the new one's.
      const again = left.filter(({ isNew, found }) => isNew && found && found.version !== null);
      await Promise.all(again.filter(isKeyed).map(({ key }) => this.hits.clear(key)));
      const { lines, count, write } = toWrite(left.filter(isKeyed));
      if (looks) write.checks = [];
      const version = await this.database.commit(write, AbortSignal.timeout(DEADLINE_MS));
      if (version !== undefined) {
        this.failure = undefined;
        this.done({ lines, count, version });
        for (const save of left.filter(isKeyed)) save.resolve(linkOf(save));
        return;
      }
    } catch (error) {
      if (error instanceof StoreError) {
        this.failure = error.message;
        this.done({}); // who knows
        for (const { reject } of left) reject(error);
        return;
      }
      // Whether it was done, the next look shows.
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    for (const save of left) {
      save.found = save.facts = undefined;
      this.#again(save);
    }
  }

  #again(save: Save): void {
    if (++save.tries < MAX_TRIES) this.#queue.push(save);
    else save.reject(errLate);
  }

  /** Gives new links their keys. */
  async #name(saves: Save[]): Promise<Save[]> {
    for (const save of saves) {
      while (save.key === undefined) {
        const number = this.lease?.take();
        if (number === undefined && this.lease) {
          await this.lease.renew();
          continue;
        }
        const key = number === undefined ? randomKey() : genKey(number);
        if (RESERVED.has(key) || this.#busy.has(`k${key}`)) continue;
        this.#busy.add(`k${key}`);
        save.key = key;
      }
    }
    return saves;
  }

  /** Looks up what must be known of keys and ids, and gives those changes that can be made. */
  async #look(saves: Save[]): Promise<Save[]> {
    const unseen = saves.filter(isKeyed).filter(({ found }) => found === undefined);
    const reads = [];
    for (let at = 0; at < unseen.length; at += MAX_READ / 2) {
      reads.push(this.#read(unseen.slice(at, at + MAX_READ / 2)));
    }
    await Promise.all(reads);
    return saves.filter(({ found }) => found !== undefined);
  }

  async #read(saves: Keyed[]): Promise<void> {
    const keys = saves.flatMap(({ key, id }) => [linkKey(key), idKey(id)]);
    const entries = await this.database.read(keys, AbortSignal.timeout(DEADLINE_MS));
    for (const [i, save] of saves.entries()) this.#judge(save, entries[2 * i], entries[2 * i + 1]);
  }

  /** Decides what becomes of a change, by what there is. */
  #judge(save: Keyed, link?: Entry, answer?: Entry): void {
    const there = link && toChange(link.value);
    const made = answer ? toChange(answer.value) : there?.id === save.id ? there : undefined;
    if (made) {
      const { id: _, ...link } = made;
      save.resolve(link);
    } else if (save.isNew && save.counted && there) {
      this.#rename(save);
    } else {
      try {
        save.facts = factsOf(there, save);
        save.found = {
          version: link?.version ?? null,
          led: there !== undefined && there.url !== "",
        };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        save.reject(error);
      }
    }
  }

  /** Lets a new link try another key: somebody chose this one. */
  #rename(save: Save): void {
    this.#busy.delete(`k${save.key}`);
    save.key = undefined;
    this.#queue.push({ ...save, found: FREE });
  }
}
