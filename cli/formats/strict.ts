/**
 * JSON that says one thing.
 *
 * @module
 */

const MAX_DEPTH = 100; // of a value
const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];

/** The value of `text`; nothing, where it isn't JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The value of `text`, and why it can't be taken as it is.
 *
 * @example
 * ```ts
 * parseStrictly('{"a":1,"a":2}'); // { value: { a: 2 }, bad: "a member stands in it twice" }
 * ```
 */
export function parseStrictly(text: string): { value?: unknown; bad?: string } {
  const value = parse(text);
  if (value === undefined) return { bad: "bad JSON" };
  const members = countMembers(value);
  if (members === undefined) return { bad: `it is nested more than ${MAX_DEPTH} deep` };
  // Of two members with one name, JSON.parse() drops the first.
  return members === countColons(text) ? { value } : { value, bad: "a member stands in it twice" };
}

/** How many members a value has, and the values in it; nothing, where it is nested too deep. */
function countMembers(value: unknown, depth = 0): number | undefined {
  if (typeof value !== "object" || value === null) return 0;
  if (depth === MAX_DEPTH) return undefined;
  const inner = Object.values(value);
  let count = Array.isArray(value) ? 0 : inner.length;
  for (const one of inner) {
    if (typeof one !== "object") continue;
    const more = countMembers(one, depth + 1);
    if (more === undefined) return undefined;
    count += more;
  }
  return count;
}

/** How many members are written in a text that is JSON. */
function countColons(text: string): number {
  let count = 0;
  let string = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) string = !string;
    else if (string) {
      if (char === BACKSLASH) at++;
    } else if (char === COLON) count++;
  }
  return count;
}
