/**
 * A cache and a mirror that follow a master whose answers and feed are spoiled, cut, or another one's:
 * what they show is always something that was true, the mirror's copy stays, and they ask seldom; once
 * all is well, they show what the master does.
 *
 * Not among the faults is what nobody can tell from the truth: another URL in a good line, or a journal
 * that says that it is a later one.
 *
 * @module
 */
import { Journal } from "../../journal/journal.ts";
import { readLines } from "../../journal/lines.ts";
import { errNotFound, StoreError } from "../../links/errors.ts";
import { Replica } from "../../replica/replica.ts";
import { HTTPTransport } from "../../replica/transport.ts";
import { pause } from "../../links/wait.ts";
import { URLStore } from "../../store.ts";
import { eventually, tempDir } from "../../tests/processes.ts";
import { random } from "../../tests/random.ts";
import { FAULTS, HostileMaster } from "./hostile.ts";
import { count, oneOf, type Pick, type Report } from "./mutate.ts";

const AT_ONCE = 6; // masters, each with a cache and a mirror
const KEYS = 12;
const SPOILED_MS = 600; // so long a round's faults last
const HEALED_MS = 60_000; // until all is well again, on a busy machine too
/** Tries are repeated after 50 ms, 100, 200 ... 2000; two servers, each with its signs of life. */
const MAX_ASKED = 60; // in a round, and half of it for each second that it takes longer
const ROUNDS = 6; // with the same servers
const never = new AbortController().signal;

/** Runs so many rounds, with faults and choices that come from `seed`. */
export async function fuzzFeed(
  rounds: number,
  seed: number,
  tell: (text: string) => void = () => {},
): Promise<Report> {
  const report: Report = { rounds, counts: {}, wrong: [] };
  let left = rounds;
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rounds) }, async (_, lane) => {
    for (let turn = 0; left > 0 && report.wrong.length < 10; turn++) {
      const some = Math.min(left, ROUNDS);
      left -= some;
      const own = seed + lane + AT_ONCE * turn;
      await fuzzSome(some, own, report).catch((error) => {
        report.wrong.push(`seed ${seed}, of it ${own}: ${error.stack}`);
      });
      tell(`feed: ${rounds - left} rounds`);
    }
  }));
  return report;
}

