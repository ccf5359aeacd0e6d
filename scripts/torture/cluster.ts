/**
 * A master, its mirrors and caches, and what operators do with them.
 *
 * @module
 */
import type { Denokv } from "../../tests/denokv.ts";
import { eventually, run, tempDir } from "../../tests/processes.ts";
import { Proxy } from "../../tests/proxy.ts";
import { copyDatabase, placeOf, readDatabase } from "./databases.ts";
import { History } from "./history.ts";
import type { Layout } from "./layouts.ts";
import { Epoch, type Links, readLog } from "./log_record.ts";
import { Machine } from "./machine.ts";
import { Observer } from "./observer.ts";

/** A copy of all links, made while the master went on. */
export interface Backup {
  path: string;
  /** Whether it is a database's files. */
  isDatabase?: boolean;
  links: Links;
  names: Set<string>;
  /** The epoch that it is of. */
  epoch: number;
  /** It has all that stood in the log up to here when it was begun, */
  least: number;
  /** and nothing that came after it was finished. */
  most: number;
}

/** The cluster, and what is known of it. */
export class Cluster implements AsyncDisposable {
  readonly history = new History();
  readonly observer: Observer;
  readonly machines: Machine[] = [];
  readonly backups: Backup[] = [];
  /** All keys that were ever used. */
  readonly keys = new Set<string>();
  /** The terms of masters, in order. */
  readonly terms: number[] = [];
  /** Promises that were seen broken. */
  readonly broken: string[] = [];
  /** Whether servers may have nobody above to ask. */
  excused = false;
  /** Whether masters may not know yet that their database was restored. */
  restored = false;
  /** Masters whose place another one has taken for good. */
  readonly retired: Machine[] = [];
  /** The one that owns the links, and has all say; of several on one database, any. */
  master!: Machine;
  /** The database's service, where there is one. */
  service?: Denokv;
  readonly #began = performance.now();
  readonly #dir = tempDir();
  readonly #above = new Map<Machine, readonly string[]>();
  #checked = 0; // backups

  private constructor() {
    this.observer = new Observer(() => this.now(), new Epoch(1, 0));
  }

