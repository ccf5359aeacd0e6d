/**
 * A tiny store on a log in a database, for the tests of the log alone: a map of keys, where writes go by group
 * commit. As a program it is one of several masters: it is told what to do in lines of JSON, and answers likewise.
 *
 * @module
 */
import { MaybeSavedError } from "../journal/appender.ts";
import { Checksum, formatSum } from "../journal/checksum.ts";
import { formatLine, readLines } from "../journal/lines.ts";
import { type LineReader, type Log, LogConflict } from "../journal/log.ts";
import { ConnectDatabase } from "../kv/connect.ts";
import type { Database, Entry } from "../kv/database.ts";
import { KVLog } from "../kv/log.ts";
import type { Change } from "../links/link.ts";
import type { Kind, Outcome } from "../scripts/torture/history.ts";

/** What is asked of a store. */
export interface Question {
  kind: Kind;
  key: string;
  url: string;
  /** Of the operation: it stands in the log as the author. */
  name: string;
}

/** What it answers: of a `get`, where the key leads. */
export interface Answer {
  outcome: Outcome;
  url: string;
}

interface Waiting extends Question {
  answer: (outcome: Outcome) => void;
}

/** Violations that a checker must find. */
export type Plant = "" | "no catch up" | "no nonce";

/** A map of keys on a log. */
export class TinyStore {
  /** Why the log was loaded anew, each time. */
  readonly replaced: string[] = [];
  conflicts = 0;
  urls = new Map<string, string>();
  #queue: Waiting[] = [];
  #saving = false;
  #loading?: Promise<void>;

  constructor(readonly log: Log, private readonly plant: Plant = "") {
    log.onreplace = (reason) => {
      this.replaced.push(reason);
      this.#loading = this.#load();
    };
  }

  async load(): Promise<void> {
    const urls = new Map<string, string>();
    const apply = ({ key, url }: Change) => void urls.set(key, url);
    const reader: LineReader = {
      get keys() {
        return urls.size;
      },
      read: (lines, bad, tell) => readLines(lines, apply, bad, tell),
    };
    await this.log.load(reader);
    this.urls = urls;
  }

  async #load(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      try {
        return await this.load();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100)); // the database isn't back yet
      }
    }
  }

  async ask(question: Question): Promise<Answer> {
    const { kind, key, url } = question;
    if (kind === "get") {
      try {
        await this.#catchUp();
        return { outcome: "done", url: this.urls.get(key) ?? "" };
      } catch {
        return { outcome: "unknown", url: "" };
      }
    }
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#queue.push({ ...question, answer: resolve });
    this.#save();
    return { outcome: await promise, url };
  }

  async #catchUp(): Promise<void> {
    await this.#loading;
    if (this.plant !== "no catch up") await this.log.catchUp();
  }

  async #save(): Promise<void> {
    if (this.#saving) return;
    this.#saving = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, 256);
      try {
        const refused = await this.#append(batch);
        for (const one of batch) one.answer(refused.get(one) ?? "done");
      } catch (error) {
        const outcome = error instanceof MaybeSavedError ? "unknown" : "full";
        for (const { answer } of batch) answer(outcome);
      }
    }
    this.#saving = false;
  }

  /** Appends what can be done of a batch, and gives what can't. */
  async #append(batch: Waiting[]): Promise<Map<Waiting, Outcome>> {
    for (;;) {
      await this.#loading;
      const { refused, changes } = this.#decide(batch);
      try {
        if (changes.length === 0) {
          await this.#catchUp();
          if (this.#decide(batch).changes.length > 0) continue;
          return this.#decide(batch).refused;
        }
        const lines = changes.map(formatLine);
        await this.log.append(lines.join(""));
        for (const { key, url } of changes) this.urls.set(key, url);
        this.log.publish();
        return refused;
      } catch (error) {
        if (!(error instanceof LogConflict)) throw error;
        this.conflicts++;
      }
    }
  }

  #decide(batch: Waiting[]): { refused: Map<Waiting, Outcome>; changes: Change[] } {
    const refused = new Map<Waiting, Outcome>();
    const after = new Map<string, string>();
    const changes: Change[] = [];
    for (const one of batch) {
      const { kind, key, url, name } = one;
      const is = (after.get(key) ?? this.urls.get(key) ?? "") !== "";
      if (is === (kind === "put")) {
        refused.set(one, is ? "exists" : "missing");
        continue;
      }
      after.set(key, url);
      changes.push({ key, url, author: name });
    }
    return { refused, changes };
  }
}

