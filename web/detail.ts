/**
 * `/.detail/KEY`: a link to be seen, changed and deleted, without following it.
 *
 * @module
 */
import { readForm } from "../http/body.ts";
import { HTTPError, toHTTPError } from "../http/problem.ts";
import { allow, query } from "../http/request.ts";
import { findLink } from "../http/traffic.ts";
import { today } from "../hits/counts.ts";
import type { Traffic } from "../hits/traffic.ts";
import { errExpired, errNotFound, StoreError } from "../links/errors.ts";
import type { Link } from "../links/link.ts";
import { toReadable } from "../links/readable.ts";
import { trim } from "../links/text.ts";
import { formatExpires, parseExpires } from "../links/time.ts";
import type { Store } from "../store.ts";
import { chart } from "./chart.ts";
import { factRows } from "./facts.ts";
import { expiresField, offerForm } from "./form.ts";
import { detailOf, escapeHTML, layout, linkTo, page, seeOther, sentence } from "./page.ts";

/** `GET` shows the link, `POST` changes or deletes it, and sends the browser on. */
export async function detail(
  req: Request,
  key: string,
  store: Store,
  base: string,
): Promise<Response> {
  allow(req, "GET", "HEAD", "POST");
  let typed: Typed | undefined;
  try {
    if (req.method === "POST") {
      const fields = await readForm(req, ["url", "expires", "action"]);
      const action = fields.get("action") ?? "change";
      if (action !== "change" && action !== "delete") {
        throw new HTTPError(400, `the field "action" must be change or delete`);
      }
      if (action === "delete") {
        await store.delete(key);
        return seeOther(`/.all?deleted=${encodeURIComponent(key.toWellFormed())}`);
      }
      const expires = fields.get("expires");
      typed = { url: fields.get("url") ?? "", expires: expires ?? "" };
      // An end that is taken out of its field shall be no more.
      const ends = expires === undefined ? undefined : parseExpires(trim(expires) || "never");
      await store.update(key, typed.url, { expires: ends });
      return seeOther(`${detailOf(key)}?changed`);
    }
    const params = query(req);
    const note = params.has("new")
      ? "Your link is ready."
      : params.has("changed")
      ? "The link is changed."
      : undefined;
    const { link, traffic } = await findLink(store, key);
    return page(200, show(link, base, { note, traffic }));
  } catch (error) {
    if (error === errNotFound) return page(404, offerForm(key, base));
    if (error === errExpired) return page(410, offerForm(key, base, true));
    if (!(error instanceof StoreError)) throw error;
    return await refused(error, key, typed, store, base);
  }
}

/** What is said of a change that was refused, with what was typed; or of a link that can't be had. */
async function refused(
  error: StoreError,
  key: string,
  typed: Typed | undefined,
  store: Store,
  base: string,
): Promise<Response> {
  const { status, message, headers } = toHTTPError(error);
  const errors = { [error.kind === "invalid time" ? "expires" : "url"]: sentence(message) };
  try {
    const { link, traffic } = await findLink(store, key);
    return page(status, show(link, base, { traffic, typed, errors }), headers);
  } catch {
    const main = `<section class="card">\n<h1>${escapeHTML(key)}</h1>\n` +
      `<p class="note bad" role="alert">${sentence(message)}</p>\n</section>\n`;
    return page(status, layout({ title: `${key} – goto`, main }), headers);
  }
}

/** What was typed into the fields. */
interface Typed {
  url: string;
  expires: string;
}

/** What is said beside the link. */
interface Said {
  note?: string;
  traffic?: Traffic;
  typed?: Typed;
  errors?: { url?: string; expires?: string };
}

function show(link: Link, base: string, { note, traffic, typed, errors = {} }: Said): string {
  const { key, url } = link;
  const expires = typed?.expires ?? formatExpires(link.expires) ?? "";
  const path = escapeHTML(encodeURIComponent(key.toWellFormed()));
  const short = `${escapeHTML(base)}/${path}`;
  const host = escapeHTML(base.replace(/^https?:\/\//, ""));
  const action = escapeHTML(detailOf(key));
  const main = `${note ? `<p class="note" role="status">${note}</p>\n` : ""}<section class="card">
<h1>${escapeHTML(key)}</h1>
<div class="short"><a href="${short}">${host}/<wbr>${path}</a>
<button type="button" data-copy="${short}" hidden>Copy</button><output aria-live="polite"></output></div>
<dl>
<dt>Leads to</dt><dd>${linkTo(url, "", toReadable(url))}</dd>
${factRows(link, traffic)}</dl>
${traffic ? chart(traffic.days, today()) : ""}</section>
<section class="card">
<h2>Change it</h2>
<form method="POST" action="${action}">
<div class="field">
<label for="url">Long address</label>
<input id="url" name="url" type="text" inputmode="url" required autocomplete="off" autocapitalize="off" spellcheck="false"${
    errors.url ? ' aria-invalid="true" aria-describedby="url-error" autofocus' : ""
  } value="${escapeHTML(typed?.url ?? url)}">
${errors.url ? `<p class="error" id="url-error">${errors.url}</p>\n` : ""}</div>
${
    expiresField(expires, errors.expires ? "expires" : "", errors.expires)
  }<div class="buttons"><button name="action" value="change">Save</button></div>
</form>
</section>
<section class="card">
<details class="danger-zone">
<summary>Delete it</summary>
<p>Whoever follows <b>${escapeHTML(key)}</b> from then on is told that there is no such link.</p>
<form method="POST" action="${action}">
<div class="buttons"><button class="danger" name="action" value="delete">Delete ${
    escapeHTML(key)
  }</button></div>
</form>
</details>
</section>
`;
  return layout({ title: `${key} – goto`, main });
}
