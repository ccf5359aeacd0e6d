/**
 * chhoto-url: `GET /api/all`, and its table.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `[{"shortlink":"docs","longlink":"https://example.com/","hits":3,"expiry_time":0}]` */
export const chhoto: Program = {
  signs: [["shortlink"], ["longlink"]],
  keys: ["shortlink"],
};
