/**
 * Kutt: `GET /api/v2/links`.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `{"total":1,"data":[{"address":"docs","target":"https://example.com/","link":…}]}` */
export const kutt: Program = {
  signs: [["address"], ["target"]],
  keys: ["address", "link"],
};
