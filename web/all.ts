/**
 * `/.all`: every link, the newest first, searched, in pages.
 *
 * @module
 */
import { queryOf } from "../http/api.ts";
import { toHTTPError } from "../http/problem.ts";
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
  deleted: string;
}

/** Shows a page of links. */
export async function all(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  const params = query(req);
  const get = (name: string) => params.get(name) ?? "";
  const asked: Asked = { q: get("q"), after: get("after"), deleted: get("deleted") };
  try {
    return page(200, show(asked, await store.list(queryOf(req))));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { status, message, headers } = toHTTPError(error);
    return page(status, show(asked, undefined, sentence(message)), headers);
  }
}

function show({ q, after, deleted }: Asked, listing?: Listing, error?: string): string {
  const note = deleted === ""
    ? ""
    : `<p class="note" role="status"><b>${escapeHTML(deleted)}</b> is deleted.</p>\n`;
  const trouble = error ? `<p class="note bad" role="alert">${error}</p>\n` : "";
  const { links = [], next } = listing ?? {};
  const pathOf = (after?: string) => {
    const params = new URLSearchParams({ ...(q ? { q } : {}), ...(after ? { after } : {}) });
    return `/.all${params.size > 0 ? `?${params}` : ""}`;
  };
  const pages = [
    after === "" ? "" : `<a class="button quiet" href="${escapeHTML(pathOf())}">Newest</a>`,
    next === undefined
      ? ""
      : `<a class="button quiet" href="${escapeHTML(pathOf(next))}" rel="next">Older</a>`,
  ].filter(Boolean);
  const main = `${note}${trouble}<section class="card">
<h1>All links</h1>
<form class="search" action="/.all" role="search">
<label class="unseen" for="q">Search</label>
<input id="q" name="q" type="search" maxlength="200" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="Key or address" value="${
    escapeHTML(q)
  }">
<button class="quiet">Search</button>
</form>
<p class="dim" id="found" role="status">${listing ? summary(listing, q, after !== "") : ""}</p>
<div id="results">
<ul class="links">
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
function summary({ links, next, count }: Listing, q: string, isLater: boolean): string {
  const total = `${count.toLocaleString("en-US")} ${count === 1 ? "link" : "links"}`;
  if (q.trim() === "") return count === 0 ? "There are no links yet." : total;
  if (links.length === 0) return `None ${isLater ? "more " : ""}of ${total} holds that.`;
  const found = isLater ? `${links.length} more` : `${links.length}`;
  return `${found} of ${total}${next === undefined ? "" : ", and there are older ones"}`;
}

function item(link: Link): string {
  const { key, url } = link;
  return `<li><a class="key" href="${escapeHTML(detailOf(key))}">${escapeHTML(key)}</a>${
    linkTo(url, ' class="url"', url.replace(/^https?:\/\/(?:www\.)?/, ""))
  }${factWords(link)}</li>\n`;
}
