/**
 * Shlink: the CSV of its web client, and `GET /rest/v3/short-urls`.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `{"shortUrls":{"data":[{"shortCode":"docs","shortUrl":"https://s.example.com/docs","longUrl":…}]}}` */
export const shlink: Program = {
  signs: [["shortcode"], ["longurl"]],
  keys: ["shortcode", "shorturl"],
};
