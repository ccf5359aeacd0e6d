/**
 * YOURLS: its table as CSV, and what its plugins export.
 *
 * @module
 */
import type { Program } from "../program.ts";

/** `keyword,url,title,timestamp,ip,clicks`, or `Short URL,Original URL,Date,IP,Clicks` */
export const yourls: Program = {
  signs: [["keyword", "shorturl"], ["url", "originalurl"], ["keyword", "originalurl"]],
  keys: ["keyword", "shorturl"],
};

/** `source,target,hits` of the plugin Import Export: a source is a path, `/docs/`. */
export const yourlsImportExport: Program = {
  signs: [["source"], ["target"], ["hits"]],
  keys: ["source"],
  toKey: (text) => /^\/?([^/]+)\/?$/.exec(text)?.[1] ?? text,
};