  /** Starts all machines of a layout. */
  static async start(layout: Layout, pick: (n: number) => number): Promise<Cluster> {
    const cluster = new Cluster();
    try {
      await cluster.#start(layout, pick);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  async #start(layout: Layout, pick: (n: number) => number): Promise<void> {
    this.service = await layout.service?.();
    const { url = "", options: { env } = {} } = this.service ?? {};
    for (const { name, kind = "cache", above = [], flags, copies, away = 0 } of layout.machines) {
      const path = `${this.#dir.path}/${this.machines.length}`;
      Deno.mkdirSync(path);
      const machine = new Machine(name, kind, path, flags, env, copies);
      this.machines.push(machine);
      if (machine.shares) machine.join(new Proxy(url), away);
      this.#above.set(machine, above);
    }
    for (const machine of this.machines) {
      for (const name of this.#above.get(machine) ?? []) {
        const above = this.machines.find((other) => other.name === name);
        if (above) machine.follow(above, pick);
      }
    }
    const [first, ...others] = this.machines;
    this.master = first;
    await this.launch(first, true);
    this.terms.push((await first.ready()).term ?? 1);
    await Promise.all(others.map((machine) => this.launch(machine, false)));
    this.observer.follow(first.url);
  }

  /** Those that own the links. */
  get masters(): Machine[] {
    return this.machines.filter((machine) => machine === this.master || machine.shares);
  }

  /** All but the master. */
  get replicas(): Machine[] {
    return this.machines.filter((machine) => machine !== this.master);
  }

  /** Milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#began;
  }

  /** Starts a machine, and leads all lanes there. */
  async launch(machine: Machine, master: boolean, ...flags: string[]): Promise<void> {
    await machine.start(master, ...flags);
    for (const { lanes } of this.machines) lanes.get(machine)?.leadTo(machine.url);
  }

  /** Starts a machine again, as what it was. */
  async restart(
    machine: Machine,
    signal: "SIGTERM" | "SIGKILL",
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    const isMaster = machine === this.master;
    if (isMaster) await this.observer.leave();
    await machine.stop(signal);
    await meanwhile();
    await this.launch(machine, isMaster);
    if (isMaster) this.observer.follow(machine.url);
  }

  /** Backs the links up: by `-backup` from the file, the service, or a master, or by copying the file. */
  async backup(how: "file" | "network" | "copy" | "service"): Promise<void> {
    const { master, observer, service } = this;
    const path = `${this.#dir.path}/backup-${this.backups.length}.jsonl`;
    const least = (await master.ready()).position ?? 0;
    if (how === "copy") await Deno.copyFile(master.file, path);
    else {
      const from = {
        file: `-file=${master.file}`,
        network: `-master=${master.url}`,
        service: `-kv=${service?.url}`,
      }[how];
      const { code, stderr } = await run(service?.options ?? {}, `-backup=${path}`, from);
      if (code !== 0) {
        if (!this.excused) this.broken.push(`-backup ${from} failed: ${stderr}`);
        return;
      }
    }
    // Other masters may be ahead of this one.
    const most = master.shares ? Infinity : (await master.ready()).position ?? Infinity;
    const epoch = observer.epoch.number;
    this.backups.push({ path, ...readLog(await Deno.readTextFile(path)), epoch, least, most });
  }

  /** What is wrong with backups that were made since this was last asked. */
  checkBackups(): string[] {
    const fresh = this.backups.slice(this.#checked);
    this.#checked = this.backups.length;
    return fresh.flatMap(({ path, epoch, links, least, most }) => {
      const [of] = this.observer.epochs.filter(({ number }) => number === epoch);
      const misses = of.misses(links, least, most);
      const what = misses.slice(0, 5).join("; ");
      return misses.length === 0 ? [] : [`${path} has what its master never had at once: ${what}`];
    });
  }

  /** Copies the files of the database, which is stopped for that. */
  async copyDatabase(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { master, observer, service } = this;
    const place = placeOf(this);
    if (place === undefined) return;
    const path = `${this.#dir.path}/database-${this.backups.length}`;
    const least = (await master.ready()).position ?? 0;
    const copy = async () => {
      Deno.mkdirSync(path);
      await copyDatabase(place, { ...place, folder: path });
    };
    if (master.kind === "database") await this.restart(master, signal, copy);
    else {
      await service?.stop();
      await copy();
      await service?.begin();
    }
    const text = await readDatabase({ ...place, folder: path });
    const most = positionBehind(text);
    const epoch = observer.epoch.number;
    this.backups.push({ path, isDatabase: true, ...readLog(text), epoch, least, most });
  }

  /** Ends the masters' processes for good, and reads the rest of their log from its file, or the database. */
  async #endMasters(signal: "SIGTERM" | "SIGKILL", masters = this.masters): Promise<void> {
    await this.observer.leave();
    await Promise.all(masters.map((machine) => machine.stop(signal)));
    const place = placeOf(this);
    if (place && this.master.shares) await this.service?.stop();
    const text = place ? await readDatabase(place) : await Deno.readTextFile(this.master.file);
    this.observer.readFile(text, baseOf(text));
  }

  /** Puts a backup in the place of the master's file, as docs/operations.md says. */
  async restore({ path, links, names }: Backup, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#endMasters(signal);
    await Deno.copyFile(path, this.master.file);
    await this.#begin(this.master, links, names);
  }

  /**
   * Puts a copy of the database in its place, as docs/kv.md says.
   *
   * @param master is started with -promote
   * @param others what becomes of the other masters
   */
  async restoreDatabase(
    { path, links, names }: Backup,
    master: Machine,
    others: "stopped" | "frozen" | "go on",
    signal: "SIGTERM" | "SIGKILL",
  ): Promise<void> {
    const { masters, service } = this;
    const place = placeOf(this)!;
    const isStopped = others === "stopped";
    const tell = (what: Deno.Signal) => {
      if (others !== "frozen") return;
      for (const { goto } of masters.filter((other) => other !== master)) goto?.kill(what);
    };
    this.restored = true;
    tell("SIGSTOP");
    await this.#endMasters(signal, isStopped ? masters : []);
    await copyDatabase({ ...place, folder: path }, place);
    const begun = this.now();
    if (master.shares) await service?.begin();
    await master.stop(signal);
    await this.#begin(master, links, names, begun);
    tell("SIGCONT");
    for (const machine of masters) {
      if (machine === master) continue;
      // A copy of the history that is no more is refused.
      if (machine.copies) await machine.stop(signal);
      if (machine.copies) await Deno.remove(machine.file).catch(() => {});
      if (machine.copies || isStopped) await this.launch(machine, false);
    }
  }

  /**
   * Makes a mirror the master, as docs/replicas.md says; the old master becomes its mirror. Masters on a database are
   * there no more.
   *
   * @param position how far the mirror said that it had come
   */
  async promote(mirror: Machine, position: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { master: old, masters } = this;
    await this.#endMasters(signal);
    await mirror.stop("SIGTERM");
    const { links, names } = readLog(await Deno.readTextFile(mirror.file));
    const misses = this.observer.epoch.misses(links, position);
    if (misses.length > 0) {
      this.broken.push(
        `${mirror.name}, promoted at ${position}, has what its master never had at once: ${
          misses.slice(0, 5).join("; ")
        }`,
      );
    }
    await this.#begin(mirror, links, names);
    if (old.keeps) return await this.launch(old, false);
    if (old.shares) await this.service?.begin();
    this.retired.push(...masters);
    for (const machine of masters) this.machines.splice(this.machines.indexOf(machine), 1);
  }

  /**
   * Starts a master again that another one has taken the place of. Asked as by a server that has followed that one, it
   * refuses changes.
   */
  async revive(machine: Machine, ms: number): Promise<void> {
    await machine.start(true); // nobody is led there: it would take changes until it is asked
    const { term } = await this.master.ready();
    const headers = { "content-type": "application/json" };
    const post = (path: string, body: unknown) =>
      fetch(`${machine.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const call = { jsonrpc: "2.0", id: 0, method: "Store.Health", params: [term] };
    const add = async () => {
      await (await post("/rpc", call)).body?.cancel();
      const response = await post("/api/links", { url: "https://example.com/" });
      return response.status === 503 && (await response.text()).includes("took over");
    };
    await eventually(add, ms).catch(({ message }) =>
      this.broken.push(`${machine.name} takes changes though another took over: ${message}`)
    );
    await machine.stop();
  }

  /** Starts a master that begins another history. */
  async #begin(
    machine: Machine,
    links: Links,
    names: Set<string>,
    begun = this.now(),
  ): Promise<void> {
    const { observer } = this;
    this.master = machine;
    observer.begin(new Epoch(observer.epoch.number + 1, begun, links, names));
    await this.launch(machine, true, "-promote");
    observer.follow(machine.url);
    const { term = 1 } = await machine.ready();
    const latest = Math.max(...this.terms);
    if (term <= latest) {
      this.broken.push(
        `${machine.name} was started with -promote in term ${term}, after ${latest}`,
      );
    }
    this.terms.push(term);
  }

  async [Symbol.asyncDispose]() {
    await this.observer.leave();
    const machines = [...this.machines, ...this.retired];
    await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]()));
    await this.service?.[Symbol.asyncDispose]();
    this.#dir[Symbol.dispose]();
  }
}

/** Where a log's text begins. */
function baseOf(text: string): number {
  const { Base = 0 } = JSON.parse(text.slice(0, text.indexOf("\n")) || "{}");
  return Base;
}

/** Where it ends. All of it is ASCII. */
function positionBehind(text: string): number {
  return baseOf(text) + text.length;
}
