/**
 * The log as the torture knows it: every line that a master let its followers have, in order, also those
 * that compaction has dropped since.
 *
 * @module
 */
import { nameIn } from "./history.ts";

/** A line of the log that changed a link. */
export interface Entry {
  /** The operation that wrote it; "" if it doesn't show. */
  name: string;
  key: string;
  url: string;
  /** The log position behind it. */
  position: number;
  /** When it was seen, in milliseconds since the run began. */
  seen: number;
}

/** Where every link leads, by its key; "" for one that was deleted. */
export type Links = Map<string, string>;

/** The key of a link that only makes the log longer, of which nothing is kept. */
export const FILLER = "filler";

/** A line that makes or changes a link; nothing for one that says something of the log itself. */
export function parseLine(line: string): { key: string; url: string; name: string } | undefined {
  const { Key: key, URL: url } = JSON.parse(line);
  if (typeof key !== "string" || typeof url !== "string") throw new Error("no link");
  return key === "" || key === FILLER ? undefined : { key, url, name: nameIn(line) };
}

/** All that stands in a log's text. A torn last line is none. */
export function readLog(text: string): { links: Links; names: Set<string> } {
  const links: Links = new Map();
  const names = new Set<string>();
  for (const line of text.split("\n").slice(0, -1)) {
    const change = parseLine(line);
    if (!change) continue;
    links.set(change.key, change.url);
    if (change.name) names.add(change.name);
  }
  return { links, names };
}

/** What differs between two states of all links, at most a few of them; a deleted link is as one that never was. */
export function differences(a: Links, b: Links): string[] {
  const all: string[] = [];
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    const [one, two] = [a.get(key) ?? "", b.get(key) ?? ""];
    if (one !== two) all.push(`${key}: ${one || "none"}, not ${two || "none"}`);
  }
  return all.length > 5 ? [...all.slice(0, 5), `and ${all.length - 5} more`] : all;
}

/** One history: from the start of the first master, a promotion or a restore, to the next of these. */
export class Epoch {
  readonly entries: Entry[] = [];
  /** Lines that came twice, which no line must. */
  readonly repeated: string[] = [];
  /** Where every link leads now. */
  readonly links: Links;
  /** When the next one began. */
  ended = Infinity;
  readonly #names = new Set<string>();

  /**
   * @param began when it began
   * @param base what there was at its start
   * @param known the operations that are in there
   */
  constructor(
    readonly number: number,
    readonly began: number,
    readonly base: Links = new Map(),
    readonly known: ReadonlySet<string> = new Set(),
  ) {
    this.links = new Map(base);
  }

  /** Whether the operation is in the log, or was when the epoch began. */
  has(name: string): boolean {
    return this.#names.has(name) || this.known.has(name);
  }

  /**
   * Takes in a line that ends at `position`. One that is read again, after the feed was lost or from the
   * file, may be known.
   */
  take(line: string, position: number, seen: number, again: boolean): void {
    const change = parseLine(line);
    if (!change) return;
    const { key, url, name } = change;
    if (name && this.has(name)) {
      if (!again) this.repeated.push(`${name} was written twice: ${line}`);
      return;
    }
    // A compacted log says of a deleted link only that it is none.
    if (again && !name && (this.links.get(key) ?? "") === url) return;
    if (name) this.#names.add(name);
    this.entries.push({ name, key, url, position, seen });
    this.links.set(key, url);
  }

  /**
   * Whether `links` is what this log had at some moment: with all that was written up to the position
   * `least`, perhaps with what came later, and with nothing out of order. Gives what differs at the moment
   * that fits best; nothing where one fits.
   */
  misses(links: Links, least: number, most = Infinity): string[] {
    const state: Links = new Map(this.base);
    const wrong = new Set<string>();
    const compare = (key: string) => {
      if ((state.get(key) ?? "") === (links.get(key) ?? "")) wrong.delete(key);
      else wrong.add(key);
    };
    for (const key of new Set([...state.keys(), ...links.keys()])) compare(key);
    let best: string[] | undefined;
    const look = () => {
      if (best === undefined || wrong.size < best.length) {
        best = [...wrong].map((key) =>
          `${key}: ${links.get(key) || "none"}, not ${state.get(key) || "none"}`
        );
      }
    };
    for (const { key, url, position } of this.entries) {
      if (position > least) look();
      if (position > most) break;
      state.set(key, url);
      compare(key);
    }
    if ((this.entries.at(-1)?.position ?? 0) <= most) look();
    return best ?? [];
  }
}
