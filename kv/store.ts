/**
 * The links in a database: what RPC asks for, done there.
 *
 * @module
 */
import { formatLine } from "../journal/lines.ts";
import type { Traffic } from "../hits/traffic.ts";
import { Answers } from "../links/answers.ts";
import { StoreError } from "../links/errors.ts";
import { checkKey, checkURL, type Link, randomKey } from "../links/link.ts";
import type { Health } from "../links/health.ts";
import { checkExpires, MAX_TIME } from "../links/time.ts";
import { type ChangeOptions, leading, type Wanted } from "../links/wanted.ts";
import type { Store, URLStoreOptions } from "../store.ts";
import type { Listing, Query } from "../links/query.ts";
import type { Database } from "./database.ts";
import { Head } from "./head.ts";
import { History } from "./history.ts";
import { KVHits } from "./hits.ts";
import { Lease } from "./lease.ts";
import { listLinks } from "./listing.ts";
import { Reader } from "./reader.ts";
import type { Commit } from "./changes.ts";
import { Writer } from "./writer.ts";

const MAX_LINE = 47 << 10; // bytes, so that a commit can hold it

const errLong = new StoreError("invalid url", "invalid URL: it is longer than a database can hold");

/** How a {@linkcode KVStore} makes keys and checks URLs. */
export interface KVStoreOptions extends URLStoreOptions {
  /** Whether an id is of this process, so that it comes by no other one. */
  isOwn?: (id: string) => boolean;
}

/** A store whose links a database has: nothing of them is kept here. */
export class KVStore implements Store {
  readonly history: History;
  readonly hits: KVHits;
  readonly #head: Head;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #lease?: Lease;
  readonly #answers = new Answers();
  readonly #closed = new AbortController();

  constructor(private readonly database: Database, private readonly options: KVStoreOptions = {}) {
    this.#head = new Head(database);
    this.history = new History(database, this.#head, this.#closed.signal);
    this.#reader = new Reader(database, this.#head);
    if (options.keys !== "random") this.#lease = new Lease(database);
    this.hits = new KVHits(database);
    this.#writer = new Writer(
      database,
      this.#lease,
      this.hits,
      (commit) => this.#committed(commit),
    );
  }

  /** Asks the database what is there; where it is away, that is done when it is needed. */
  async load(): Promise<void> {
    await Promise.all([this.#head.read(), this.#lease?.begin()]).catch(() => {});
  }

  /** How many links there were when the database was asked last. */
  get count(): number {
    return this.#head.count;
  }

  /** Why the last commit could not be written, until one is. */
  get failure(): string | undefined {
    return this.#writer.failure;
  }

  /** How far the database had come when it was asked last. */
  get position() {
    return { from: this.#head.known, to: this.#head.known };
  }

  async get(key: string): Promise<string> {
    return (await this.link(key)).url;
  }

  async link(key: string): Promise<Link> {
    const { id: _, ...link } = leading(await this.#reader.get(key));
    return link;
  }

  async put(url: string, key?: string, { id, expires, author }: ChangeOptions = {}): Promise<Link> {
    url = checkURL(url, this.options.host);
    if (key !== undefined) checkKey(key);
    if (expires !== undefined) checkExpires(expires);
    return await this.#save({ key, url, id, expires, author, isNew: true });
  }

  async update(
    key: string,
    url: string,
    { id, expires, editor }: ChangeOptions = {},
  ): Promise<Link> {
    url = checkURL(url, this.options.host);
    if (expires !== undefined) checkExpires(expires);
    return await this.#save({ key, url, id, expires, editor, isNew: false });
  }

  async delete(key: string, { id, editor }: ChangeOptions = {}): Promise<void> {
    await this.#save({ key, url: "", id, editor, isNew: false });
    // What can't be deleted now is deleted when the key is taken again.
    await this.hits.clear(key).catch(() => {});
  }

  /** Adds a link that some store has had before. */
  restore({ created = 0, ...link }: Link): Promise<Link> {
    return this.#save({ ...link, created, isNew: true }, true);
  }

  /** Makes a change; then the head is known to be as far. */
  async #save(
    { id = randomKey(), ...change }: Wanted,
    isOwn = this.options.isOwn?.(id) ?? false,
  ): Promise<Link> {
    const { key, url } = change;
    // As UTF-8 in JSON, at most.
    if (6 * (url.length + (key?.length ?? 0)) > MAX_LINE && !fits(change)) throw errLong;
    return await this.#answers.once(id, async () => {
      const link = await this.#writer.save({ ...change, id, foreign: !isOwn });
      if (this.#head.latest === undefined) await this.#head.read();
      return link;
    });
  }

  #committed({ lines, count = 0, version }: Commit): void {
    const before = this.#head.latest;
    if (lines === undefined || version === undefined) this.#head.latest = undefined;
    else if (this.#head.advance(lines.length, count, version) && before !== undefined) {
      this.history.tell({ before: before.version, version, value: lines });
    }
    this.history.notify();
  }

  async list(query?: Query): Promise<Listing> {
    const listing = await listLinks(this.database, query);
    if (this.#head.latest === undefined) await this.#head.read();
    return { ...listing, count: this.count };
  }

  async traffic(key: string): Promise<Traffic> {
    await this.link(key);
    return await this.hits.traffic(key);
  }

  async health(): Promise<Health> {
    const { position } = this.#head.latest ?? await this.#head.read();
    const { failure: reason } = this;
    return { ready: reason === undefined, reason, links: this.count, position };
  }

  /** Finishes what is on its way. */
  async finish(): Promise<void> {
    await this.#writer.idle();
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.hits.close();
    await this.#lease?.end().catch(() => {}); // then a few numbers are left out
    this.#closed.abort(new Error("the store is closed"));
    this.history.notify();
    await this.database.close();
  }
}

function fits({ key = "", url }: Wanted): boolean {
  const times = { created: MAX_TIME, expires: MAX_TIME };
  return new TextEncoder().encode(formatLine({ key, url, ...times })).length <= MAX_LINE;
}