/** Some rounds with one master. */
async function fuzzSome(rounds: number, seed: number, report: Report): Promise<void> {
  const { pick } = random(seed);
  using dir = tempDir();
  await using all = new AsyncDisposableStack();
  const open = async (name: string) => {
    const store = new URLStore(await Journal.open(`${dir.path}/${name}`, { sync: false }));
    await store.load();
    all.defer(async () => {
      await store.endFeeds();
      await store.close();
    });
    return store;
  };
  const [store, other] = [await open("store.jsonl"), await open("other.jsonl")];
  await other.put("https://example.com/false", "k0");
  const truth = new Truth(store, pick);
  await truth.begin();
  if (pick(2) === 0) await store.log.promote();
  const master = all.use(new HostileMaster(store, other, pick, report));
  const events: string[] = [];
  const replica = async (file?: string) => {
    const options = {
      sync: false,
      file,
      events: (level: string, msg: string, fields?: Record<string, unknown>) => {
        if (level !== "info") events.push(`${msg}: ${fields?.reason}`);
      },
    };
    const replica = Replica.of([new HTTPTransport(master.url)], options);
    await replica.load();
    all.defer(async () => {
      await replica.endFeeds();
      await replica.close();
    });
    return replica;
  };
  const file = `${dir.path}/copy.jsonl`;
  const [cache, mirror] = [await replica(), await replica(file)];
  const wrong = (text: string) => report.wrong.push(`seed ${seed}: ${text}`);

  await heal("the beginning");
  for (let round = 0; round < rounds; round++) {
    const { faults } = master;
    for (const kind of ["health", "call", "feed"] as const) {
      faults[kind] = oneOf(pick, FAULTS[kind]);
    }
    const name = `round ${round}, ${JSON.stringify(faults)}`;
    master.asked = 0;
    events.length = 0;
    master.cut();
    const end = performance.now() + SPOILED_MS;
    await Promise.all([
      ...[cache, mirror].map((replica) => readers(replica, end, name)),
      truth.go(end),
    ]);
    const seconds = Math.max(0, performance.now() - end) / 1000;
    const most = MAX_ASKED * (1 + seconds / 2);
    if (master.asked > most) wrong(`${name}: ${master.asked} requests`);
    if (events.length > 12) wrong(`${name}: ${events.length} events: ${events.slice(0, 20)}`);
    master.faults = { health: "none", call: "none", feed: "none" };
    master.cut();
    await heal(name);
  }

  /** Asks for links all the time. */
  async function readers(replica: Replica, end: number, name: string): Promise<void> {
    while (performance.now() < end) {
      const key = `k${pick(KEYS)}`;
      const url = await get(replica, key);
      count(report, url === undefined ? "no answer" : url === "" ? "not found" : "link");
      if (url !== undefined && !truth.was(key, url)) {
        wrong(`${name}: ${replica === cache ? "cache" : "mirror"}: ${key} leads to "${url}"`);
      }
      await pause(pick(20), never);
    }
  }

  /** Waits until both show what the master does, and the mirror has it on disk. */
  async function heal(name: string): Promise<void> {
    try {
      await eventually(async () => {
        if (!(await mirror.health()).complete) throw new Error("the mirror is not complete");
        for (const replica of [cache, mirror]) {
          for (let key = 0; key < KEYS; key++) await check(replica, `k${key}`);
        }
      }, HEALED_MS);
    } catch (error) {
      wrong(`${name}: ${(error as Error).message}; ${events.slice(-20).join("; ")}`);
    }
    await checkFile(name);
  }

  async function check(replica: Replica, key: string): Promise<void> {
    const [url, right] = [await get(replica, key), await get(store, key)];
    if (url === right) return;
    throw new Error(`${replica === cache ? "cache" : "mirror"}: ${key} is ${url}, not ${right}`);
  }

  /** The copy is there, has good lines only, and no link that was never true, or none at all. */
  async function checkFile(name: string): Promise<void> {
    const bytes = await Deno.readFile(file).catch(() => undefined);
    if (bytes === undefined) return void wrong(`${name}: the copy is gone`);
    const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
    const links = new Map<string, string>();
    const bad = (line: number, reason: string) =>
      wrong(`${name}: the copy's line ${line}: ${reason}`);
    readLines(whole, ({ key, url }) => void links.set(key, url), bad);
    for (let key = 0; key < KEYS; key++) {
      const url = links.get(`k${key}`);
      if (url === undefined) wrong(`${name}: the copy has lost k${key}`);
      else if (!truth.was(`k${key}`, url)) wrong(`${name}: the copy's k${key} leads to ${url}`);
    }
  }
}

/** The URL, "" where there is none, nothing where nobody can say. */
async function get(store: URLStore | Replica, key: string): Promise<string | undefined> {
  try {
    return await store.get(key);
  } catch (error) {
    if (error === errNotFound) return "";
    if (error instanceof StoreError && error.kind === "unavailable") return undefined;
    throw error;
  }
}

/** Everything that was ever true of the links. */
class Truth {
  readonly #was = new Map<string, Set<string>>();
  #version = 0;

  constructor(private readonly store: URLStore, private readonly pick: Pick) {}

  /** Makes the links. */
  async begin(): Promise<void> {
    for (let key = 0; key < KEYS; key++) {
      const url = this.#note(`k${key}`);
      await this.store.put(url, `k${key}`);
    }
  }

  /** Changes links for a while. One half is never deleted. */
  async go(end: number): Promise<void> {
    while (performance.now() < end) {
      const key = `k${this.pick(KEYS)}`;
      if (this.store.urls.get(key) === "") await this.store.put(this.#note(key), key);
      else if (Number(key.slice(1)) < KEYS / 2 || this.pick(3)) {
        await this.store.update(key, this.#note(key));
      } else {
        this.#note(key, "");
        await this.store.delete(key);
      }
      await pause(this.pick(60), never);
    }
  }

  was(key: string, url: string): boolean {
    return this.#was.get(key)?.has(url) ?? false;
  }

  #note(key: string, url = `https://example.com/${key}/${this.#version++}`): string {
    const all = this.#was.get(key) ?? new Set();
    this.#was.set(key, all.add(url));
    return url;
  }
}
