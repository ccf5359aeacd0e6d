/**
 * Kills a master while many write to it, starts it again, and looks for every change that it had
 * acknowledged; over and over, with one journal.
 *
 *     deno task crash -- --rounds=200
 *
 * @module
 */
import { random } from "../tests/random.ts";
import { takeArgs } from "./args.ts";
import { eventually, follow, type Goto, run, start, tempDir } from "../tests/processes.ts";

/** What was written, and what of it was found. */
export interface Report {
  rounds: number;
  /** Changes that were acknowledged: new links, changed and deleted ones. */
  acknowledged: number;
  links: number;
  /** Links that had their last acknowledged URL, or one that was on its way when the kill came. */
  found: number;
  /** How often a torn last line was cut off. */
  torn: number;
  /** How often the file was compacted meanwhile. */
  compacted: number;
  lost: string[];
}

const WRITERS = 16;
const MAX_WRITES = 100_000; // of one writer in one round; no kill comes so late

/** Runs so many rounds, with pauses and choices that come from `seed`. */
export async function crash(
  rounds: number,
  seed: number,
  { flags = [] as string[], tell = (_text: string) => {} } = {},
): Promise<Report> {
  const { pick } = random(seed);
  const report: Report = {
    rounds,
    acknowledged: 0,
    links: 0,
    found: 0,
    torn: 0,
    compacted: 0,
    lost: [],
  };
  // What each key may lead to: one URL, or two while a change of it is under way. "" is deleted.
  const links = new Map<string, string[]>();

  using dir = tempDir();
  const cwd = dir.path;
  await using master = await start({ cwd }, ...flags);
  for (let round = 1; round <= rounds; round++) {
    const before = report.acknowledged;
    const enough = before + 1 + pick(200);
    const writing = Array.from({ length: WRITERS }, (_, i) => write(master.url, `${round}-${i}`));
    const asks = pick(4) === 0;
    const compacting = asks ? run({ cwd }, "-compact").catch(() => {}) : undefined;
    await eventually(() => report.acknowledged >= enough);
    // Any moment will do. Who is asked to compact looks once a second.
    await new Promise((resolve) => setTimeout(resolve, pick(asks ? 2000 : 20)));
    master.kill("SIGKILL");
    await master.status;
    report.compacted += master.logs.filter(({ msg }) => msg === "compacted").length;
    const touched = new Set((await Promise.all(writing)).flat());
    if (pick(2) === 0) await killWhileStarting(master);
    await beginAfter(compacting);
    report.torn += master.logs.filter(({ msg }) => msg.includes("torn")).length;
    await look(master, round === rounds ? links.keys() : touched);
    tell(`round ${round}: ${report.acknowledged - before} changes, ${links.size} links`);
  }
  report.links = links.size;
  report.found = links.size - report.lost.length;
  return report;

  /** Adds links, and now and then changes or deletes one of its own, until the master is gone. */
  async function write(url: string, name: string): Promise<string[]> {
    const own: string[] = [];
    for (let n = 0; n < MAX_WRITES; n++) {
      const target = `https://example.com/${name}/${n}`;
      const kind = pick(10);
      const key = kind < 3 && own.length > 0 ? own[pick(own.length)] : undefined;
      try {
        if (key === undefined) {
          const alias = kind === 9 ? `alias-${name}-${n}` : undefined;
          const made = (await send(url, "POST", "", { url: target, key: alias })).key;
          if (links.has(made)) report.lost.push(`${made} was given to two`);
          links.set(made, [target]);
          own.push(made);
        } else if (links.get(key)![0] !== "") {
          const changed = kind === 0 ? "" : target;
          links.get(key)!.push(changed);
          if (changed) await send(url, "PUT", key, { url: changed });
          else await send(url, "DELETE", key);
          links.set(key, [changed]);
        } else {
          continue;
        }
        report.acknowledged++;
      } catch (error) {
        if (error instanceof Refused) throw error;
        break;
      }
    }
    return own;
  }

  /** Looks whether the keys lead where they may. */
  async function look({ url }: Goto, keys: Iterable<string>): Promise<void> {
    const queue = [...keys];
    await Promise.all(Array.from({ length: WRITERS }, async () => {
      for (let key; (key = queue.pop()) !== undefined;) {
        const { status, location } = await follow(url, key);
        const found = status === 302 ? location! : status === 404 ? "" : `status ${status}`;
        const allowed = links.get(key)!;
        if (!allowed.includes(found)) {
          report.lost.push(`${key}: ${found}, not ${allowed.join(" or ")}`);
        }
        links.set(key, [found]);
      }
    }));
  }

  /** Starts the master again; a `-compact` that found none to ask may have the file just now. */
  async function beginAfter(compacting?: Promise<unknown>): Promise<void> {
    try {
      await master.begin();
    } catch (error) {
      if (!compacting || !master.stderr.includes("Already in use")) throw error;
      await compacting;
      await master.begin();
    }
    await compacting;
  }

  /** Kills the master once more, anywhere between its start and its first answers. */
  async function killWhileStarting(master: Goto): Promise<void> {
    const begun = master.begin().then(() => {}, () => {});
    await new Promise((resolve) => setTimeout(resolve, pick(150)));
    master.kill("SIGKILL");
    await master.status;
    await begun;
  }
}

/** An answer that no crash explains. */
class Refused extends Error {}

async function send(
  base: string,
  method: string,
  key: string,
  body?: { url: string; key?: string },
): Promise<{ key: string }> {
  const response = await fetch(`${base}/api/links${key && `/${key}`}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Refused(`${method} ${key}: ${response.status} ${text}`);
  return text === "" ? { key } : JSON.parse(text);
}

if (import.meta.main) {
  const values = takeArgs("crash", {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: `${random().seed}` },
    sync: { type: "string", default: "always" },
  });
  const flags = [`-sync=${values.sync}`];
  console.log(`${values.rounds} rounds with seed ${values.seed}`);
  const { lost, ...report } = await crash(Number(values.rounds), Number(values.seed), {
    flags,
    tell: (text) => console.log(text),
  });
  console.log(report);
  for (const line of lost) console.error(`lost: ${line}`);
  Deno.exitCode = lost.length > 0 ? 1 : 0;
}
