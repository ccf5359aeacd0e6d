/**
 * Counting redirects, in the thread that sends them.
 *
 * @module
 */
import { hash, RANDOM_HASH } from "../links/hash.ts";
import { type Counts, type Hit, today } from "./counts.ts";
import { isAhead, isPreview } from "./previews.ts";

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
   * @param row that of the link; 0 where it has none yet
   */
  count(req: Request, key: string, row = 0): void {
    if (req.method === "HEAD" || (this.#looks > 0 && this.#isPreview(req))) {
      if (this.#keys.preview(key)) this.handOn();
    } else if (row === 0 || !this.byRow) {
      if (this.#keys.count(key)) this.handOn();
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

/** Counts by keys. What it is told of gives whether it has as much as it can hold. */
class KeyTally {
  readonly #keys = new Array<string>(KEY_PLACES).fill("");
  readonly #counts = new Uint32Array(KEY_PLACES);
  readonly #previews = new Map<string, number>();
  #hits: Hit[] = [];
  #chars = 0;

  count(key: string): boolean {
    const place = hash(key, RANDOM_HASH) & (KEY_PLACES - 1);
    if (this.#keys[place] !== key) this.#move(place, key);
    this.#counts[place]++;
    return this.#hits.length >= MAX_HITS || this.#chars >= MAX_CHARS;
  }

  preview(key: string): boolean {
    this.#previews.set(key, (this.#previews.get(key) ?? 0) + 1);
    return this.#previews.size >= MAX_HITS;
  }

  /** Gives what was counted. */
  take(): Hit[] {
    for (let place = 0; place < KEY_PLACES; place++) {
      if (this.#counts[place] > 0) this.#move(place, "");
    }
    for (const [key, count] of this.#previews) this.#hits.push([key, 0, count]);
    this.#previews.clear();
    const hits = this.#hits;
    this.#hits = [];
    this.#chars = 0;
    return hits;
  }

  #move(place: number, key: string): void {
    if (this.#counts[place] > 0) {
      this.#hits.push([this.#keys[place], this.#counts[place], 0]);
      this.#chars += this.#keys[place].length;
      this.#counts[place] = 0;
    }
    this.#keys[place] = key;
  }
}
