/**
 * A master, its mirrors and caches, and what operators do with them.
 *
 * @module
 */
import { run, tempDir } from "../../tests/processes.ts";
import type { Denokv } from "../../tests/denokv.ts";
import { History } from "./history.ts";
import type { Layout } from "./layouts.ts";
import { Epoch, type Links, readLog } from "./log_record.ts";
import { Machine } from "./machine.ts";
import { Observer } from "./observer.ts";

/** A copy of all links, made while the master went on. */
export interface Backup {
  path: string;
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
  /** The one that owns the links, and has all say; of several on one database, the first. */
  master!: Machine;
  /** The database's service, where there is one. */
  service?: Denokv;
  readonly #began = performance.now();
  readonly #dir = tempDir();
  readonly #above = new Map<Machine, readonly string[]>();

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
    for (const { name, kind = "cache", above = [], flags = [] } of layout.machines) {
      const path = `${this.#dir.path}/${this.machines.length}`;
      Deno.mkdirSync(path);
      const kv = this.service && kind === "service" ? [`-kv=${this.service.url}`] : [];
      const { env } = this.service?.options ?? {};
      const machine = new Machine(name, kind, path, [...flags, ...kv], env);
      this.machines.push(machine);
      this.#above.set(machine, above);
    }
    for (const machine of this.machines) {
      for (const name of this.#above.get(machine) ?? []) {
        const above = this.machines.find((other) => other.name === name);
        if (above) machine.join(above, pick);
      }
    }
    const [first, ...others] = this.machines;
    this.master = first;
    await this.launch(first, true);
    this.terms.push((await first.ready()).term ?? 1);
    await Promise.all(others.map((machine) => this.launch(machine, false)));
    this.observer.follow(first.url);
  }

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

  /** Backs the links up: by `-backup` from the file or over the network, or by copying the file. */
  async backup(how: "file" | "network" | "copy"): Promise<void> {
    const { master, observer } = this;
    const path = `${this.#dir.path}/backup-${this.backups.length}.jsonl`;
    const least = (await master.ready()).position ?? 0;
    if (how === "copy") await Deno.copyFile(master.file, path);
    else {
      const from = how === "file" ? `-file=${master.file}` : `-master=${master.url}`;
      const { code, stderr } = await run(`-backup=${path}`, from);
      if (code !== 0) {
        this.broken.push(`-backup ${how === "file" ? "-file" : "-master"} failed: ${stderr}`);
        return;
      }
    }
    const most = (await master.ready()).position ?? Infinity;
    const epoch = observer.epoch.number;
    this.backups.push({ path, ...readLog(await Deno.readTextFile(path)), epoch, least, most });
  }

  /** Ends the master's process for good, and reads the rest of its log from its file. */
  async #endMaster(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.observer.leave();
    await this.master.stop(signal);
    const text = await Deno.readTextFile(this.master.file);
    const { Base = 0 } = JSON.parse(text.slice(0, text.indexOf("\n")) || "{}");
    this.observer.readFile(text, Base);
  }

  /** Puts a backup in the place of the master's file, as docs/operations.md says. */
  async restore({ path, links, names }: Backup, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#endMaster(signal);
    await Deno.copyFile(path, this.master.file);
    await this.#begin(this.master, links, names);
  }

  /**
   * Makes a mirror the master, as docs/replicas.md says; the old master becomes its mirror.
   *
   * @param position how far the mirror said that it had come
   */
  async promote(mirror: Machine, position: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const old = this.master;
    await this.#endMaster(signal);
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
    await this.launch(old, false);
  }

  /** Starts a master that begins another history. */
  async #begin(machine: Machine, links: Links, names: Set<string>): Promise<void> {
    const { observer } = this;
    this.master = machine;
    observer.begin(new Epoch(observer.epoch.number + 1, this.now(), links, names));
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
    await Promise.all(this.machines.map((machine) => machine[Symbol.asyncDispose]()));
    await this.service?.[Symbol.asyncDispose]();
    this.#dir[Symbol.dispose]();
  }
}
