/**
 * Listing links: the newest, or the most followed first, those that hold some text, a page at a time.
 *
 * @module
 */
import { StoreError } from "./errors.ts";
import type { Link } from "./link.ts";
import { type Block, endOf } from "./blocks.ts";
import { Order, type Place } from "./order.ts";
import { LIMIT, type Listing, MAX_CHARS, needlesOf, type Query } from "./query.ts";
import type { EntryWriter } from "./writer.ts";

const MAX_WAITING = 100; // questions that wait for their turn
const SLICE_MS = 3; // after so long others get their turn

const errUncounted = new StoreError("invalid query", `"order" can't be hits: they are not counted`);

interface Found extends Place {
  ref: number;
  block: Block;
}

/** What the table knows of its entries. */
export interface Listed {
  readonly entries: EntryWriter;
  count(): number;
  /** Whether an entry is the one that its key leads to. */
  isCurrent(ref: number): boolean;
}

/** What knows how often links are followed. */
export interface CountedHits {
  /** Resolves when it knows all. */
  readonly loaded: Promise<void>;
  /** How often the link with that counter was followed. */
  hitsOf(counter: number): number;
}

/**
 * Lists the links of a table. However many there are, it works for a few milliseconds at a time, on one
 * question after the other, so that redirects don't wait.
 */
export class Lister {
  /** Where there is none, nothing is said of hits. */
  hits?: CountedHits;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  // Places are compared in one table only.
  readonly #epoch = Math.floor(Math.random() * 2 ** 32);

  constructor(private readonly table: Listed) {}

  /**
   * Gives a page of links.
   *
   * @throws {StoreError} invalid query; unavailable, where too many wait
   */
  async list(query: Query = {}): Promise<Listing> {
    const search = new Search(this.table, query, this.#epoch, this.hits);
    if (this.#waiting >= MAX_WAITING) {
      throw new StoreError("unavailable", "too many searches are waiting");
    }
    this.#waiting++;
    const listing = this.#turn.then(() => search.run()).finally(() => this.#waiting--);
    this.#turn = listing.catch(() => {});
    return await listing;
  }
}

/** One question under way. */
class Search {
  readonly #limit: number;
  readonly #order: Order;
  readonly #after?: Place;
  readonly #needles: string[];
  #found: Found[] = []; // the best so far, the best one first
  #fewest = 0; // hits, below which none is among the best
  #more = false; // whether others had to give way, or are still to be looked at

  constructor(
    private readonly table: Listed,
    { q = "", after, limit = LIMIT, order = "newest" }: Query,
    epoch: number,
    private readonly hits?: CountedHits,
  ) {
    if (order === "hits" && hits === undefined) throw errUncounted;
    this.#limit = limit;
    this.#order = new Order(order, epoch);
    this.#needles = needlesOf(q);
    this.#after = after === undefined || after === "" ? undefined : this.#order.parse(after);
  }

  async run(): Promise<Listing> {
    await this.hits?.loaded;
    const { blocks } = this.table.entries;
    const all = blocks.all();
    const asWritten = this.#order.name === "written";
    if (!asWritten) all.reverse();
    let seen = blocks.written;
    await this.#lookAt(all);
    // What was changed or moved meanwhile stands at the end now.
    while (blocks.written > seen && !asWritten) {
      const from = seen;
      seen = blocks.written;
      await this.#lookAt(blocks.all().filter((block) => endOf(block) > from), from);
    }
    return this.#listing();
  }

