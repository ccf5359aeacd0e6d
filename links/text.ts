/**
 * Texts that people type and paste, and texts that are shown to them.
 *
 * @module
 */

/**
 * What can't be seen at the end of a text: spaces, and characters without a glyph, such as U+200B. Those that
 * select a form of the character before them (U+FE0F behind an emoji) are a part of it.
 */
const UNSEEN =
  /[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\uffa0\ufeff\ufff0-\ufffb]/;

/**
 * A text without what can't be seen at either end.
 *
 * @example
 * ```ts
 * trim(" \u200bdocs\u200e\n"); // "docs"
 * ```
 */
export function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && UNSEEN.test(text[start])) start++;
  while (end > start && UNSEEN.test(text[end - 1])) end--;
  return text.slice(start, end);
}

/**
 * Escapes what a terminal would obey, or not show: control characters, C1 ones too, what breaks a line, and
 * what turns the direction of text around.
 *
 * @example
 * ```ts
 * printable("a\u009b31mb"); // "a\\u009b31mb"
 * ```
 */
export function printable(text: string): string {
  if (/^[ -~]*$/.test(text)) return text;
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => {
    let escaped = "";
    for (let i = 0; i < found.length; i++) {
      escaped += `\\u${found.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}

/**
 * What somebody sent, as a message names it: in quotes, in one line, its first 64 characters.
 *
 * @example
 * ```ts
 * quote("a\u2028b"); // '"a\\u2028b"'
 * ```
 */
export function quote(text: string): string {
  return printable(JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text));
}
