/**
 * Bitly: the CSV of its website, and `GET /v4/groups/{group}/bitlinks`.
 *
 * @module
 */
import type { Program } from "../program.ts";

/**
 * `Link,Custom Link,Destination URL`, or `Bitlink,Long URL`, or
 * `{"links":[{"link":…,"custom_bitlinks":[…],"long_url":…}]}`. A link may have several keys.
 */
export const bitly: Program = {
  signs: [["link", "bitlink", "shorturl"], ["longurl", "destinationurl"]],
  keys: ["link", "bitlink", "shorturl", "id"],
  more: ["customlink", "custombitlinks"],
  toKey: (text) => /^[^\s/?#@:\\]+\.[^\s/?#@\\]+\/([^\s/?#\\]+)$/.exec(text)?.[1] ?? text,
};
