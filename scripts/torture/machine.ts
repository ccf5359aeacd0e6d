/**
 * A machine of the cluster: a directory, and the process that serves there.
 *
 * @module
 */
import { LaneProxy } from "../../tests/lanes.ts";
import { type Goto, start, within } from "../../tests/processes.ts";
import type { Proxy } from "../../tests/proxy.ts";
import type { Process } from "./history.ts";

const FILE = "links.jsonl";
const NOWHERE = "http://127.0.0.1:9"; // nobody listens there
const COMMON = ["-rpc", "-user-header=x-user", "-proxy=1"];

/** What `/readyz` says of a server. */
export interface Ready {
  ready: boolean;
  reason?: string;
  links: number;
  position?: number;
  term?: number;
  complete?: boolean;
  lagBytes?: number;
}

/** What a machine does. */
export type Kind = "file" | "database" | "service" | "cache";

/** A machine, which owns the links, keeps a copy of all of them, or a cache. */
export class Machine implements AsyncDisposable {
  /** The process that serves, or served last. */
  goto?: Goto;
  process: Process;
  /** The ways to those that it may follow, the first one first. */
  readonly lanes = new Map<Machine, LaneProxy>();

  #away = 0;

  /** Where clients reach it, if not straight. */
  front?: string;
  /** Its way to the database's service. */
  database?: Proxy;

  /**
   * @param kind what it does: keeps a file with all links, so that it can be the master; owns the links in a
   * database; owns them with others, in a service; or is a cache
   * @param path its directory
   * @param flags beside those that every machine has
   * @param copies whether it owns the links in a database, and keeps a copy of them in a file
   */
  constructor(
    readonly name: string,
    readonly kind: Kind,
    readonly path: string,
    private readonly flags: string[] = [],
    private readonly env: Record<string, string> = {},
    readonly copies = false,
  ) {
    this.process = { name, run: 0, master: false };
  }

  /** Whether it has a file with all links. */
  get keeps(): boolean {
    return this.kind === "file";
  }

  /** Whether it owns the links with others. */
  get shares(): boolean {
    return this.kind === "service";
  }

  /** Where its links are. */
  get file(): string {
    return `${this.path}/${FILE}`;
  }

  get url(): string {
    return this.goto?.url ?? NOWHERE;
  }

  /** Lets it use a database's service that is `away` milliseconds away. */
  join(database: Proxy, away: number): void {
    this.database = database;
    this.#away = away;
    this.heal();
  }

  /** Lets all its ways be right again. */
  heal(): void {
    for (const lane of this.lanes.values()) lane.heal();
    if (this.database === undefined) return;
    this.database.refuses = false;
    this.database.delay = this.#away;
  }

  /** Lets it follow `above`, by a lane of its own. */
  follow(above: Machine, pick: (n: number) => number): void {
    this.lanes.set(above, new LaneProxy(above.url, pick));
  }

  /** Starts its process, as the master or a replica; it must not run. */
  async start(master: boolean, ...flags: string[]): Promise<void> {
    const { name, shares, process: { run } } = this;
    this.process = { name, run: run + 1, master: master && !shares, shared: shares };
    const lanes = [...this.lanes.values()].map(({ url }) => url);
    const role = master || shares ? [] : [`-master=${lanes.join(",")}`];
    const file = this.keeps || this.copies ? [`-file=${FILE}`] : [];
    if (this.database) file.push(`-kv=${this.database.url}`);
    const options = { cwd: this.path, env: this.env };
    this.goto = await start(options, ...COMMON, ...this.flags, ...role, ...file, ...flags);
  }

  /** Ends its process, if there is one. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    if (signal === "SIGTERM") await this.goto?.stop();
    this.goto?.kill(signal);
    if (this.goto) await within(10_000, `the end of ${this.name}`, this.goto.status);
  }

  /** What its process warned of, the last few of each. */
  get warnings(): string {
    const { logs = [] } = this.goto ?? {};
    const all = new Set(
      logs.filter(({ level }) => level !== "info")
        .map(({ msg, reason }) => reason === undefined ? msg : `${msg}: ${reason}`),
    );
    return [...all].slice(-3).join("; ") || "nothing";
  }

  async ready(): Promise<Ready> {
    const response = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(5000) });
    return await response.json();
  }

  async [Symbol.asyncDispose]() {
    await this.stop().catch(() => {});
    await this.goto?.[Symbol.asyncDispose]();
    for (const lane of this.lanes.values()) await lane[Symbol.asyncDispose]();
    await this.database?.[Symbol.asyncDispose]();
  }
}
