/**
 * Where a suite keeps its links: in a file, or in an embedded database. A suite's module runs once as it
 * is, and once more as `./x_test.ts?kv`, from kv_suite_test.ts.
 *
 * @module
 */
import { Journal } from "../journal/journal.ts";
import { EmbeddedDatabase } from "../kv/embedded.ts";
import { KVLog } from "../kv/log.ts";
import type { LineReader, Log } from "../journal/log.ts";
import type { Link } from "../links/link.ts";
import type { Backend } from "../replica/backend.ts";
import { URLStore, type URLStoreOptions } from "../store.ts";
import { eventually, type Goto, type Options, start } from "./processes.ts";

async function openStore(path: string, options?: URLStoreOptions): Promise<Backend> {
  const database = await EmbeddedDatabase.open(path);
  const log = new KVLog(database, "links", { closes: true });
  const openHits = async (reader: LineReader) => {
    const hits = new KVLog(database, "hits");
    await hits.load(reader);
    return hits;
  };
  return new URLStore<Log>(log, { hits: openHits, ...options });
}

/** A place for links. */
export interface Place {
  readonly isFile: boolean;
  /** Opens and loads what is in a folder, with links that some store had before. */
  open(
    dir: { path: string },
    options?: URLStoreOptions,
    links?: Iterable<Link>,
  ): Promise<Backend & AsyncDisposable>;
  /** Starts a master. */
  start(...args: [Options, ...string[]] | string[]): Promise<Goto>;
}

/** The place of the suite whose `import.meta.url` this is. */
export function placeOf(url: string): Place {
  const isFile = !url.endsWith("?kv");
  return {
    isFile,
    async open({ path }, options, links = []) {
      const store: Backend = isFile
        ? new URLStore(await Journal.open(`${path}/store.jsonl`), options)
        : await openStore(`${path}/links.db`, options);
      await store.load();
      for (const link of links) await store.restore(link);
      // A database's changes are heard of a moment later.
      await eventually(async () => (await store.health()).reason === undefined);
      return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
    },
    start(...args) {
      const [first, ...rest] = args;
      const [options, flags] = typeof first === "object" ? [first, rest] : [{}, args];
      const texts = flags.map(String);
      const isMaster = !texts.some((flag) => flag.startsWith("-master"));
      return start(options, ...(isMaster && !isFile ? ["-kv=links.db"] : []), ...texts);
    },
  };
}
