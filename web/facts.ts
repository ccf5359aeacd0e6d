/**
 * What is known of a link beside where it leads.
 *
 * @module
 */
import { formatDay, today } from "../hits/counts.ts";
import type { Traffic } from "../hits/traffic.ts";
import type { Link } from "../links/link.ts";
import { escapeHTML } from "./page.ts";

/** Rows of a list of what is known of a link, as HTML. */
export function factRows({ created, author, editor, expires }: Link, traffic?: Traffic): string {
  const rows: [name: string, value?: string][] = [
    ["Created", [timeOf(created), author && `by ${escapeHTML(author)}`].filter(Boolean).join(" ")],
    ["Updated", editor && `by ${escapeHTML(editor)}`],
    ["Ends", timeOf(expires)],
    ["Followed", traffic && trafficWords(traffic)],
    ["Previewed", traffic && traffic.previews > 0 ? timesOf(traffic.previews) : ""],
  ];
  return rows.map(([name, value]) => value ? `<dt>${name}</dt><dd>${value}</dd>\n` : "").join("");
}

/** The same in a few words, for a list of links. */
export function factWords({ created, author, hits }: Link): string {
  const words = [
    author && escapeHTML(author),
    created && dayOf(today(created * 1000)),
    hits !== undefined && hitsOf(hits),
  ].filter(Boolean);
  return words.length > 0 ? `<span class="facts">${words.join(" · ")}</span>` : "";
}

/** So many hits, in words. */
export function hitsOf(hits: number): string {
  return `${numberOf(hits)} ${hits === 1 ? "hit" : "hits"}`;
}

/** A number as people read it. */
export function numberOf(count: number): string {
  return count.toLocaleString("en-US");
}

function trafficWords({ hits, last }: Traffic): string {
  if (hits === 0) return "not yet";
  return timesOf(hits) + (last === undefined ? "" : `, the last time on ${dayOf(last)}`);
}

function timesOf(count: number): string {
  return count === 1 ? "once" : `${numberOf(count)} times`;
}

function timeOf(seconds?: number): string {
  if (!seconds) return "";
  const time = new Date(seconds * 1000).toISOString();
  return `<time datetime="${time}">${time.slice(0, 10)} ${time.slice(11, 16)} UTC</time>`;
}

/** A day since 1970. */
function dayOf(day: number): string {
  const text = formatDay(day);
  return `<time datetime="${text}">${text}</time>`;
}
