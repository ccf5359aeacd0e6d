/**
 * What the methods of a store take, in this order or by name.
 *
 * @module
 */
import type { Param } from "./server.ts";

const key: Param = { name: "key" };
const url: Param = { name: "url" };
const id: Param = { name: "id", optional: true, min: 1, max: 64 };
const expires: Param = { name: "expires", optional: true, number: true, max: 64 };
const created: Param = { name: "created", optional: true, number: true, max: 10 };
const author: Param = { name: "author", optional: true };
const editor: Param = { name: "editor", optional: true };

/** The parameters by method. */
export const PARAMS = {
  get: [key],
  put: [url, { ...key, optional: true }, id, expires, author, created, editor],
  update: [key, url, id, expires, editor],
  delete: [key, id, editor],
  list: ["q", "after", "limit", "order"].map((name) => ({
    name,
    optional: true,
    number: name === "limit",
  })),
  health: [{ name: "term", number: true, whole: true, optional: true, max: 15 }],
  compact: [{ name: "id", min: 1, max: 64 }],
  hits: [{ name: "counts", max: 256 << 10 }, id],
} satisfies Record<string, Param[]>;
