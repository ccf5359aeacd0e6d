/**
 * The orders in which lists give links.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StoreError } from "./errors.ts";
import { compareKeys } from "./keys.ts";
import type { Query } from "./query.ts";

/**
 * Where a link stands among others. Only its hits move it while it lives: no change, no compaction, and no restart
 * does.
 */
export interface Place {
  /** How often it was followed. */
  hits: number;
  /** When it was created, in seconds since 1970, or 0. */
  created: number;
  key: string;
}

type Name = NonNullable<Query["order"]>;

/** What `format` makes: the first letter names the order; a key that nobody could choose is base64 behind a dot. */
const NEXT = /^(?:h([\da-z]{1,11})-|[nw])([\da-z]{1,7})-(.+)$/s;

/**
 * One of the orders of a list: which link stands before which, and how whoever asks for the next page says where
 * the last one ended. Links created in the same second, or at an unknown time, stand in the order of their keys,
 * which is the one in which the server counts them.
 *
 * @example
 * ```ts
 * const order = new Order("hits");
 * const [old, followed] = [{ hits: 0, created: 1, key: "0" }, { hits: 3, created: 2, key: "1" }];
 * order.compare(followed, old) < 0; // true
 * order.parse(order.format(old)); // { hits: 0, created: 1, key: "0" }
 * ```
 */
export class Order {
  /** 1 where the oldest stand first, else -1. */
  readonly direction: 1 | -1;

  constructor(readonly name: Name) {
    this.direction = name === "written" ? 1 : -1;
  }

  /** Below 0 where `a` stands before `b`, above 0 where it stands behind. */
  compare(a: Place, b: Place): number {
    return this.compareNumbers(a.hits, a.created, b) || this.direction * compareKeys(a.key, b.key);
  }

  /** The same for a link of which the key is not at hand: 0 where the keys decide. */
  compareNumbers(hits: number, created: number, b: Place): number {
    if (this.name === "hits" && hits !== b.hits) return b.hits - hits;
    return this.direction * (created - b.created);
  }

  /** Returns the `after` that asks for the links behind a place. */
  format({ hits, created, key }: Place): string {
    const numbers = (this.name === "hits" ? [hits, created] : [created]).map((n) => n.toString(36));
    const plain = /^(?!\.)[\w.-]+$/.test(key);
    const text = plain ? key : `.${Buffer.from(key, "utf16le").toString("base64url")}`;
    return `${this.name.charAt(0)}${numbers.join("-")}-${text}`;
  }

  /**
   * Reads what {@linkcode format} made.
   *
   * @throws {StoreError} invalid query
   */
  parse(text: string): Place {
    const [, hits = "0", created = "", rest = ""] = NEXT.exec(text) ?? [];
    const key = rest.startsWith(".")
      ? Buffer.from(rest.slice(1), "base64url").toString("utf16le")
      : rest;
    const place = { hits: parseInt(hits, 36), created: parseInt(created, 36), key };
    if (this.format(place) !== text) { // as that of another order
      throw new StoreError("invalid query", `"after" is no "next" of a page`);
    }
    return place;
  }
}
