/**
 * The history of a run: what clients asked for, what they were answered, and when.
 *
 * @module
 */

/** What a client wants of a link. */
export type Kind = "get" | "put" | "update" | "delete";

/**
 * What became of it: it was done; it was refused, as the key exists or doesn't; it was refused since nothing
 * can be saved (507); or nobody can say, as the answer was lost, or was 503.
 */
export type Outcome = "done" | "exists" | "missing" | "full" | "unknown";

/** A process of a server: one that starts again remembers less than the one before. */
export interface Process {
  /** Of the machine, such as `mirror A`. */
  name: string;
  /** How often it was started. */
  run: number;
  /** Whether it owned the links. */
  master: boolean;
  /** Whether others own them, too: of links that it knows it may be late, but not of those that it says it lacks. */
  shared?: boolean;
}

/** One question of a client, and its answer. */
export interface Operation {
  /** Of this operation alone. It stands in the log, as the author of the change and in its URL. */
  name: string;
  kind: Kind;
  /** The link; "" until somebody tells which key the counter gave. */
  key: string;
  /** Where the link shall lead, or does; "" is nowhere. */
  url: string;
  /** Milliseconds since the run began. */
  start: number;
  /** When the answer came; Infinity, if none did. */
  end: number;
  outcome: Outcome;
  process: Process;
  /** Which of the histories that follow each other by promotion and restore it was asked in. */
  epoch: number;
  /** Whether the server may have had nobody above to ask: it answers with what it has. */
  excused: boolean;
}

/** What all clients saw, in the order in which they were answered. */
export class History {
  readonly operations: Operation[] = [];
  #count = 0;

  /** A name for the next operation. */
  name(): string {
    return `op-${++this.#count}`;
  }

  record(operation: Operation): void {
    this.operations.push(operation);
  }
}

/** The URL that an operation writes: no other one writes it. */
export function urlOf(name: string): string {
  return `https://example.com/${name}`;
}

/** The operation that wrote a line of the log, of which the last name is the last author's; "" if none shows. */
export function nameIn(line: string): string {
  return line.match(/\bop-\d+\b/g)?.at(-1) ?? "";
}
