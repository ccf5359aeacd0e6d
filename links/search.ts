/**
 * One question for links, and how it is answered.
 *
 * @module
 */
import { Best } from "./best.ts";
import { type Block, endOf } from "./blocks.ts";
import { checkLeft, StoreError } from "./errors.ts";
import type { Link } from "./link.ts";
import { Matcher } from "./matcher.ts";
import { Order, type Place } from "./order.ts";
import { LIMIT, type Listing, MAX_CHARS, type Query } from "./query.ts";
import type { Following } from "./readahead.ts";
import { pause } from "./wait.ts";
import type { EntryWriter } from "./writer.ts";

const SLICE_MS = 3; // after so long others get their turn
const PAGES = 32; // that are looked for at once, where one page after the other is asked for
const TURN = 256; // places that are sorted before it looks at the clock

export const errUncounted = new StoreError(
  "invalid query",
  `"order" can't be hits: they are not counted`,
);

/** Nobody counts, or what was counted can't be read. */
export const errNoHits = new StoreError("unavailable", "hits can't be read");

/** What the table knows of its entries. */
export interface Listed {
  readonly entries: EntryWriter;
  count(): number;
  /** The entry that a key leads to, or 0. */
  find(key: string): number;
}

/** What knows how often links are followed. */
export interface CountedHits {
  /** Resolves when it knows all. */
  readonly whenLoaded: Promise<unknown>;
  /** Whether it could not be read, so that nothing is known. */
  readonly isUnknown: boolean;
  /** How often the link with that counter was followed. */
  hitsOf(counter: number): number;
  /** The link with that counter has ended. */
  end(counter: number): void;
}

/** A page, and what comes after it, as far as that is known. */
interface Found {
  listing: Listing;
  rest?: Following;
}

/** One question under way. */
export class Search {
  readonly #limit: number;
  readonly #order: Order;
  readonly #matcher: Matcher;
  readonly #after?: Place;
  readonly #best: Best<Place>;
  readonly #created = new Map<string, number>(); // of those, by their keys: an entry may be seen twice
  #end?: Place; // behind it nothing is looked for
  #more = false; // whether others had to give way, or are still to be looked at
  #gaveWay = false; // since they were sorted last
  #began = 0;

  constructor(
    private readonly table: Listed,
    { q = "", after, limit = LIMIT, order = "newest" }: Query,
    private readonly hits?: CountedHits,
    private readonly signal?: AbortSignal,
  ) {
    this.#limit = limit;
    this.#order = new Order(order);
    this.#matcher = new Matcher(q);
    this.#after = after === undefined || after === "" ? undefined : this.#order.parse(after);
    // By hits, what comes after a page may be another at any time.
    const goesOn = this.#after !== undefined && order !== "hits";
    this.#best = new Best(goesOn ? PAGES * limit : limit, (a, b) => this.#order.compare(a, b));
  }

