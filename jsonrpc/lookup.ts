/**
 * Links that are looked up elsewhere.
 *
 * @module
 */
import type { Asked } from "../journal/position.ts";
import type { Copy } from "../links/copy.ts";
import { errExpired, errNotFound, StoreError } from "../links/errors.ts";
import { type Asking, Flights } from "../links/flights.ts";
import { isLink, type Link } from "../links/link.ts";
import { Missing } from "../links/missing.ts";
import { type Answer, type Client, errDown } from "./client.ts";

const MAX_KEY = 1024; // no longer key is asked for

/**
 * Asks the master for the links that a copy lacks, or has too old, and lets the copy keep what is new
 * enough. Unknown keys are remembered for a moment.
 */
export class Lookup {
  readonly #flights = new Flights<Link>();
  readonly #missing = new Missing();

  constructor(private readonly urls: Copy, private readonly client: Client) {
    urls.onchange = (key) => this.#forget(key);
  }

  /**
   * Gives a link, as new as it is asked for, if that can be had: who asks for the same key meanwhile gets
   * the same answer.
   *
   * @throws {StoreError} not found, expired, unavailable
   */
  look(key: string, asked?: Asked): Link | Promise<Link> {
    checkLength(key);
    const since = Math.max(asked?.since ?? 0, this.urls.toldOf(key));
    let flight = this.#flights.join(key, since);
    if (flight === undefined) {
      if (this.client.down) return this.#makeDo(key, errDown);
      if (since <= this.urls.position) {
        if (this.#missing.has(key)) throw errNotFound;
        if (this.urls.live && this.urls.isExpired(key)) throw errExpired;
      }
      flight = this.#flights.start(key, since, (asking) => this.#fetch(key, asking));
    }
    const { answer } = flight;
    return asked ? answer.finally(() => asked.from = Math.min(asked.from, flight.from)) : answer;
  }

  async #fetch(key: string, flight: Asking): Promise<Link> {
    const { position: start } = this.urls;
    let answer: Answer;
    try {
      answer = await this.client.call("Store.Link", [key], Math.max(flight.since, start));
    } catch (error) {
      return this.#makeDo(key, error);
    } finally {
      this.#flights.finish(key, flight);
    }
    const { result, error, position: { from, to } } = answer;
    flight.from = from; // less than `start`, where who was asked is behind, and can't ask above
    // What comes too late, or is older than what was told, helps whoever asked, and nobody else.
    const good = !flight.stale && from >= Math.max(start, this.urls.toldOf(key));
    if (isLink(result)) {
      const { url, created, expires, author, editor } = result;
      const link = { key, url, created, expires, author, editor };
      this.urls.tell(key, to);
      if (good) this.urls.keep(link, to);
      return link;
    }
    if (error === errExpired) {
      this.urls.tell(key, to);
      throw error;
    }
    if (error !== errNotFound) {
      return this.#makeDo(key, error ?? new StoreError("unavailable", "master gave no URL"));
    }
    this.urls.tell(key, to);
    // Where no feed tells of new links, they would come a second late.
    if (good && this.urls.live) this.#missing.add(key);
    throw error;
  }

  /** With nobody above in reach there is what there is. */
  #makeDo(key: string, error: unknown): Link {
    const link = this.urls.peek(key);
    if (this.urls.isExpired(key)) throw errExpired;
    if (link?.url) return link;
    throw this.urls.whole ? errNotFound : error;
  }

  /** Somebody is told of a change of `key`, up to `position`. */
  tell(key: string, position: number): void {
    this.#missing.delete(key);
    this.urls.tell(key, position);
  }

  /** What was asked for before a change may be older than it. */
  #forget(key?: string): void {
    this.#flights.invalidate(key);
    if (key === undefined) this.#missing.clear();
    else this.#missing.delete(key);
  }
}

/**
 * Refuses a key that is longer than any there is.
 *
 * @throws {StoreError} not found
 */
export function checkLength(key: string): void {
  if (key.length > MAX_KEY) throw errNotFound;
}
