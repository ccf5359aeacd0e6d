/**
 * The form that adds a link.
 *
 * @module
 */
import { type Fields, takeFields } from "../http/fields.ts";
import { toHTTPError } from "../http/problem.ts";
import { errNotFound, StoreError } from "../links/errors.ts";
import { checkKey } from "../links/link.ts";
import { trim } from "../links/text.ts";
import type { Store } from "../store.ts";
import { detailOf, escapeHTML, layout, linkTo, page, sentence } from "./page.ts";

/** What the form shows. */
export interface Filled {
  url?: string;
  key?: string;
  expires?: string;
  /** What is wrong with a field, or with none of them, as HTML. */
  errors?: { url?: string; key?: string; expires?: string; form?: string };
  heading?: string;
  /** What it says first, as HTML. */
  intro?: string;
}

/**
 * The page with the form that Go's program shows, filled in.
 *
 * @param base what short links start with
 */
export function AddForm(base: string, filled: Filled = {}): string {
  const { url = "", key = "", expires = "", errors = {}, heading = "New link", intro = "" } =
    filled;
  const focus = errors.url ? "url" : errors.key ? "key" : errors.expires ? "expires" : "url";
  const form = `<form method="POST" action="/add">
<div class="field">
<label for="url">Long address</label>
<input id="url" name="url" type="text" inputmode="url" required autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="https://example.com/a/long/way"${
    state("url", focus, errors.url)
  } value="${escapeHTML(url)}">
${complaint("url", errors.url)}</div>
<div class="field">
<label for="key">Key <span class="hint">(optional)</span></label>
<div class="joined"><span aria-hidden="true">${
    escapeHTML(base.replace(/^https?:\/\//, ""))
  }/</span><input id="key" name="key" pattern="${KEY_PATTERN}" title="Letters, digits, _ and -, and dots inside" autocomplete="off" autocapitalize="off" spellcheck="false"${
    state("key", focus, errors.key, "key-hint")
  } value="${escapeHTML(key)}"></div>
<p class="hint" id="key-hint">${KEY_HINT}</p>
${complaint("key", errors.key)}</div>
${
    expiresField(expires, focus, errors.expires)
  }<div class="buttons"><button>Make the link</button></div>
</form>
`;
  return layout({
    title: `${heading} – goto`,
    at: "/",
    main: `${errors.form ? `<p class="note bad" role="alert">${errors.form}</p>\n` : ""}` +
      `<section class="card">\n<h1>${escapeHTML(heading)}</h1>\n${intro}${form}</section>\n`,
    footer: `<p>Drag <a class="bookmarklet" href="${
      escapeHTML(bookmarklet(base))
    }">Shorten</a> to your bookmarks: on any page, it brings you here with its address filled in.</p>\n`,
  });
}

/** The field for when a link ends. */
export function expiresField(expires: string, focus: string, error?: string): string {
  return `<div class="field">
<label for="expires">Ends <span class="hint">(optional)</span></label>
<input id="expires" name="expires" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="never"${
    state("expires", focus, error, "expires-hint")
  } value="${escapeHTML(expires)}">
<p class="hint" id="expires-hint">A day, such as 2099-12-24, or a time from now: in 30 days.</p>
${complaint("expires", error)}</div>
`;
}

/** What `pattern` allows, as {@linkcode checkKey} does, which trims; it says what is too long. */
const KEY_PATTERN =
  "[\\s\\p{Cf}]*[A-Za-z0-9_\\-](?:[A-Za-z0-9_.\\-]*[A-Za-z0-9_\\-])?[\\s\\p{Cf}]*";
const KEY_HINT = "Letters, digits, _ and -, and dots inside. Left empty, a short one is made.";

/** The form, where it was refused: with what was typed, and what is wrong beside its field. */
export async function refuseForm(
  error: StoreError,
  { url, key, expires }: { url: string; key: string; expires: string },
  store: Store,
  base: string,
): Promise<Response> {
  const errors = error.kind === "invalid url"
    ? { url: sentence(error.message), key: key === "" ? undefined : refusalOf(key) }
    : error.kind === "invalid key"
    ? { key: sentence(error.message) }
    : error.kind === "exists"
    ? { key: await taken(key, store) }
    : error.kind === "invalid time"
    ? { expires: sentence(error.message) }
    : { form: sentence(error.message) };
  const { status, headers } = toHTTPError(error);
  return page(status, AddForm(base, { url, key, expires, errors }), headers);
}

/** What a form for a link says. */
export const FIELDS = ["url", "key", "expires"];

/**
 * The form as a query fills it in; a key that is taken says where it leads.
 *
 * @throws {HTTPError} 400: what comes with an address may be a part of it that wasn't escaped
 */
export async function filledForm(asked: Fields, store: Store, base: string): Promise<string> {
  if (!FIELDS.some((name) => asked.has(name))) return AddForm(base);
  const fields = takeFields(asked, FIELDS, "parameter");
  const [url = "", typed = "", expires = ""] = FIELDS.map((name) => fields.get(name));
  const key = trim(typed);
  const errors = key === "" ? {} : { key: await taken(key, store, "") };
  return AddForm(base, { url, key, expires, errors });
}

/** The form that offers to make a link that isn't there, or not any more. */
export function offerForm(key: string, base: string, isExpired = false): string {
  const heading = isExpired ? "This link has come to its end" : "There is no such link";
  if (refusalOf(key) !== undefined) {
    return AddForm(base, { heading, intro: `<p><b>${escapeHTML(key)}</b> leads nowhere.</p>\n` });
  }
  const intro = `<p><b>${escapeHTML(key)}</b> leads nowhere ${
    isExpired ? "any more" : "yet"
  }. Where should it lead?</p>\n`;
  return AddForm(base, { key, heading, intro });
}

/** What is wrong with a key, as HTML. */
function refusalOf(key: string): string | undefined {
  try {
    checkKey(key);
  } catch (error) {
    if (error instanceof StoreError) return sentence(error.message);
    throw error;
  }
}

/** Says where a key leads that is taken; `otherwise`, where it can't be found. */
async function taken(key: string, store: Store, otherwise = "Key already exists"): Promise<string> {
  try {
    const url = await store.get(key);
    const name = `<a href="${escapeHTML(detailOf(key))}">${escapeHTML(key)}</a>`;
    return `${name} is taken: it leads to ${linkTo(url)}`;
  } catch (error) {
    if (error instanceof StoreError) return error === errNotFound ? otherwise : "";
    throw error;
  }
}

/** The attributes of a field that was refused, or that is to be filled in first. */
function state(name: string, focus: string, error?: string, hint?: string): string {
  const described = [error && `${name}-error`, hint].filter(Boolean).join(" ");
  return (name === focus ? " autofocus" : "") + (error ? ' aria-invalid="true"' : "") +
    (described && ` aria-describedby="${described}"`);
}

function complaint(name: string, error?: string): string {
  return error ? `<p class="error" id="${name}-error">${error}</p>\n` : "";
}

/** A bookmark that brings the address of any page into the form. */
function bookmarklet(base: string): string {
  return `javascript:location.href='${base}/?url='+encodeURIComponent(location.href)`;
}
