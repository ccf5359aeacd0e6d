/**
 * goto itself: `GET /api/links`.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `{"links":[{"key":"docs","url":"https://example.com/","short":"http://go/docs"}],"count":1}` */
export const goto: Program = {
  signs: [["key"], ["url"], ["short"]],
  keys: ["key", "short"],
  hasPlaces: true,
};
