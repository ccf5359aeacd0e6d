/**
 * `/.all`: every link, the newest or the most followed first, searched, in pages.
 *
 * @module
 */
import { LISTED, queryOf } from "../http/api.ts";
import { HTTPError, toHTTPError } from "../http/problem.ts";
import { allow, query } from "../http/request.ts";
import { StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import type { Listing } from "../links/query.ts";
import type { Store } from "../store.ts";
import { factWords } from "./facts.ts";
import { detailOf, escapeHTML, layout, linkTo, page, sentence } from "./page.ts";

/** What is asked for, as the query has it. */
interface Asked {
  q: string;
  after: string;
  /** "hits", or "" for the newest first. */
  order: string;
  deleted: string;
}

/** Shows a page of links. */
export async function all(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  let asked: Asked = { q: "", after: "", order: "", deleted: "" };
  try {
    const params = query(req, [...LISTED, "deleted"]);
    const [q = "", after = "", order, deleted = ""] = ["q", "after", "order", "deleted"]
      .map((name) => params.get(name));
    asked = { q, after, order: order === "hits" ? order : "", deleted };
    return page(200, show(asked, await store.list(queryOf(params))));
  } catch (error) {
    if (!(error instanceof StoreError || error instanceof HTTPError)) throw error;
    const { status, message, headers } = toHTTPError(error);
    return page(status, show(asked, undefined, sentence(message)), headers);
  }
}

function show({ q, after, order, deleted }: Asked, listing?: Listing, error?: string): string {
  const note = deleted === ""
    ? ""
    : `<p class="note" role="status"><b>${escapeHTML(deleted)}</b> is deleted.</p>\n`;
  const trouble = error ? `<p class="note bad" role="alert">${error}</p>\n` : "";
  const { links = [], next } = listing ?? {};
  const pathOf = (asked: { order?: string; after?: string }) => {
    const set = Object.entries({ q, ...asked }).filter(([, value]) => value);
    return escapeHTML(`/.all${set.length > 0 ? `?${new URLSearchParams(set)}` : ""}`);
  };
  const [first, more] = order === "" ? ["Newest", "Older"] : ["Most followed", "Less followed"];
  const pages = [
    after === "" ? "" : `<a class="button quiet" href="${pathOf({ order })}">${first}</a>`,
    next === undefined
      ? ""
      : `<a class="button quiet" href="${pathOf({ order, after: next })}" rel="next">${more}</a>`,
  ].filter(Boolean);
  const orders = [["", "Newest"], ["hits", "Most followed"]].map(([name, label]) => {
    const current = name === order ? ' aria-current="true"' : "";
    return `<a href="${pathOf({ order: name })}"${current}>${label}</a>`;
  });
  const main = `${note}${trouble}<section class="card">
<h1>All links</h1>
<form class="search" action="/.all" role="search">
<label class="unseen" for="q">Search</label>
<input id="q" name="q" type="search" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="Key or address" value="${
    escapeHTML(q)
  }">
${
    order === ""
      ? ""
      : '<input type="hidden" name="order" value="hits">\n'
  }<button class="quiet">Search</button>
</form>
<p class="dim" id="found" role="status">${
    listing ? summary(listing, q, after !== "", order) : ""
  }</p>
<div id="results">
${
    links.some(({ hits }) => hits !== undefined)
      ? `<nav class="orders" aria-label="Order">${orders.join("\n")}</nav>\n`
      : ""
  }<ul class="links">
${links.map(item).join("")}</ul>
${
    pages.length > 0
      ? `<nav class="pages" aria-label="More links">${pages.join("\n")}</nav>\n`
      : ""
  }</div>
</section>
`;
  return layout({ title: q ? `${q} – all links – goto` : "All links – goto", at: "/.all", main });
}

/** How many there are, in words. */
function summary(
  { links, next, count }: Listing,
  q: string,
  isLater: boolean,
  order: string,
): string {
  const total = `${count.toLocaleString("en-US")} ${count === 1 ? "link" : "links"}`;
  if (q.trim() === "") return count === 0 ? "There are no links yet." : total;
  if (links.length === 0) return `None ${isLater ? "more " : ""}of ${total} holds that.`;
  const found = isLater ? `${links.length} more` : `${links.length}`;
  const rest = order === "" ? ", and there are older ones" : ", and there are less followed ones";
  return `${found} of ${total}${next === undefined ? "" : rest}`;
}

function item(link: Link): string {
  const { key, url } = link;
  return `<li><a class="key" href="${escapeHTML(detailOf(key))}">${escapeHTML(key)}</a>${
    linkTo(url, ' class="url"', url.replace(/^https?:\/\/(?:www\.)?/, ""))
  }${factWords(link)}</li>\n`;
}
