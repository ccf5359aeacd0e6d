/**
 * dub: the CSV of its dashboard, and `GET /links`.
 *
 * @module
 */
import type { Program } from "../program.ts";
import { Unfit } from "../values.ts";

/** `Key,Destination URL`, or `Short link,Destination URL`, or `[{"domain":…,"key":…,"url":…}]` */
export const dub: Program = {
  signs: [["key", "shortlink"], ["destinationurl", "url"], [
    "destinationurl",
    "domain",
    "shortlink",
  ]],
  keys: ["key", "shortlink"],
  toKey,
};

/** Refuses the link of a domain itself. */
function toKey(text: string): string {
  if (text === "_root") throw new Unfit(`key "_root" is the link of a domain itself`);
  return text;
}
