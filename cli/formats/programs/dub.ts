/**
 * dub: the CSV of its dashboard, and `GET /links`.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `Key,Destination URL`, or `Short link,Destination URL`, or `[{"domain":…,"key":…,"url":…}]` */
export const dub: Program = {
  signs: [["key", "shortlink"], ["destinationurl", "url"], [
    "destinationurl",
    "domain",
    "shortlink",
  ]],
  keys: ["key", "shortlink"],
};
