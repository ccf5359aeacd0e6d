/**
 * Positions in the journal, which tell how new an answer is.
 *
 * @module
 */

/**
 * How new something is, in bytes of the journal: it shows every change up to `from`, and none beyond
 * `to`.
 */
export interface Position {
  from: number;
  to: number;
}

/** How new answers are: a store that has none as new as it is itself says so. */
export interface Asked {
  /** The position that they shall be no older than. */
  readonly since: number;
  /** The position up to which they show every change. */
  from: number;
}

/**
 * A position as it stands in the header `goto-position`.
 *
 * @example
 * ```ts
 * formatPosition({ from: 41, to: 41 }); // "41"
 * formatPosition({ from: 41, to: 82 }); // "41-82"
 * ```
 */
export function formatPosition({ from, to }: Position): string {
  return from === to ? `${from}` : `${from}-${to}`;
}

/** Reads such a header. What is none shows nothing for certain, and is ahead of nothing. */
export function parsePosition(text: string | null): Position {
  const [, from = "-1", to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text ?? "") ?? [];
  return Number(from) <= Number(to) ? { from: Number(from), to: Number(to) } : { from: -1, to: -1 };
}