  /** @param following what was kept of the search for the page before */
  async run(following?: Following): Promise<Found> {
    checkLeft(this.signal);
    await this.hits?.whenLoaded;
    if (this.#byHits && this.hits?.isUnknown) throw errNoHits;
    this.#began = performance.now();
    const { blocks, bytes } = this.table.entries;
    let seen = blocks.written;
    const ahead = following !== undefined && seen - following.written < bytes / 2
      ? following
      : undefined;
    if (ahead === undefined) {
      const all = blocks.all();
      if (this.#order.direction < 0) all.reverse();
      await this.#lookAt(all);
    } else {
      seen = ahead.written;
      this.#more = ahead.more;
      if (this.#more) this.#end = ahead.places.at(-1);
    }
    let places = ahead?.places ?? [];
    // What was changed or moved meanwhile stands at the end now.
    do {
      while (blocks.written > seen) {
        const from = seen;
        seen = blocks.written;
        await this.#lookAt(blocks.all().filter((block) => endOf(block) > from), from);
      }
      places = await this.#add(places);
    } while (blocks.written > seen);
    return this.#answer(places, seen);
  }

  /** @param from only at what was written from there on */
  async #lookAt(blocks: Block[], from = 0): Promise<void> {
    for (const block of blocks) {
      // What it held may have been moved meanwhile.
      if (block.freed || this.#isBeyond(block)) continue;
      this.#lookInto(block, from);
      await this.#pause();
    }
  }

  #lookInto(block: Block, from: number): void {
    const { blocks } = this.table.entries;
    let text: string | undefined;
    if (!this.#matcher.matchesAll && !block.wide) {
      // All at once, which is ten times as fast as one by one; most blocks hold nothing of the kind.
      text = blocks.bytesOf(block).toString("latin1").toLowerCase();
      if (!this.#matcher.mayMatchIn(text)) return;
    }
    const refs = blocks.refsOf(block);
    if (this.#order.direction < 0) refs.reverse();
    for (const ref of refs) {
      if (from > 0 && blocks.placeOf(ref, block) < from) continue;
      this.#lookFor(ref, block, text);
    }
  }

  /** Takes an entry, if it is among the best. */
  #lookFor(ref: number, block: Block, text?: string): void {
    const { entries } = this.table;
    const created = entries.createdOf(ref);
    const hits = this.#byHits ? this.#hitsOf(ref) : 0;
    const after = this.#after;
    if (after !== undefined && this.#compare(ref, hits, created, after) <= 0) return;
    const worst = this.#best.isFull ? this.#best.last : undefined;
    const gives = worst !== undefined && this.#compare(ref, hits, created, worst) >= 0;
    if (gives && this.#more) return; // most are such
    const end = this.#end;
    if (end !== undefined && this.#compare(ref, hits, created, end) > 0) return;
    if (text !== undefined) {
      const [from, till] = entries.blocks.rangeOf(ref, block);
      if (!this.#matcher.mayMatchIn(text.slice(from, till))) return;
    }
    if (
      !this.#leads(ref) || !this.#matcher.matchesAll && !this.#matcher.matches(entries.linkOf(ref))
    ) {
      return;
    }
    const key = entries.keyOf(ref);
    if (this.table.find(key) !== ref || this.#created.get(key) === created) return;
    const out = this.#best.offer({ hits, created, key });
    this.#created.set(key, created);
    if (out === undefined) return;
    this.#more = this.#gaveWay = true;
    this.#created.delete(out.key);
  }

  /** As {@linkcode Order.compare}, without the key of the entry, which would have to be made. */
  #compare(ref: number, hits: number, created: number, place: Place): number {
    return this.#order.compareNumbers(hits, created, place) ||
      this.#order.direction * this.table.entries.compareKey(ref, place.key);
  }

  get #byHits(): boolean {
    return this.#order.name === "hits";
  }

  #hitsOf(ref: number): number {
    return this.hits?.hitsOf(this.table.entries.counterOf(ref)) ?? 0;
  }

  #leads(ref: number): boolean {
    return this.table.entries.leads(ref) && !this.table.entries.isExpired(ref);
  }

  /** Whether a block can't hold any that would be taken. */
  #isBeyond({ oldest, newest }: Block): boolean {
    const { direction } = this.#order;
    const after = this.#after;
    const isBefore = (a: number, b: number) => direction * (a - b) < 0;
    const [first, last] = direction > 0 ? [oldest, newest] : [newest, oldest];
    if (oldest > newest) return true; // none leads anywhere
    if (after && (!this.#byHits || after.hits === 0) && isBefore(last, after.created)) {
      return true;
    }
    if (this.#byHits) return false;
    if (this.#end !== undefined && isBefore(this.#end.created, first)) return true;
    const worst = this.#best.last;
    if (!this.#best.isFull || worst === undefined) return false;
    return isBefore(worst.created, first) && (this.#more = true);
  }

  /** Adds what was found to places, up to where none is missing. */
  async #add(places: Place[]): Promise<Place[]> {
    const found = await this.#sort();
    const last = found.at(-1);
    if (this.#gaveWay && last !== undefined) {
      places = places.filter((place) => this.#order.compare(place, last) <= 0);
      this.#gaveWay = false;
    }
    const all = merge(places, found, this.#order);
    if (this.#more) this.#end = all.at(-1);
    return all;
  }

  /** Those that were found, the best one first. */
  async #sort(): Promise<Place[]> {
    const places = new Array<Place>(this.#best.size);
    for (let i = places.length - 1; i >= 0; i--) {
      places[i] = this.#best.removeLast()!;
      if (i % TURN === 0) await this.#pause();
    }
    return places;
  }

  /** Lets others have their turn. */
  async #pause(): Promise<void> {
    if (performance.now() - this.#began < SLICE_MS) return;
    await pause(0);
    checkLeft(this.signal);
    this.#began = performance.now();
  }

  /** @param written how much was, when these were the best */
  #answer(places: Place[], written: number): Found {
    const links: Link[] = [];
    let chars = 0;
    let next = 0; // the first place that is left
    for (; next < places.length && links.length < this.#limit; next++) {
      const link = this.#linkAt(places[next]);
      if (link === undefined) continue;
      chars += link.url.length;
      if (links.length > 0 && chars > MAX_CHARS) break;
      links.push(link);
    }
    const rest = places.slice(next);
    const isLast = rest.length === 0 && !this.#more;
    const last = isLast || next === 0 ? undefined : this.#order.format(places[next - 1]);
    return {
      listing: { links, next: last, count: this.table.count() },
      rest: rest.length === 0 || this.#byHits
        ? undefined
        : { places: rest, more: this.#more, written },
    };
  }

  /** The link there, as it is now: it may have been changed since it was found. */
  #linkAt({ key, created, hits }: Place): Link | undefined {
    const { entries } = this.table;
    const ref = this.table.find(key);
    if (ref === 0 || !this.#leads(ref) || entries.createdOf(ref) !== created) return;
    const link = entries.linkOf(ref);
    if (!this.#matcher.matches(link)) return;
    if (this.hits?.isUnknown === false) link.hits = this.#byHits ? hits : this.#hitsOf(ref);
    return link;
  }
}

/** Two lists as one, in order; a place that is in both comes once. */
function merge(a: Place[], b: Place[], order: Order): Place[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  const all: Place[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const difference = i === a.length ? 1 : j === b.length ? -1 : order.compare(a[i], b[j]);
    all.push(difference <= 0 ? a[i++] : b[j++]);
    if (difference === 0) j++;
  }
  return all;
}
