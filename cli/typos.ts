/**
 * Variables whose names are misspelled. Without one that keeps others out, a server would be open, and
 * nobody would know.
 *
 * @module
 */

const SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/**
 * Every name that is one edit away from a name: a sign more, less or other, or two neighbors in the wrong
 * order. What stands before its first "_" stays, since we may see no other variables.
 *
 * @example
 * ```ts
 * const typos = new Set(typosOf("GOTO_KV"));
 * typos.has("GOTO_VK"); // true
 * typos.has("GOTO_KVS"); // true
 * ```
 */
export function* typosOf(name: string): Generator<string> {
  for (let at = name.indexOf("_") + 1; at <= name.length; at++) {
    const before = name.slice(0, at);
    const [sign = "", next = ""] = name.slice(at);
    const after = name.slice(at + 1);
    for (const other of SIGNS + sign.toLowerCase()) {
      yield before + other + sign + after;
      if (sign !== "" && sign !== other) yield before + other + after;
    }
    if (sign !== "") yield before + after;
    if (next !== "" && next !== sign) yield before + next + sign + after.slice(1);
  }
}

/**
 * A line about a variable that is there, and whose name is none, but all but one of `guarded`; nothing,
 * if there is no such variable.
 *
 * @param names all that are known
 */
export function typoIn(
  guarded: string[],
  names: ReadonlySet<string>,
  isSet: (name: string) => boolean,
): string | undefined {
  for (const name of guarded) {
    for (const typo of typosOf(name)) {
      if (isSet(typo) && !names.has(typo)) {
        return `${typo}: no variable has this name; use ${name}, or unset it`;
      }
    }
  }
}
