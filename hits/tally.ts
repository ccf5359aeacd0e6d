/**
 * Counting redirects, in the thread that sends them.
 *
 * @module
 */
import { hash, RANDOM_HASH } from "../links/hash.ts";
import { type Counts, type Hit, hitOf, today } from "./counts.ts";
import { isAhead, isPreview } from "./previews.ts";

const SETTLE_MS = 100; // which redirects need to be answered, and feeds don't
const HAND_ON_MS = 1000; // after so long, what is counted is handed on
const PLACES = 4096; // a power of 2
// Fewer for keys, and for hits that wait to be handed on: what lives for a tenth of a second is not let go of
// before memory has grown by it.
const KEY_PLACES = 256;
const MAX_HITS = 256;
const MAX_CHARS = 16 << 10; // of their keys
const MAX_ROWS = 16 << 10; // that wait to be handed on
// Who sends a request is looked at for so many of a second: that costs more than all the rest.
const LOOKS = 1000;

/** A link that is followed, as far as it is at hand. */
export interface Followed {
  readonly counter?: number;
  readonly created?: number;
}

/** Takes what was counted. */
export type TakeCounts = (counts: Counts) => unknown;

/**
 * Counts how often links are followed. A link that is followed again before another one takes its place is
 * counted by adding one to a number.
 *
 * @example
 * ```ts
 * const tally = new Tally((counts) => console.log(counts.hits)); // [["docs", 1, 0]]
 * tally.count(new Request("http://localhost/docs"), "docs");
 * tally.close();
 * ```
 */
export class Tally {
  // By row: that of each place, and how often it was followed; then rows and counts that lost their places.
  readonly #rows = new Uint32Array(PLACES);
  readonly #counts = new Uint32Array(PLACES);
  readonly #waiting = new Uint32Array(2 * MAX_ROWS);
  #filled = 0;
  readonly #keys = new KeyTally();
  readonly #timer: ReturnType<typeof setInterval>;
  #looks = LOOKS;

  /** @param byRow whether those who take it know the rows of links */
  constructor(private readonly take: TakeCounts, private readonly byRow = false) {
    this.#timer = setInterval(() => {
      this.#looks = LOOKS;
      this.handOn();
    }, HAND_ON_MS);
  }

  /**
   * Counts a redirect that is sent.
   *
   * @param link tells the row of the link, 0 where it has none yet, and when it was created
   */
  count(req: Request, key: string, link: Followed = UNKNOWN): void {
    const row = this.byRow ? link.counter ?? 0 : 0;
    if (req.method === "HEAD" || (this.#looks > 0 && this.#isPreview(req))) {
      if (this.#keys.preview(key, link.created)) this.handOn();
    } else if (row === 0) {
      if (this.#keys.count(key, link.created)) this.handOn();
    } else {
      const place = row & (PLACES - 1);
      if (this.#rows[place] !== row) this.#move(place, row);
      this.#counts[place]++;
    }
  }

  /** Hands on what was counted. */
  handOn(): void {
    for (let place = 0; place < PLACES; place++) {
      if (this.#counts[place] > 0) this.#move(place, 0);
    }
    this.#release(this.#keys.take());
  }

  /** Hands on what was counted, and counts no more. */
  close(): void {
    clearInterval(this.#timer);
    this.handOn();
  }

  #isPreview(req: Request): boolean {
    this.#looks--;
    const { headers } = req;
    return isPreview(headers.get("user-agent")) || isAhead(headers);
  }

  /** Gives a place to another row. */
  #move(place: number, row: number): void {
    if (this.#counts[place] > 0) {
      this.#waiting[this.#filled++] = this.#rows[place];
      this.#waiting[this.#filled++] = this.#counts[place];
      this.#counts[place] = 0;
      if (this.#filled === this.#waiting.length) this.#release([]);
    }
    this.#rows[place] = row;
  }

  #release(hits: Hit[]): void {
    if (hits.length === 0 && this.#filled === 0) return;
    const rows = this.#waiting.slice(0, this.#filled);
    this.#filled = 0;
    this.take({ day: today(), hits, rows });
  }
}

const UNKNOWN: Followed = {};

/** Hands on what was counted once a server that is `closing` has answered all, or serves only those who stay. */
export async function settle(closing: Promise<void>, tally?: Tally): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, SETTLE_MS);
  await Promise.race([closing, promise]);
  clearTimeout(timer);
  tally?.handOn();
}

/** Counts by keys. What it is told of gives whether it has as much as it can hold. */
class KeyTally {
  readonly #keys = new Array<string>(KEY_PLACES).fill("");
  readonly #created = new Array<number | undefined>(KEY_PLACES).fill(undefined);
  readonly #counts = new Uint32Array(KEY_PLACES);
  readonly #previews = new Map<string, Hit>(); // by key and time
  #hits: Hit[] = [];
  #chars = 0;

  count(key: string, created: number | undefined): boolean {
    const place = hash(key, RANDOM_HASH) & (KEY_PLACES - 1);
    if (this.#keys[place] !== key || this.#created[place] !== created) {
      this.#move(place, key);
      this.#created[place] = created;
    }
    this.#counts[place]++;
    return this.#hits.length >= MAX_HITS || this.#chars >= MAX_CHARS;
  }

  preview(key: string, created: number | undefined): boolean {
    const link = `${created} ${key}`;
    const hit = this.#previews.get(link);
    if (hit === undefined) this.#previews.set(link, hitOf(key, 0, 1, created));
    else hit[2]++;
    return this.#previews.size >= MAX_HITS;
  }

  /** Gives what was counted. */
  take(): Hit[] {
    for (let place = 0; place < KEY_PLACES; place++) {
      if (this.#counts[place] > 0) this.#move(place, "");
    }
    this.#hits.push(...this.#previews.values());
    this.#previews.clear();
    const hits = this.#hits;
    this.#hits = [];
    this.#chars = 0;
    return hits;
  }

  #move(place: number, key: string): void {
    if (this.#counts[place] > 0) {
      this.#hits.push(hitOf(this.#keys[place], this.#counts[place], 0, this.#created[place]));
      this.#chars += this.#keys[place].length;
      this.#counts[place] = 0;
    }
    this.#keys[place] = key;
  }
}
