/**
 * Hits on a log in a file.
 *
 * @module
 */
import { loadHits } from "../hits/file.ts";
import { Hits, type HitsOptions, type OpenHits } from "../hits/hits.ts";
import type { LinksLog } from "../hits/state.ts";
import type { Log } from "../journal/log.ts";
import { Window } from "../journal/window.ts";
import type { Table } from "../links/table.ts";

/** A log of links that ends at `size`, to which nobody appends. */
export function linksAt(size = 0): LinksLog {
  return { feed: new Window(size), catchUp() {} };
}

/** The same, where `use` is given the log to play with. */
export function hitsOn(
  path: string,
  table: Table,
  use: (log: Log) => void,
  options: HitsOptions & { links?: LinksLog } = {},
): Hits {
  const { events, links = linksAt() } = options;
  const open: OpenHits = async (state) => {
    const log = await loadHits(path, state, { events });
    if (log) use(log);
    return log;
  };
  return new Hits(open, table, links, options);
}

/** What counts the links of a table, by the log at `path`. */
export function hitsAt(
  path: string,
  table: Table,
  options: HitsOptions & { links?: LinksLog } = {},
): Hits {
  return hitsOn(path, table, () => {}, options);
}
