/**
 * What is known of a link beside where it leads.
 *
 * @module
 */
import type { Link } from "../links/link.ts";
import { escapeHTML } from "./page.ts";

/** Rows of a list of what is known of a link, as HTML. */
export function factRows({ made, by, changedBy, expires }: Link): string {
  const rows: [name: string, value?: string][] = [
    ["Made", [timeOf(made), by && `by ${escapeHTML(by)}`].filter(Boolean).join(" ")],
    ["Changed", changedBy && `by ${escapeHTML(changedBy)}`],
    ["Ends", timeOf(expires)],
  ];
  return rows.map(([name, value]) => value ? `<dt>${name}</dt><dd>${value}</dd>\n` : "").join("");
}

/** The same in a few words, for a list of links. */
export function factWords({ made, by }: Link): string {
  const words = [by && escapeHTML(by), made && dayOf(made)].filter(Boolean);
  return words.length > 0 ? `<span class="facts">${words.join(" · ")}</span>` : "";
}

function timeOf(seconds?: number): string {
  if (!seconds) return "";
  const time = new Date(seconds * 1000).toISOString();
  return `<time datetime="${time}">${time.slice(0, 10)} ${time.slice(11, 16)} UTC</time>`;
}

function dayOf(seconds: number): string {
  const day = new Date(seconds * 1000).toISOString().slice(0, 10);
  return `<time datetime="${day}">${day}</time>`;
}
