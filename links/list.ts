/**
 * Listing links: the newest first, those that hold some text, a page at a time.
 *
 * @module
 */
import { StoreError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Block } from "./blocks.ts";
import { LIMIT, type Listing, type Query } from "./query.ts";
import type { EntryWriter } from "./writer.ts";

const MAX_CHARS = 1 << 20; // of the URLs of a page
const MAX_QUERY = 200; // characters
const MAX_WAITING = 100; // questions that wait for their turn
const SLICE_MS = 3; // after so long others get their turn

/** Where a link stands among others: later is newer. */
interface Place {
  made: number;
  /** How many bytes were written before it. */
  at: number;
}

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

/**
 * Lists the links of a table. However many there are, it works for a few milliseconds at a time, on one
 * question after the other, so that redirects don't wait.
 */
export class Lister {
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
    const search = new Search(this.table, query, this.#epoch);
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
  readonly #newest: boolean;
  readonly #after?: Place;
  readonly #needles: string[];
  #found: Found[] = []; // the best so far, the best one first
  #more = false; // whether others had to give way, or are still to be looked at

  constructor(
    private readonly table: Listed,
    { q = "", after, limit = LIMIT, order }: Query,
    private readonly epoch: number,
  ) {
    if (q.length > MAX_QUERY) {
      throw new StoreError("invalid query", `"q" must have at most ${MAX_QUERY} characters`);
    }
    this.#limit = limit;
    this.#newest = order !== "written";
    this.#needles = needlesOf(q);
    this.#after = after === undefined || after === "" ? undefined : this.#parse(after);
  }

  async run(): Promise<Listing> {
    const { blocks } = this.table.entries;
    const all = blocks.all();
    if (this.#newest) all.reverse();
    let seen = blocks.written;
    await this.#lookAt(all);
    // What was changed or moved meanwhile stands at the end now.
    while (blocks.written > seen && this.#newest) {
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
      if (block.gone || this.#isBeyond(block)) continue;
      const refs = this.#needles.length > 0 ? this.#search(block) : entries.blocks.refsOf(block);
      if (this.#newest) refs.reverse();
      for (const ref of refs) {
        const at = entries.blocks.placeOf(ref, block);
        if (at >= from) this.#offer({ ref, block, made: entries.madeOf(ref), at });
      }
      if (performance.now() - began < SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      began = performance.now();
    }
  }

  /** Whether a block can't hold any that would be taken. */
  #isBeyond(block: Block): boolean {
    const [first, last] = [block.born, endOf(block)];
    if (!this.#newest) {
      if (this.#after && last <= this.#after.at) return true;
      return this.#isFull && (this.#more = true);
    }
    const { oldest, newest } = block;
    const after = this.#after;
    if (after && isNewer({ made: oldest, at: first }, after)) return true;
    const worst = this.#found.at(-1);
    if (!this.#isFull || worst === undefined) return false;
    if (!isNewer(worst, { made: newest, at: last })) return false;
    this.#more = true;
    return true;
  }

  get #isFull(): boolean {
    return this.#found.length >= this.#limit;
  }

  /** Takes an entry, if it is among the best. */
  #offer(found: Found): void {
    if (this.#after !== undefined && !this.#isBefore(this.#after, found)) return;
    const worst = this.#found.at(-1);
    const full = this.#isFull;
    if (full && worst && this.#isBefore(worst, found)) {
      this.#more ||= this.#leads(found.ref);
      return;
    }
    if (!this.#leads(found.ref)) return;
    let i = this.#found.length;
    while (i > 0 && this.#isBefore(found, this.#found[i - 1])) i--;
    if (this.#found[i - 1]?.ref === found.ref) return;
    this.#found.splice(i, 0, found);
    if (full) {
      this.#found.pop();
      this.#more = true;
    }
  }

  #leads(ref: number): boolean {
    const { entries } = this.table;
    return entries.leads(ref) && !entries.isOver(ref) && this.table.isCurrent(ref);
  }

  /** Whether `a` stands before `b` in the list. */
  #isBefore(a: Place, b: Place): boolean {
    return this.#newest ? isNewer(a, b) : a.at < b.at;
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
      if (block.gone || !this.table.isCurrent(ref)) continue;
      const link = entries.blocks.linkOf(ref);
      chars += link.url.length;
      if (links.length > 0 && chars > MAX_CHARS) {
        this.#more = true;
        break;
      }
      links.push(link);
      last = found;
    }
    last ??= this.#found.at(-1);
    const next = this.#more && last !== undefined ? this.#format(last) : undefined;
    return { links, next, count: this.table.count() };
  }

  #format({ made, at }: Place): string {
    return [made, at, this.epoch].map((n) => n.toString(36)).join("-");
  }

  #parse(text: string): Place {
    const [made, at, epoch] = /^[\da-z]{1,9}-[\da-z]{1,10}-[\da-z]{1,9}$/.test(text)
      ? text.split("-").map((part) => parseInt(part, 36))
      : [];
    if (at === undefined) throw new StoreError("invalid query", `"after" is no "next" of a page`);
    if (epoch === this.epoch) return { made, at };
    if (this.#newest && made > 0) return { made, at: 0 }; // as near as can be
    throw new StoreError("invalid query", `"after" is out of date: begin with the first page`);
  }
}

/** How many bytes were written up to the end of a block. */
function endOf({ born, start, end }: Block): number {
  return born + end - start;
}

function isNewer(a: Place, b: Place): boolean {
  return a.made === b.made ? a.at > b.at : a.made > b.made;
}

/** What is looked for: the text, and how a URL would have it. */
function needlesOf(q: string): string[] {
  const text = q.trim().toLowerCase();
  if (text === "") return [];
  return [...new Set([text, encodeURI(text.toWellFormed()).toLowerCase()])];
}

/** Whether `needle` is in `text`, between two places. */
function isIn(text: string, needle: string, from: number, to: number): boolean {
  const last = to - needle.length;
  if (last < from) return false;
  return text.slice(from, to).includes(needle);
}
