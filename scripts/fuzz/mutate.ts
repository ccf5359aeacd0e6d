/**
 * What all fuzzers do: spoil a text a little, and count what came of it.
 *
 * @module
 */

/** A number from 0 to below `n`. */
export type Pick = (n: number) => number;

/** What came of so many rounds. */
export interface Report {
  rounds: number;
  /** How often each kind of answer came. */
  counts: Record<string, number>;
  /** What must not be, with what led to it. */
  wrong: string[];
}

/** One of several. */
export function oneOf<T>(pick: Pick, values: readonly T[]): T {
  return values[pick(values.length)];
}

/** Takes out, puts in, changes or repeats up to `most` pieces of a text, or cuts it off. */
export function mutate(text: string, pick: Pick, alphabet: readonly string[], most = 3): string {
  for (let left = 1 + pick(most); left > 0; left--) {
    const at = pick(text.length + 1);
    const end = Math.min(text.length, at + 1 + pick(pick(4) === 0 ? 40 : 3));
    const piece = text.slice(at, end);
    const before = text.slice(0, at);
    const kind = pick(6);
    if (kind === 0) text = before + text.slice(end);
    else if (kind === 1) text = before + oneOf(pick, alphabet) + text.slice(at);
    else if (kind === 2) text = before + oneOf(pick, alphabet) + text.slice(end);
    else if (kind === 3) text = before + piece + text.slice(at);
    else if (kind === 4) text = before + text.slice(end) + piece;
    else if (pick(4) === 0) text = before;
  }
  return text;
}

/** Counts one more. */
export function count(report: Report, kind: string | number): void {
  report.counts[kind] = (report.counts[kind] ?? 0) + 1;
}
