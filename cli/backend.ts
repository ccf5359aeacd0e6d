/**
 * What the flags name: a store that owns its links, or one that follows another's. What only some
 * servers need is loaded where it is needed, so that the others start sooner.
 *
 * @module
 */
import { takeUnsent } from "../hits/unsent.ts";
import type { Stats } from "../http/stats.ts";
import type { Events } from "../journal/events.ts";
import { exists, explain, JournalError, reasonOf } from "../journal/file.ts";
import { Journal, type JournalOptions } from "../journal/journal.ts";
import type { LineReader, Log } from "../journal/log.ts";
import { repair } from "../journal/maintenance.ts";
import type { Database } from "../kv/database.ts";
import { causeOf } from "../links/errors.ts";
import type { Health } from "../links/health.ts";
import { plainHost } from "../links/link.ts";
import type { HTTPTransport } from "../replica/transport.ts";
import type { Backend } from "../replica/backend.ts";
import { URLStore } from "../store.ts";
import type { Flags } from "./flags.ts";
import { showProgress } from "./progress.ts";
import { isService } from "./values.ts";

/** The journal of a master that is told of none. */
export const FILE = "store.jsonl";

/**
 * Opens and loads what the flags name.
 *
 * @param base what short links start with
 * @param stats counts what is done
 * @throws {JournalError} it can't be used
 */
export async function openBackend(
  flags: Flags,
  base: string,
  events: Events,
  stats?: Stats,
): Promise<Backend> {
  const host = hostOfBase(base);
  const backend = flags.master.length > 0
    ? await openReplica(flags, host, events, stats)
    : await openMaster(flags, host, events, stats);
  try {
    await backend.load();
    if (backend instanceof URLStore && !backend.log.readOnly) {
      const file = flags.file || (flags.kv === "" ? FILE : "");
      if (backend.hits && file) await takeUnsent(file, backend.hits, events);
      if (flags.promote) await promote(backend, events);
    }
    return backend;
  } catch (error) {
    await backend.close();
    throw error;
  }
}

async function openMaster(
  flags: Flags,
  host: string,
  events: Events,
  stats?: Stats,
): Promise<Backend> {
  const { kv, keys, hits } = flags;
  if (kv !== "") {
    return await openKVStore(flags, host, events, stats);
  }
  const file = flags.file || FILE;
  if (flags.export !== undefined) { // which only reads, whatever else is asked for
    const options = { progress: showProgress(`loading ${file}`, events), events };
    return new URLStore(await Journal.read(file, options), { hits, events });
  }
  if (!await exists(file)) await (await import("../replica/part.ts")).refusePart(file);
  if (flags.promote && !await exists(file)) {
    throw new JournalError(
      `${file}: No such file: -promote takes over with a mirror's, or a backup`,
    );
  }
  const options = optionsOf(flags, file, events, stats);
  if (flags.repair) await repair(file, options);
  return new URLStore(await Journal.open(file, options), { keys, host, hits, events });
}

/** Opens the logs in a database, which the flags name. */
async function openKVStore(
  flags: Flags,
  host: string,
  events: Events,
  stats?: Stats,
): Promise<URLStore> {
  const { KVLog } = await import("../kv/log.ts");
  const { file, kv, promote } = flags;
  if (promote && !isService(kv) && !await exists(kv)) {
    throw new JournalError(
      `${kv}: No such file: -promote takes over with a database that is there`,
    );
  }
  const database = await openDatabaseOf(flags);
  const { LocalCopy } = await import("../kv/copy.ts");
  const copy = file === "" ? undefined : new LocalCopy(file, { events, promote });
  const log = new KVLog(database, "links", {
    events,
    observer: stats?.journal,
    closes: true,
    copy,
  });
  const openHits = async (reader: LineReader) => {
    const hits = new KVLog(database, "hits"); // what is amiss with the database the other one tells
    await hits.load(reader);
    return hits;
  };
  return new URLStore<Log>(log, {
    keys: flags.keys,
    host,
    hits: flags.hits && openHits,
    events,
  });
}

/** Opens the database that the flags name. */
export async function openDatabaseOf({ kv, "kv-token": token }: Flags): Promise<Database> {
  if (isService(kv)) return new (await import("../kv/connect.ts")).ConnectDatabase(kv, token);
  return await (await import("../kv/embedded.ts")).EmbeddedDatabase.open(kv);
}

/** Makes the store a master that is followed in place of those before. */
async function promote({ log }: URLStore, events: Events): Promise<void> {
  try {
    await log.promote();
  } catch (error) {
    throw explain(log.name, error);
  }
  events("info", "took over as the master", { [log.kind]: log.name, term: log.term });
}

async function openReplica(
  flags: Flags,
  host: string,
  events: Events,
  stats?: Stats,
): Promise<Backend> {
  const { Replica } = await import("../replica/replica.ts");
  const { file, cache } = flags;
  const options = optionsOf(flags, file, events, stats);
  if (flags.repair && file && await exists(file)) await repair(file, options);
  const transports = await transportsOf(flags, stats);
  return Replica.of(transports, { ...options, cache, file: file || undefined, host });
}

/** The ways to the masters that the flags name. */
export async function transportsOf(flags: Flags, observer?: Stats): Promise<HTTPTransport[]> {
  const { HTTPTransport } = await import("../replica/transport.ts");
  // Who serves has a token of its own writers; who imports bears that of the master's.
  const token = flags.import !== "" && flags.token || flags["rpc-token"] || undefined;
  return flags.master.map((url) =>
    new HTTPTransport(url, { token, ca: flags["tls-ca"], observer })
  );
}

/**
 * Finds out how the master is that answers: what serves may wait for one, what doesn't had better say why not.
 *
 * @throws {JournalError} none does: why the last one doesn't
 */
export async function requireMaster(flags: Flags): Promise<Health> {
  const { Prober } = await import("../replica/prober.ts");
  const prober = new Prober(new AbortController().signal, () => {});
  let reason = "";
  for (const transport of await transportsOf(flags)) {
    try {
      return (await prober.ask(transport)).health;
    } catch (error) {
      reason = `${transport.address}: ${reasonOf(causeOf(error))}`;
    }
  }
  throw new JournalError(reason);
}

function optionsOf(flags: Flags, file: string, events: Events, stats?: Stats): JournalOptions {
  return {
    sync: flags.sync === "always",
    events,
    observer: stats?.journal,
    progress: showProgress(`loading ${file}`, events),
  };
}

/** What short links start with. */
export function baseOf(flags: Flags, port = flags.http.port): string {
  return flags.host || `${schemeOf(flags)}://localhost:${port}`;
}

/** The host of short links that start with `base`, as it is compared. */
export function hostOfBase(base: string): string {
  return plainHost(new URL(base));
}

/** How the server is spoken to. */
export function schemeOf(flags: Flags): "http" | "https" {
  return flags["tls-cert"] === "" ? "http" : "https";
}