  /** @param from only at what was written from there on */
  async #lookAt(blocks: Block[], from = 0): Promise<void> {
    const { entries } = this.table;
    let began = performance.now();
    for (const block of blocks) {
      // What it held may have been moved meanwhile.
      if (block.freed || this.#isBeyond(block)) continue;
      const refs = this.#needles.length > 0 ? this.#search(block) : entries.blocks.refsOf(block);
      if (this.#order.name !== "written") refs.reverse();
      for (const ref of refs) {
        const at = entries.blocks.placeOf(ref, block);
        if (at < from) continue;
        const hits = this.hits?.hitsOf(entries.counterOf(ref)) ?? 0;
        if (hits >= this.#fewest) {
          this.#offer({ ref, block, hits, created: entries.createdOf(ref), at });
        } else this.#more ||= this.#leads(ref); // as `#offer` would, at less cost: most are such
      }
      if (performance.now() - began < SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      began = performance.now();
    }
  }

  /** Whether a block can't hold any that would be taken. */
  #isBeyond(block: Block): boolean {
    const [first, last] = [block.offset, endOf(block)];
    const after = this.#after;
    if (this.#order.name === "written") {
      if (after && last <= after.at) return true;
      return this.#isFull && (this.#more = true);
    }
    // None in it stands behind the last one that there could be, and none before the first.
    if (after && this.#order.isBefore({ hits: 0, created: block.oldest, at: first }, after)) {
      return true;
    }
    const worst = this.#found.at(-1);
    if (!this.#isFull || worst === undefined) return false;
    const best = { hits: Infinity, created: block.newest, at: last };
    if (!this.#order.isBefore(worst, best)) return false;
    this.#more = true;
    return true;
  }

  get #isFull(): boolean {
    return this.#found.length >= this.#limit;
  }

  /** Takes an entry, if it is among the best. */
  #offer(found: Found): void {
    const order = this.#order;
    if (this.#after !== undefined && !order.isBefore(this.#after, found)) return;
    const worst = this.#found.at(-1);
    const full = this.#isFull;
    if (full && worst && order.isBefore(worst, found)) {
      this.#more ||= this.#leads(found.ref);
      return;
    }
    if (!this.#leads(found.ref)) return;
    // It may come twice, and have been followed meanwhile.
    if (this.#found.some(({ ref }) => ref === found.ref)) return;
    let i = this.#found.length;
    while (i > 0 && order.isBefore(found, this.#found[i - 1])) i--;
    this.#found.splice(i, 0, found);
    if (full) {
      this.#found.pop();
      this.#more = true;
    }
    if (this.#isFull && order.name === "hits") this.#fewest = this.#found[this.#limit - 1].hits;
  }

  #leads(ref: number): boolean {
    const { entries } = this.table;
    return entries.leads(ref) && !entries.isExpired(ref) && this.table.isCurrent(ref);
  }

  /** The entries of a block that hold what is searched. */
  #search(block: Block): number[] {
    const { entries } = this.table;
    if (entries.wide > 0) {
      return entries.blocks.refsOf(block).filter((ref) => {
        const texts = [entries.keyOf(ref), entries.urlOf(ref)].map((text) => text.toLowerCase());
        return this.#needles.some((needle) => texts.some((text) => text.includes(needle)));
      });
    }
    // All at once, which is ten times as fast as one by one; most blocks hold nothing of the kind.
    const text = entries.blocks.bytesOf(block).toString("latin1").toLowerCase();
    const needles = this.#needles.filter((needle) => text.includes(needle));
    if (needles.length === 0) return [];
    return entries.blocks.refsOf(block).filter((ref) => {
      const [key, url, end] = entries.blocks.rangesOf(ref, block);
      return needles.some((needle) => isIn(text, needle, key, url) || isIn(text, needle, url, end));
    });
  }

  #listing(): Listing {
    const { entries } = this.table;
    const links: Link[] = [];
    let chars = 0;
    let last: Place | undefined;
    for (const found of this.#found) {
      const { ref, block } = found;
      // It may have been changed since it was found.
      if (block.freed || !this.table.isCurrent(ref)) continue;
      const link = entries.blocks.linkOf(ref);
      if (this.hits) link.hits = found.hits;
      chars += link.url.length;
      if (links.length > 0 && chars > MAX_CHARS) {
        this.#more = true;
        break;
      }
      links.push(link);
      last = found;
    }
    last ??= this.#found.at(-1);
    const next = this.#more && last !== undefined ? this.#order.format(last) : undefined;
    return { links, next, count: this.table.count() };
  }
}

/** Whether `needle` is in `text`, between two places. */
function isIn(text: string, needle: string, from: number, to: number): boolean {
  const last = to - needle.length;
  if (last < from) return false;
  return text.slice(from, to).includes(needle);
}
