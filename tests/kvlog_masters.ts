/**
 * Several masters on one log in a real denokv, each in a process of its own, and clients that record what they are
 * answered.
 *
 * @module
 */
import { readLines } from "../journal/lines.ts";
import { ConnectDatabase } from "../kv/connect.ts";
import { KVLog } from "../kv/log.ts";
import type { Kind, Operation } from "../scripts/torture/history.ts";
import { linearize, type Step } from "../scripts/torture/linear.ts";
import { type Denokv, TOKEN } from "./denokv.ts";
import type { Answer, Plant, Question, State } from "./kvlog_store.ts";
import { within } from "./processes.ts";
import { Proxy } from "./proxy.ts";

const ANSWER_MS = 6000; // a client waits no longer
const PAUSE_MS = 8; // between two questions, on average
const MAX_STEPS = 20_000_000; // of the search for an order
const KEYS = ["a", "b", "c", "d"];

/** A master in a process of its own, behind a proxy of its own. */
export class Master implements AsyncDisposable {
  readonly link: Proxy;
  #child?: Deno.ChildProcess;
  #writer?: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #reading?: Promise<void>;
  #ready = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #count = 0;

  constructor(readonly name: string, service: Denokv, private readonly plant: Plant = "") {
    this.link = new Proxy(service.url);
  }

  async begin(): Promise<this> {
    this.#ready = Promise.withResolvers();
    const store = `${import.meta.dirname}/kvlog_store.ts`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", store, this.link.url, TOKEN, this.plant],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reading = this.#read(child);
    await within(20_000, "a master", this.#ready.promise);
    return this;
  }

  async #read(child: Deno.ChildProcess): Promise<void> {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const { id, ready, ...answer } = JSON.parse(line);
        if (ready) this.#ready.resolve();
        this.#waiting.get(id)?.(answer);
        this.#waiting.delete(id);
      }
    }
    // Nobody knows what became of what it was asked.
    for (const answer of this.#waiting.values()) answer(undefined);
    this.#waiting.clear();
  }

  /** What it answers; nothing, where none comes. */
  async ask(question: Question): Promise<Answer | undefined> {
    return await this.#ask(question) as Answer | undefined;
  }

  async state(): Promise<State> {
    const state = await this.#ask({ kind: "state" });
    if (state === undefined) throw new Error(`${this.name} doesn't tell its state`);
    return state as State;
  }

  /** Has it compact the log; what came of it shows in the log. */
  async compact(): Promise<void> {
    await this.#ask({ kind: "compact" });
  }

  async #ask(question: object): Promise<unknown> {
    const id = this.#count++;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    const timer = setTimeout(() => resolve(undefined), ANSWER_MS);
    try {
      const line = new TextEncoder().encode(`${JSON.stringify({ id, ...question })}\n`);
      await this.#writer?.write(line).catch(() => resolve(undefined));
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills it without warning, and starts it again. */
  async restart(): Promise<void> {
    await this.end();
    await this.begin();
  }

  kill(signal: Deno.Signal): void {
    this.#child?.kill(signal);
  }

  async end(): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child?.status;
    await this.#reading;
    await this.#writer?.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.link[Symbol.asyncDispose]();
  }
}

/** Clients that ask masters at random, and the history of what they were answered. */
export class Clients {
  operations: Operation[] = [];
  #count = 0;
  #running: Promise<void>[] = [];
  #ends = false;

  /** @param pick gives a number from 0 to below `n`, at random */
  constructor(private readonly pick: (n: number) => number, private readonly names = "op") {}

  /** Lets `count` clients ask `master` until {@linkcode stop}. */
  start(master: Master, count: number): void {
    this.#ends = false;
    for (let n = 0; n < count; n++) this.#running.push(this.#run(master));
  }

  async #run(master: Master): Promise<void> {
    const kinds: Kind[] = ["get", "get", "put", "put", "update", "delete"];
    while (!this.#ends) {
      const kind = kinds[this.pick(kinds.length)];
      await this.ask(master, kind, KEYS[this.pick(KEYS.length)]);
      await new Promise((resolve) => setTimeout(resolve, this.pick(2 * PAUSE_MS)));
    }
  }

  async ask(master: Master, kind: Kind, key: string): Promise<void> {
    const name = `${this.names}-${++this.#count}`;
    const url = kind === "put" || kind === "update" ? `https://example.com/${name}` : "";
    const start = performance.now();
    const answer = await master.ask({ kind, key, url, name });
    this.operations.push({
      name,
      kind,
      key,
      url: answer?.url ?? url,
      start,
      end: answer === undefined ? Infinity : performance.now(),
      outcome: answer?.outcome ?? "unknown",
      process: { name: master.name, run: 0, master: true },
      epoch: 0,
      excused: false,
    });
  }

  /** Lets every client finish what it asked for. */
  async stop(): Promise<void> {
    this.#ends = true;
    await Promise.all(this.#running);
    this.#running = [];
  }

  /** Asks each master for each key, so that the history has an end that is known. */
  async settle(masters: Master[]): Promise<void> {
    for (const master of masters) for (const key of KEYS) await this.ask(master, "get", key);
  }

  /** What is wrong with the history, and with the log that it left. */
  check(log: Kept, initial = new Map<string, string>()): string[] {
    const wrong: string[] = [];
    for (const key of KEYS) {
      // Of a read nobody knows what it saw; and a write that is not in the log was never made.
      const isKnown = ({ name, kind, outcome }: Step) =>
        outcome !== "unknown" || kind !== "get" && (log.isCompacted || log.names.has(name));
      const steps = this.operations.filter((operation) => {
        return operation.key === key && isKnown(operation);
      });
      const before = initial.get(key) ?? "";
      const { linearizable, stuck, order } = linearize(steps, before, MAX_STEPS);
      if (linearizable === true) continue;
      wrong.push(`${key}: ${linearizable === false ? "not linearizable" : "undecided"} at:`);
      const told = (step?: Step) =>
        step && `${step.name} ${step.kind} ${step.url} ${step.outcome} ${step.start}-${step.end}`;
      wrong.push(...[...order.slice(-5), stuck].map((step) => `  ${told(step)}`));
    }
    for (const { name, kind, outcome } of this.operations) {
      if (kind === "get") continue;
      const times = log.names.get(name) ?? 0;
      if (times > 1) wrong.push(`${name} is in the log ${times} times`);
      if (times === 0 && outcome === "done" && !log.isCompacted) wrong.push(`${name} is lost`);
      if (times > 0 && outcome !== "done" && outcome !== "unknown") {
        wrong.push(`${name} is in the log, and was refused: ${outcome}`);
      }
    }
    return wrong;
  }
}

/** What a log holds. */
export interface Kept {
  size: number;
  sum: string;
  /** How often each operation is in it. */
  names: Map<string, number>;
  /** Where keys lead. */
  urls: Map<string, string>;
  /** Whether superseded lines may be left out. */
  isCompacted: boolean;
}

/** Reads the log of a service from the beginning. */
export async function readLog(service: Denokv): Promise<Kept> {
  const database = new ConnectDatabase(service.url, TOKEN);
  const log = new KVLog(database, "links");
  const names = new Map<string, number>();
  const urls = new Map<string, string>();
  await log.load({
    read: (lines, bad, tell) =>
      readLines(
        lines,
        ({ key, url, author = "" }) => {
          urls.set(key, url);
          names.set(author, (names.get(author) ?? 0) + 1);
        },
        bad,
        tell,
      ),
  });
  const { base, size, sum } = log.feed;
  await log.close();
  await database.close();
  return { size, sum, names, urls, isCompacted: base > 0 };
}
