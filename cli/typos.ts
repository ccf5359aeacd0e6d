/**
 * Variables whose names are misspelled. Without one that keeps others out, a server would be open, and
 * nobody would know.
 *
 * @module
 */

const SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/**
 * A line about a variable that is set, and whose name is one edit away from one of `guarded`: a sign more,
 * less or other, or two neighbors in the wrong order. Nothing, if there is none. What stands before a
 * name's first "_" is taken for right, since we may see no other variables.
 *
 * Thousands of names are asked for, in some 5 ms: plain loops take half of the time of a generator.
 *
 * @param known names that are no mistakes
 * @param isSet whether there is such a variable
 * @example
 * ```ts
 * typoIn(["GOTO_TOKEN"], new Set(), (name) => name === "GOTO_TOKN");
 * // "GOTO_TOKN: no variable has this name; use GOTO_TOKEN, or unset it"
 * ```
 */
export function typoIn(
  guarded: string[],
  known: ReadonlySet<string>,
  isSet: (name: string) => boolean,
): string | undefined {
  const isTypo = (name: string) => isSet(name) && !known.has(name);
  for (const name of guarded) {
    const typo = typoOf(name, isTypo);
    if (typo !== undefined) return `${typo}: no variable has this name; use ${name}, or unset it`;
  }
}

/** The first name that `isTypo` accepts, of those that are one edit away. */
function typoOf(name: string, isTypo: (name: string) => boolean): string | undefined {
  for (let at = name.indexOf("_") + 1; at <= name.length; at++) {
    const before = name.slice(0, at);
    const sign = name.charAt(at);
    const rest = name.slice(at);
    const after = name.slice(at + 1);
    for (let i = 0; i < SIGNS.length; i++) {
      const other = before + SIGNS[i];
      if (isTypo(other + rest)) return other + rest;
      if (sign !== "" && SIGNS[i] !== sign && isTypo(other + after)) return other + after;
    }
    if (sign === "") continue;
    const swapped = before + after.charAt(0) + sign + after.slice(1);
    const small = before + sign.toLowerCase();
    const more = [before + after, swapped, small + after, small + rest];
    const typo = more.find((typo) => typo !== name && isTypo(typo));
    if (typo !== undefined) return typo;
  }
}
