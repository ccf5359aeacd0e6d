/**
 * `FILE.hits`: the log of hits beside the journal at FILE.
 *
 * @module
 */
import { type Events, silent } from "../journal/events.ts";
import { exists } from "../journal/file.ts";
import { Journal } from "../journal/journal.ts";
import { ForeignError } from "../journal/torn.ts";
import type { Log } from "../journal/log.ts";
import type { Table } from "../links/table.ts";
import { Hits, type OpenHits } from "./hits.ts";
import type { HitsState } from "./state.ts";

/** How a log of hits is opened. */
export interface OpenOptions {
  events?: Events;
  /** Whether it is left as it is. */
  readOnly?: boolean;
  /** Whether it is made where it is missing. */
  create?: boolean;
}

/** The log of hits beside the journal at `file`. */
export function hitsOf(file: string): string {
  return `${file}.hits`;
}

/**
 * Opens a log of hits, which waits for no disk, and gives it to `reader`. It sets a file without
 * a line of such a log aside as `PATH.bad`, also one that an earlier form of the program wrote.
 *
 * @returns nothing where there is none, and none is to be made
 * @throws {JournalError} it can't be used
 */
export async function loadHits(
  path: string,
  reader: HitsState,
  { events = silent, readOnly = false, create = !readOnly }: OpenOptions = {},
): Promise<Journal | undefined> {
  if (!create && !await exists(path)) return;
  for (let tries = 0;; tries++) {
    const log = readOnly
      ? await Journal.read(path)
      : await Journal.open(path, { copy: true, events });
    try {
      reader.begin();
      await log.load(reader);
      if (reader.damaged > 0 && reader.good === 0) throw new ForeignError(path);
      if (reader.damaged > 0) {
        events("warn", "left out damaged hits", { file: path, lines: reader.damaged });
      }
      return log;
    } catch (error) {
      await log.close();
      const isForeign = error instanceof ForeignError && !readOnly && tries === 0;
      if (!isForeign || await exists(`${path}.bad`)) throw error;
      await Deno.rename(path, `${path}.bad`);
      events("warn", "set aside what is no log of hits", { file: path, kept: `${path}.bad` });
    }
  }
}

/**
 * Counts how often the links of a log are followed.
 *
 * @param open opens the log of hits, in place of the file beside that of the links; false where nobody counts
 */
export function hitsOn(
  links: Log,
  table: Table,
  open: boolean | OpenHits = true,
  events?: Events,
): Hits | undefined {
  if (open === false) return;
  const { name, readOnly } = links;
  const openFile: OpenHits = (state, create) =>
    loadHits(hitsOf(name), state, { events, readOnly, create });
  return new Hits(open === true ? openFile : open, table, links, { events });
}
