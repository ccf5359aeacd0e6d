/**
 * Listing links: the newest, or the most followed first, those that hold some text, a page at a time.
 *
 * @module
 */
import { StoreError } from "./errors.ts";
import { ReadAhead } from "./readahead.ts";
import type { Listing, Query } from "./query.ts";
import { type CountedHits, errUncounted, type Listed, Search } from "./search.ts";

const MAX_WAITING = 100; // questions that wait for their turn

/**
 * Lists the links of a table. However many there are, it works for a few milliseconds at a time, on one
 * question after the other, so that redirects don't wait.
 */
export class Lister {
  /** Where there is none, nothing is said of hits. */
  hits?: CountedHits;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  readonly #ahead = new ReadAhead();

  constructor(private readonly table: Listed) {}

  /**
   * Gives a page of links. Whoever asks may leave: the work ends with `signal`.
   *
   * @throws {StoreError} invalid query; unavailable, where too many wait
   */
  async list(query: Query = {}, signal?: AbortSignal): Promise<Listing> {
    if (query.order === "hits" && this.hits === undefined) throw errUncounted;
    const search = new Search(this.table, query, this.hits, signal);
    if (this.#waiting >= MAX_WAITING) {
      throw new StoreError("unavailable", "too many searches are waiting");
    }
    this.#waiting++;
    const listing = this.#turn.then(() => this.#run(search, query)).finally(() => this.#waiting--);
    this.#turn = listing.catch(() => {});
    return await listing;
  }

  /** Links that were hidden are shown again, where no search may have looked. */
  forget(): void {
    this.#ahead.clear();
  }

  async #run(search: Search, { q, order, after }: Query): Promise<Listing> {
    const nameOf = (next?: string) => JSON.stringify([q, order, next]);
    const following = after ? this.#ahead.take(nameOf(after)) : undefined;
    const { listing, rest } = await search.run(following);
    if (listing.next !== undefined && rest !== undefined) {
      this.#ahead.keep(nameOf(listing.next), rest);
    }
    return listing;
  }
}
