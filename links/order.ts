/**
 * The orders in which lists give links.
 *
 * @module
 */
import { StoreError } from "./errors.ts";
import type { Query } from "./query.ts";

/** Where a link stands among others. */
export interface Place {
  /** How often it was followed. */
  hits: number;
  /** When it was created, in seconds since 1970, or 0. */
  created: number;
  /** How many bytes were written before it. */
  at: number;
}

const NEXT = /^(?:([\da-z]{1,11})-)?([\da-z]{1,9})-([\da-z]{1,10})-([\da-z]{1,9})$/;

/**
 * One of the orders of a list: which link stands before which, and how whoever asks for the next page says where
 * the last one ended.
 *
 * @example
 * ```ts
 * const order = new Order("hits", 1);
 * const [old, followed] = [{ hits: 0, created: 1, at: 0 }, { hits: 3, created: 2, at: 64 }];
 * order.isBefore(followed, old); // true
 * order.parse(order.format(old)); // { hits: 0, created: 1, at: 0 }
 * ```
 */
export class Order {
  /** @param epoch a number of the table's own, since places are compared in one table only */
  constructor(readonly name: NonNullable<Query["order"]>, private readonly epoch: number) {}

  /** Whether `a` stands before `b`. */
  isBefore(a: Place, b: Place): boolean {
    if (this.name === "written") return a.at < b.at;
    if (this.name === "hits" && a.hits !== b.hits) return a.hits > b.hits;
    return a.created === b.created ? a.at > b.at : a.created > b.created;
  }

  /** What to ask for those behind a place with. */
  format({ hits, created, at }: Place): string {
    const numbers = [...(this.name === "hits" ? [hits] : []), created, at, this.epoch];
    return numbers.map((n) => n.toString(36)).join("-");
  }

  /**
   * Reads what {@linkcode format} made.
   *
   * @throws {StoreError} invalid query
   */
  parse(text: string): Place {
    const [whole, ...parts] = NEXT.exec(text) ?? [];
    if (whole === undefined || (parts[0] !== undefined) !== (this.name === "hits")) {
      throw new StoreError("invalid query", `"after" is no "next" of a page`);
    }
    const [hits, created, at, epoch] = parts.map((part = "0") => parseInt(part, 36));
    if (epoch === this.epoch) return { hits, created, at };
    if (this.name !== "written" && created > 0) return { hits, created, at: 0 }; // as near as can be
    throw new StoreError("invalid query", `"after" is out of date: begin with the first page`);
  }
}
