/**
 * How far the database has come.
 *
 * @module
 */
import type { Database, Entry } from "./database.ts";
import { COUNT, HEAD, toCount } from "./layout.ts";

/** How long the database may take. */
export const DEADLINE_MS = 2000;

/** A position, and the version of the database that it is that of. */
export interface Point {
  position: number;
  version: string;
}

/** Before the first change. */
const ORIGIN = "00000000000000000000";

/** Knows the furthest position that was read so far. */
export class Head {
  /** The furthest position that was read. */
  known = 0;
  /** How many links there were when it was asked for last. */
  count = 0;
  /** Where the database is, if nobody else writes to it. */
  latest?: Point;
  #reading?: Promise<Point>;
  #next?: Promise<Point>;

  constructor(private readonly database: Database) {}

  /** Takes in what was read of it. */
  take(entry?: Entry): Point {
    const position = toCount(entry?.value);
    this.known = Math.max(this.known, position);
    return { position, version: entry?.version ?? ORIGIN };
  }

  /** Takes in what a commit of the only one who writes has brought, unless a read was faster. */
  advance(bytes: number, count: number, version: string): boolean {
    if (this.latest === undefined || this.latest.version >= version) return false;
    const position = this.latest.position + bytes;
    this.latest = { position, version };
    this.known = Math.max(this.known, position);
    this.count += count;
    return true;
  }

  /** Starts over at a position that may be less: the database was restored, or emptied. */
  reset({ position }: Point): void {
    this.known = position;
  }

  /** Reads it, no sooner than now; those who ask meanwhile share the next read. */
  read(): Promise<Point> {
    if (this.#reading === undefined) return this.#start();
    return this.#next ??= this.#reading.then(() => {}, () => {}).then(() => {
      this.#next = undefined;
      return this.#start();
    });
  }

  #start(): Promise<Point> {
    const reading = this.#read().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    return this.#reading = reading;
  }

  async #read(): Promise<Point> {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const [head, count] = await this.database.read([HEAD, COUNT], signal);
    const { known } = this;
    const point = this.take(head);
    if (point.position >= known) this.count = toCount(count?.value);
    if (this.database.exclusive && (this.latest?.position ?? -1) <= point.position) {
      this.latest = point;
    }
    return point;
  }
}