/** What a program tells of its log at the end. */
export interface State {
  size: number;
  sum?: string;
  /** The checksum of what its followers were given, if that is all. */
  followed?: string;
  replaced: string[];
  failure?: string;
  conflicts: number;
  syncs: number;
}

/** A database whose rows bear other nonces than were written: who reads them takes them for another's. */
function withoutNonces(database: Database): Database {
  const read = database.read.bind(database);
  database.read = async (...asked) => {
    const entries = await read(...asked);
    return entries.map((entry) => entry && spoil(entry));
  };
  return database;
}

function spoil(entry: Entry): Entry {
  if (entry.key.at(-2) !== "row") return entry;
  const text = new TextDecoder().decode(entry.value);
  const value = text.replace(/^(\d+ \w+) \w+\n/, "$1 ffffffffffffffff\n");
  return { ...entry, value: new TextEncoder().encode(value) };
}

/** Follows a feed from its beginning, and adds up what comes; it starts over where a mirror would. */
async function follow(log: Log, sums: { sum?: string; size: number }): Promise<void> {
  for (;;) {
    // Where the database is away, a follower tries again.
    await followOnce(log, sums).catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
  }
}

async function followOnce(log: Log, sums: { sum?: string; size: number }): Promise<void> {
  for (;;) {
    const { feed } = log;
    const { base } = feed;
    const checksum = new Checksum(base);
    let isFirst = base > 0; // what comes is the beginning of a compacted log
    for (let bytes; (bytes = await feed.read(checksum.end, 1000)) !== undefined;) {
      if (feed.base !== base && checksum.end < feed.kept) break;
      if (isFirst) {
        const [line] = new TextDecoder().decode(bytes).split("\n");
        const { Kept, Sum, FileSum } = JSON.parse(line);
        const [sum, fileSum] = [parseInt(Sum, 16), parseInt(FileSum, 16)];
        checksum.begin(base, 0, { kept: Kept, sum, fileSum });
        isFirst = false;
      }
      checksum.add(bytes);
      Object.assign(sums, { sum: formatSum(checksum.sum), size: checksum.end });
    }
    while (log.feed === feed && feed.base === base) { // it is being loaded anew
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

if (import.meta.main) {
  const [url, token, plant] = Deno.args;
  const database = new ConnectDatabase(url, token);
  // Nor does it hear of what others append.
  if (plant === "no catch up") database.watch = () => new Promise(() => {});
  const log = new KVLog(plant === "no nonce" ? withoutNonces(database) : database, "links");
  const store = new TinyStore(log, plant as Plant);
  await store.load();
  const sums: { sum?: string; size: number } = { size: 0 };
  follow(log, sums);
  const tell = (value: unknown) => console.log(JSON.stringify(value));
  tell({ ready: true });
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const { id, ...question } = JSON.parse(line);
      if (question.kind === "compact") {
        log.compact().then(
          (done) => tell({ id, done }),
          (error) => tell({ id, error: `${error}` }),
        );
        continue;
      }
      if (question.kind !== "state") {
        store.ask(question).then((answer) => tell({ id, ...answer }));
        continue;
      }
      try {
        await log.catchUp();
      } catch {
        // It is told by its failure.
      }
      const { feed: { size, sum }, failure, syncs } = log;
      for (let tries = 0; tries < 100 && sums.sum !== sum; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const { replaced, conflicts } = store;
      const state: State = { size, sum, followed: sums.sum, replaced, failure, conflicts, syncs };
      tell({ id, ...state });
    }
  }
  Deno.exit();
}
