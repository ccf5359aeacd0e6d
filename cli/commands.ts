/**
 * What the program does instead of serving. What only some of it needs is loaded where it is needed,
 * so that a server starts sooner.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { type Address, hostOf } from "../http/address.ts";
import type { Events } from "../journal/events.ts";
import { exists, JournalError } from "../journal/file.ts";
import { causeOf } from "../links/errors.ts";
import type { Health } from "../links/health.ts";
import type { Backend } from "../replica/backend.ts";
import { baseOf, FILE, hostOfBase, openBackend, requireMaster, transportsOf } from "./backend.ts";
import type { Source } from "./backup.ts";
import { type Flags, help } from "./flags.ts";
import { print } from "./print.ts";
import { showProgress } from "./progress.ts";
import { complain } from "./stderr.ts";
import type { Target } from "./taker.ts";
import { isService } from "./values.ts";

const HEALTHCHECK_MS = 2000;

/** Does what the flags ask for in place of serving, and gives the exit code; nothing, if they don't. */
export async function runCommand(flags: Flags, events: Events): Promise<number | undefined> {
  if (flags.help) return print(help());
  if (flags.version) {
    return print(`goto ${config.version} (deno ${Deno.version.deno}, ${Deno.build.target})\n`);
  }
  if (flags.healthcheck) return await healthcheck(flags.admin ?? flags.http);
  if (flags.compact) {
    const { runCompact } = await import("./compact.ts");
    const isFile = flags.kv === "" && (flags.file || flags.master.length === 0);
    if (isFile || flags.kv !== "" && !isService(flags.kv)) {
      await requireFile(flags.kv || flags.file || FILE);
    }
    return await runCompact(flags, events);
  }
  if (flags.backup) return await runBackup(flags, events);
  const { export: form, import: path } = flags;
  if (form) {
    const { kv } = flags;
    const file = kv === "" ? flags.file : ""; // a copy is the server's
    const master = file ? [] : flags.master; // what is at hand, as -backup
    if (master.length === 0 && !isService(kv)) await requireFile(kv || file || FILE);
    const { runExport } = await import("./export.ts");
    const source = { ...flags, master, file };
    return await withBackend(source, events, (store) => runExport(form, store, events));
  }
  if (path) {
    const { openInput, runImport } = await import("./import.ts");
    const input = await openInput(path);
    const dry = flags["dry-run"];
    const take = (target: Target) => runImport(input, target, { events, dry });
    const isElsewhere = flags.master.length > 0 || flags.kv !== "";
    const target = isElsewhere ? { ...flags, file: "" } : flags; // which would be a mirror's, or a copy's
    return await (dry ? withDry : withBackend)(target, events, take);
  }
}

/** Refuses to read a file that isn't there, which to open it would make. */
async function requireFile(path: string): Promise<void> {
  if (!await exists(path)) throw new JournalError(`${path}: No such file`);
}

/** Refuses to go on without the links: a server waits for its database, a command doesn't. */
async function requireLoaded(backend: Backend, place: string): Promise<void> {
  const { ready, reason = "the links are not loaded" } = await backend.health();
  if (!ready) throw new JournalError(`${place}: ${reason}`);
}

/** Runs what works on the store that the flags name, and closes it. */
export async function withBackend(
  flags: Flags,
  events: Events,
  run: (backend: Backend, master?: Health) => Promise<number>,
): Promise<number> {
  const master = flags.master.length > 0 ? await requireMaster(flags) : undefined;
  const backend = await openBackend(flags, baseOf(flags), events);
  try {
    if (flags.kv !== "") await requireLoaded(backend, flags.kv);
    return await run(backend, master);
  } finally {
    await backend.close();
  }
}

/** Runs what tells what would happen to the store that the flags name, which is only read. */
async function withDry(
  flags: Flags,
  events: Events,
  run: (target: Target) => Promise<number>,
): Promise<number> {
  const { dryBackend, dryFile, DryStore } = await import("./dry.ts");
  const { kv, file, master } = flags;
  const hosts = [hostOfBase(baseOf(flags))];
  if (master.length === 0 && kv === "") {
    return await run(await dryFile(file || FILE, hosts, events));
  }
  if (kv !== "" && !isService(kv) && !await exists(kv)) {
    return await run(new DryStore(() => undefined, hosts));
  }
  return await withBackend(
    flags,
    events,
    (store, health) => run(dryBackend(store, kv !== "", [...hosts, health?.host ?? ""])),
  );
}

/** Writes all links to a file: from the one that the flags name, a database, or else from the first master. */
async function runBackup(flags: Flags, events: Events): Promise<number> {
  const { backUp, feedSource, fileSource } = await import("./backup.ts");
  const { backup, file, kv } = flags;
  const run = async (source: Source) => {
    const progress = showProgress(`backing up ${backup}`, events);
    const { links, bytes } = await backUp(source, backup, progress);
    const count = (n: number) => n.toLocaleString("en-US");
    return print(`${backup}: ${count(links)} links, ${count(bytes)} bytes\n`);
  };
  if (kv !== "") {
    if (!isService(kv)) await requireFile(kv);
    return await withBackend(
      { ...flags, file: "" },
      events,
      (store) => run(feedSource(kv, () => store.feed(0))),
    );
  }
  if (file || flags.master.length === 0) return await run(fileSource(file || FILE));
  const [transport] = await transportsOf(flags);
  return await run(
    feedSource(transport.address, (signal) => transport.feed(0, undefined, signal)),
  );
}

/** Asks the server at `address` whether it is alive: 0 if so, 1 if not. */
async function healthcheck({ hostname, port }: Address): Promise<number> {
  // Not localhost, a name that an empty container can't resolve.
  const any: Record<string, string> = { "": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1" };
  const host = hostOf({ hostname: any[hostname] ?? hostname, port });
  const signal = AbortSignal.timeout(HEALTHCHECK_MS);
  try {
    const response = await fetch(`http://${host}:${port}/healthz`, { signal });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return print("ok\n");
  } catch (error) {
    complain(`${host}:${port} is not alive: ${causeOf(error)}`);
    return 1;
  }
}
