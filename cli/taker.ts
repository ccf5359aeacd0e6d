/**
 * What becomes of the rows of an import.
 *
 * @module
 */
import { errExpired, StoreError } from "../links/errors.ts";
import { checkURL, type Link, parseName } from "../links/link.ts";
import { trim } from "../links/text.ts";
import { isExpired, now } from "../links/time.ts";
import type { Backend } from "../replica/backend.ts";
import type { Row } from "./formats.ts";
import type { Rejection } from "./rejected.ts";

/** What rows are put into. */
export type Target = Pick<Backend, "link" | "put" | "restore" | "trusted">;

/** How many rows became what. */
export interface Report {
  rows: number;
  new: number;
  equal: number;
  conflict: number;
  refused: number;
}

type Kind = Exclude<keyof Report, "rows">;

/** What became of a row. */
interface Outcome {
  kind: Kind;
  rejection?: Rejection;
}

/** Puts rows into a store. A key that is taken keeps its link. */
export class Taker {
  readonly report: Report = { rows: 0, new: 0, equal: 0, conflict: 0, refused: 0 };
  /** How many rows may have been taken over or not: the answer was lost. */
  unknown = 0;
  /** Of the links that are there now: the line of each, by its key. */
  readonly #lines = new Map<string, number | undefined>();

  /** @param complete whether dates and names are taken over, too */
  constructor(private readonly target: Target, private readonly complete = true) {}

  /**
   * Takes rows, all at once, so that they share commits and requests. Gives those that were not taken
   * over, and what kept some of them from being decided at all.
   */
  async take(rows: Row[]): Promise<{ rejections: Rejection[]; failure?: unknown }> {
    const latest = new Map<string, Promise<Outcome>>();
    const outcomes = rows.map((given) => {
      const row = given.own ? given : { ...given, key: trim(given.key) };
      const before = latest.get(row.key);
      const outcome = before === undefined ? this.#take(row) : before.then(() => this.#take(row)); // in the order of the file
      latest.set(row.key, outcome);
      return outcome;
    });
    const rejections: Rejection[] = [];
    let failure: unknown;
    for (const settled of await Promise.allSettled(outcomes)) {
      if (settled.status === "rejected") {
        failure ??= settled.reason;
        if (settled.reason instanceof StoreError && settled.reason.kind === "unavailable") {
          this.unknown++;
        }
        continue;
      }
      const { kind, rejection } = settled.value;
      this.report.rows++;
      this.report[kind]++;
      if (rejection) rejections.push(rejection);
    }
    return { rejections, failure };
  }

  async #take(row: Row): Promise<Outcome> {
    const { line, key, url } = row;
    const rejected = (kind: Kind, reason: string, kept?: string): Outcome => ({
      kind,
      rejection: { line, Key: key, URL: url, reason, kept },
    });
    if (row.reason !== undefined) return rejected("refused", row.reason);
    if (key === "") return rejected("refused", "it has no key");
    try {
      await this.#put(row);
      this.#lines.set(key, line);
      return { kind: "new" };
    } catch (error) {
      if (!(error instanceof StoreError) || FATAL.has(error.kind)) throw error;
      if (error.kind !== "exists") return rejected("refused", error.message);
      const kept = await this.#kept(key);
      const difference = differenceOf(row, kept);
      const before = this.#lines.get(key);
      if (difference === undefined) {
        this.#lines.set(key, before ?? line);
        return { kind: "equal" };
      }
      const where = before === undefined ? error.message : `line ${before} has this key, too`;
      return rejected("conflict", `${where}: ${difference}`, kept?.url);
    }
  }

  async #put({ key, url, created, expires, author, editor, own }: Row): Promise<void> {
    if (expires !== undefined && isExpired(expires)) throw errExpired;
    if (!this.complete) {
      await this.target.put(url, key, { expires });
    } else if (own) {
      await this.target.restore({ key, url, created, expires, author, editor });
    } else {
      const names = { author: parseName(author), editor: parseName(editor) };
      await this.target.put(url, key, { created: created ?? now(), expires, ...names });
    }
  }

  /** The link that has the key; nothing, where it was deleted in this moment. */
  async #kept(key: string): Promise<Link | undefined> {
    try {
      return await this.target.link(key);
    } catch (error) {
      if (error instanceof StoreError && !FATAL.has(error.kind)) return;
      throw error;
    }
  }
}

/** Refusals that say nothing of the row. */
const FATAL: ReadonlySet<string> = new Set(["unavailable", "full", "forbidden"]);

/** In what a row differs from the link that is kept; nothing, where it doesn't. */
function differenceOf({ url, expires = 0 }: Row, kept?: Link): string | undefined {
  if (kept === undefined) return "it was deleted meanwhile";
  if (kept.url !== url && kept.url !== normalize(url)) return "it leads elsewhere";
  if ((kept.expires ?? 0) !== expires) return "it ends at another time";
}

/** A URL as a store keeps it; of one that it refuses, nothing. */
function normalize(url: string): string {
  try {
    return checkURL(url);
  } catch {
    return "";
  }
}
