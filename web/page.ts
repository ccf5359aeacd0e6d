/**
 * Pages.
 *
 * @module
 */
import { respond } from "../http/answers.ts";
import { style } from "./assets.ts";

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; " +
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  // Not "no-referrer", by which the browser would hide where our own forms come from.
  "referrer-policy": "same-origin",
};

/** Answers with a page, which may load and ask for nothing but what this server has. */
export function page(
  status: number,
  html: string,
  headers: Record<string, string> = {},
): Response {
  const cache = status === 200 ? "no-cache" : "no-store";
  return respond(html, {
    status,
    headers: { ...HEADERS, "cache-control": cache, ...headers },
  });
}

/** Sends a browser on, after a form. To load that page again sends nothing again. */
export function seeOther(location: string): Response {
  return new Response(null, { status: 303, headers: { location, "cache-control": "no-store" } });
}

/** What a page is made of. */
export interface Layout {
  title: string;
  /** The path of the page, as the navigation has it. */
  at?: string;
  /** HTML. */
  main: string;
  footer?: string;
}

const PLACES = [["/", "New link"], ["/.all", "All links"]];

/** A whole page. */
export function layout({ title, at, main, footer }: Layout): string {
  const places = PLACES.map(([path, name]) =>
    `<a href="${path}"${path === at ? ' aria-current="page"' : ""}>${name}</a>`
  );
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="theme-color" content="#f4f6fa" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#0e131b" media="(prefers-color-scheme: dark)">
<title>${escapeHTML(title)}</title>
<link rel="icon" href="${style.icon}" type="image/svg+xml">
<link rel="stylesheet" href="${style.css}">
<script src="${style.script}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/"><img src="${style.icon}" alt="" width="32" height="32">goto</a>
<nav aria-label="Pages">${places.join("")}</nav>
</header>
<main id="main">
${main}</main>
${footer === undefined ? "" : `<footer>\n${footer}</footer>\n`}</body>
</html>
`;
}

/** Text as it may stand in HTML, in a quoted attribute, too. */
export function escapeHTML(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A link to `url`, where a browser may follow it: old entries may hold anything. */
export function linkTo(url: string, attributes = "", text = url): string {
  return /^https?:\/\//i.test(url)
    ? `<a href="${escapeHTML(url)}"${attributes} rel="noreferrer">${escapeHTML(text)}</a>`
    : `<span${attributes}>${escapeHTML(text)}</span>`;
}

/** The path of the page that shows the link of `key`. */
export function detailOf(key: string): string {
  return `/.detail/${encodeURIComponent(key.toWellFormed())}`;
}

/** A message as a sentence that begins with a capital. */
export function sentence(message: string): string {
  return escapeHTML(message.charAt(0).toUpperCase() + message.slice(1));
}
