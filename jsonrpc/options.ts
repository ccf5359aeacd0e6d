/**
 * What goes with a new link, or with a change, as params.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { parseName } from "../links/link.ts";
import { formatExpires, parseCreated, parseExpires } from "../links/time.ts";
import type { ChangeOptions } from "../links/wanted.ts";
import type { Args } from "./server.ts";

const errForbidden = new StoreError(
  "forbidden",
  "only who bears -token may say when a link was created, and who changed it",
);

/**
 * Reads the params of `Store.Put` behind its key.
 *
 * @param trusted whether the caller may say what was before
 * @throws {StoreError} one of them is of no use, or forbidden
 * @example
 * ```ts
 * readOptions(["an id", "never", "ada"], false); // { id: "an id", expires: 0, author: "ada", … }
 * ```
 */
export function readOptions(
  [id, expires = "", author, created, editor]: Args,
  trusted: boolean,
): ChangeOptions {
  if (!trusted && (created ?? editor) !== undefined) throw errForbidden;
  const times = { created: parseCreated(created), expires: parseExpires(expires) };
  return { id, ...times, author: parseName(author), editor: parseName(editor) };
}

/** Reads what goes with a change of a link. */
export function readChange([id, expires = "", editor]: Args): ChangeOptions {
  return { id, expires: parseExpires(expires), editor: parseName(editor) };
}

/** What {@linkcode readOptions} reads. */
export function formatOptions({ id, expires, author, created, editor }: ChangeOptions): Args {
  const before = (created ?? editor) === undefined ? [] : [created?.toString(), editor];
  return [id, formatExpires(expires), author, ...before];
}
