/**
 * The keys of which more is known than the feed has brought so far.
 *
 * @module
 */

/** What was noted at some time. */
export interface Noted {
  positions: ReadonlyMap<string, number>;
  others: number;
}

/**
 * Remembers up to which position of the journal somebody was told of each key. Until the feed has
 * come there, a copy made of the feed alone may be older than what was told.
 *
 * @example
 * ```ts
 * const ahead = new Ahead();
 * ahead.note("docs", 120, 100); // true: the feed has come to 100
 * ahead.of("docs"); // 120
 * ahead.reach(120); // ["docs"]
 * ahead.of("docs"); // 0
 * ```
 */
export class Ahead {
  /** The furthest position that anybody was told of. */
  furthest = 0;
  // In the order of their positions, nearly: one that is out of it is let go a little late.
  readonly #positions = new Map<string, number>();
  #others = 0; // the furthest position of those that there was no room for

  /** @param limit most keys; beyond it, all keys count as the furthest of the others */
  constructor(private readonly limit = 65_536) {}

  /** Whether `key` is named here. */
  has(key: string): boolean {
    return this.#positions.has(key);
  }

  /** The position that a copy must have reached to be good for `key`; 0 if it is good as it is. */
  of(key: string): number {
    return Math.max(this.#positions.get(key) ?? 0, this.#others);
  }

  /** The position that a copy must have reached to be good for keys that aren't named here. */
  get others(): number {
    return this.#others;
  }

  /** Notes what is told, and says whether it is ahead of the feed, which has come to `reached`. */
  note(key: string, position: number, reached: number): boolean {
    this.furthest = Math.max(this.furthest, position);
    if (position <= reached) return false;
    if (position <= this.of(key)) return true;
    this.#positions.delete(key);
    if (this.#positions.size < this.limit) this.#positions.set(key, position);
    else this.#others = position;
    return true;
  }

  /** Lets those go whose position the feed has reached: which are they? */
  reach(position: number): string[] {
    if (this.#others <= position) this.#others = 0;
    const reached = [];
    for (const [key, other] of this.#positions) {
      if (other > position) break;
      this.#positions.delete(key);
      reached.push(key);
    }
    return reached;
  }

  /** What is noted just now, for {@linkcode cut}. */
  get noted(): Noted {
    return { positions: new Map(this.#positions), others: this.#others };
  }

  /** Lets nobody wait for what was noted `before` of positions beyond `end`, where the journal ends. */
  cut(end: number, before: Noted): void {
    this.furthest = Math.min(this.furthest, end);
    if (this.#others === before.others) this.#others = Math.min(this.#others, end);
    for (const [key, position] of this.#positions) {
      if (position > end && position === before.positions.get(key)) this.#positions.set(key, end);
      else this.furthest = Math.max(this.furthest, position);
    }
    this.furthest = Math.max(this.furthest, this.#others);
  }

  keys(): Iterable<string> {
    return this.#positions.keys();
  }

  clear(): void {
    this.furthest = this.#others = 0;
    this.#positions.clear();
  }
}
