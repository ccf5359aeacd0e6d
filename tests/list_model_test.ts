import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { hitsAt } from "./counting.ts";
import type { Link } from "../links/link.ts";
import type { Query } from "../links/query.ts";
import { Table } from "../links/table.ts";
import { now } from "../links/time.ts";
import { tempDir } from "./processes.ts";
import { random } from "./random.ts";

const LINKS = 4000;
const ORDERS = ["newest", "written", "hits"] as const;
const DAY = 20782;

/** A link as a plain map has it, and what was done to it since the first page was asked for. */
interface Known extends Link {
  hits: number;
  /** It was changed, or followed, */
  touched?: boolean;
  /** it ended, and another link may have its key now, */
  ended?: boolean;
  /** or it was added: it may have come too late. */
  late?: boolean;
}

/** When links were created, in seconds since 1970. */
const AGES: Record<string, (n: number) => number | undefined> = {
  "at an unknown time": () => undefined,
  "in one second": () => 1000,
  "a few in each second": (n) => 1000 + (n >> 3),
};

describe("Table.list()", () => {
  for (const order of ORDERS) {
    for (const [age, createdAt] of Object.entries(AGES)) {
      for (const q of ["", "example 1"]) {
        const what = `by ${order}, created ${age}${q ? `, searched for "${q}"` : ""}`;
        it(`gives each link once, whatever is done to others between pages: ${what}`, async () => {
          await checkPages(order, createdAt, q);
        });
      }
    }
  }
});

async function checkPages(
  order: NonNullable<Query["order"]>,
  createdAt: (n: number) => number | undefined,
  q: string,
): Promise<void> {
  using dir = tempDir();
  const { seed, pick } = random();
  const table = new Table({ segmentBits: 16, partBits: 10 });
  const hits = hitsAt(`${dir.path}/l.hits`, table);
  await hits.load();
  const model = new Map<string, Known>();
  const set = (link: Link) => table.set(link);
  const follow = (key: string, count: number) => {
    hits.add({ day: DAY, hits: [[key, count, 0]] });
    model.get(key)!.hits += count;
  };
  const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const urlOf = () => `https://example.com/${"x".repeat(pick(60))}/${pick(1000)}`;
  let made = 0;
  const add = (late: boolean) => {
    const n = made++;
    const key = `${digits[pick(62)]}${digits[pick(62)]}${n}`;
    const link: Link = { key, url: urlOf(), created: createdAt(n) };
    if (link.created === undefined) delete link.created;
    set(link);
    model.set(key, { ...link, hits: 0, late });
    if (pick(3) === 0) follow(key, 1 + pick(3));
  };
  while (made < LINKS) add(false);

  /** Something is done to some link. */
  const meddle = () => {
    const keys = [...model.keys()];
    for (let i = 0; i < 60; i++) {
      const known = model.get(keys[pick(keys.length)])!;
      known.touched = true;
      const { hits: _, touched: __, late: ___, ended, ...link } = known;
      switch (pick(6)) {
        case 0:
        case 1: // changed
          if (!ended) set({ ...link, url: known.url = `${urlOf()}?1` });
          break;
        case 2: // deleted, and perhaps created again
          known.ended = true;
          set({ key: known.key, url: "" });
          if (pick(2) === 0) set({ key: known.key, url: urlOf(), created: now() });
          break;
        case 3: // ended
          known.ended = true;
          set({ ...link, expires: 1 });
          break;
        case 4:
          add(true);
          break;
        default:
          if (!ended) follow(known.key, 1 + pick(5));
      }
    }
  };

  await hits.append();
  const seen: string[] = [];
  const limit = 20 + pick(200);
  const chance = 1 + pick(3);
  let after: string | undefined;
  let pages = 0;
  do {
    const page = await table.list({ order, q, limit, after });
    assert(page.links.length <= limit);
    seen.push(...page.links.map(({ key }) => key));
    after = page.next;
    if (pick(chance) === 0) meddle();
    await hits.append();
    assert(pages++ < 2000, `it ends, seed ${seed}`);
  } while (after !== undefined);
  await hits.close();

  const times = new Map<string, number>();
  for (const key of seen) times.set(key, (times.get(key) ?? 0) + 1);
  const wrong: string[] = [];
  for (const { key, url, touched, ended, late } of model.values()) {
    // Only in the order of hits a change may move a link; and it may be found no more.
    if (ended || touched && (order === "hits" || q !== "")) continue;
    const holds = q === "" || key.includes("1") || url.includes("1");
    const count = times.get(key) ?? 0;
    if (late ? count > 1 : count !== (holds ? 1 : 0)) wrong.push(key);
  }
  assertEquals(wrong, [], `seed ${seed}`);
}
