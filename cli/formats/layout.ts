/**
 * What stands where in the rows of a table, or in the members of an object.
 *
 * @module
 */
import { findGuards, type Guard } from "./guards.ts";
import { plain, type Program, PROGRAMS } from "./program.ts";
import { shorten } from "./remarks.ts";

const MAX_COLUMNS = 1000;
const LEAVE = "leave one of them out";

const KEYS = [
  "key",
  "keyword",
  "slug",
  "shortcode",
  "alias",
  "address",
  "short",
  "shorturl",
  "shortlink",
  "bitlink",
  "backhalf",
];
const URLS = [
  "url",
  "longurl",
  "longlink",
  "long",
  "target",
  "targeturl",
  "destination",
  "destinationurl",
  "originalurl",
];

/** What else of a link others call how. */
const FACTS = {
  created: [
    "created",
    "createdat",
    "datecreated",
    "createddate",
    "creationdate",
    "timestamp",
    "made",
  ],
  expires: [
    "expires",
    "expiresat",
    "expirein",
    "expiresin",
    "expireat",
    "expiredat",
    "expiry",
    "expirydate",
    "expiration",
    "expirationdate",
    "expirationat",
    "expirationtime",
    "validuntil",
    "metavaliduntil",
    "expireson",
    "expireon",
    "expiresafter",
    "expiredate",
    "expiresdate",
    "validto",
    "validtill",
    "activeuntil",
    "availableuntil",
    "enddate",
    "endsat",
    "endson",
    "endat",
    "ends",
  ],
  /** In seconds since 1970. */
  expirySeconds: ["expirytime"],
  author: ["author", "owner", "createdby", "creator", "by"],
  editor: ["editor", "updatedby", "editedby", "changedby"],
  clicks: [
    "clicks",
    "hits",
    "visits",
    "visitcount",
    "visitscount",
    "visitssummarytotal",
    "totalclicks",
    "clickcount",
  ],
} satisfies Record<string, string[]>;

/** A fact of a link that files may have. */
export type Fact = keyof typeof FACTS;

/** A column, or a member: its place, and what it is called. */
export interface Column {
  at: number;
  name: string;
}

/** What stands where. */
export interface Layout {
  program?: Program;
  key: Column;
  /** Each has the key, too. */
  copies: Column[];
  /** Each is one more key of the same link. */
  more: Column[];
  url: Column;
  facts: Partial<Record<Fact, Column>>;
  guards: Guard[];
  /** The names of what isn't taken over. */
  ignored: string[];
}

/** Why nothing can be read by the names, and what to do. */
export interface Confusion {
  reason: string;
  hint?: string;
}

/**
 * Finds out what stands where by the names of columns or members. A member of a member is called
 * `meta.validUntil`.
 *
 * @example
 * ```ts
 * layOut(["slug", "long_url", "title"]); // { key: { at: 0, name: "slug" }, ..., ignored: ["title"] }
 * layOut(["slug", "alias", "url"]); // { reason: "slug and alias could both be the key" }
 * ```
 */
export function layOut(names: string[]): Layout | Confusion {
  const plains = names.map((name) => plain(name) || name.trim());
  const columns = names.map((name, at) => ({ at, name: name.trim(), plain: plains[at] }));
  const find = (wanted: string[]) => columns.filter(({ plain }) => wanted.includes(plain));
  const has = (name: string) => plains.includes(name);

  if (names.length > MAX_COLUMNS) return { reason: `it has more than ${MAX_COLUMNS} columns` };
  const twice = columns.find(({ plain }, at) => plain !== "" && plains.indexOf(plain) !== at);
  if (twice) {
    const { name } = columns[plains.indexOf(twice.plain)];
    return { reason: `${shorten(name)} and ${shorten(twice.name)} are one name`, hint: LEAVE };
  }

  const program = PROGRAMS.find(({ signs }) => signs.every((group) => group.some(has)));
  const { keys = [], more = [] } = program ?? {};
  const key = keys.map((name) => find([name])[0]).find((column) => column !== undefined);
  const otherKeys = find(KEYS).filter(({ plain }) => !keys.includes(plain));
  const possibleKeys = key === undefined ? otherKeys : [key, ...otherKeys];
  const possibleURLs = find(URLS);
  if (possibleKeys.length > 1) return confused(possibleKeys, "the key");
  if (possibleURLs.length > 1) return confused(possibleURLs, "the URL");
  if (possibleKeys.length === 0 || possibleURLs.length === 0) {
    return { reason: `it has no ${possibleKeys.length === 0 ? "key" : "URL"}` };
  }

  const facts: Layout["facts"] = {};
  for (const fact of Object.keys(FACTS) as Fact[]) {
    const possible = find(FACTS[fact]);
    if (fact !== "clicks" && possible.length > 1) return confused(possible, `what is ${fact} here`);
    if (possible.length > 0) facts[fact] = possible[0];
  }
  if (facts.expires && facts.expirySeconds) {
    return confused([facts.expires, facts.expirySeconds], "the end");
  }
  const known = new Set(Object.values(facts).map(({ at }) => at));
  const guards = findGuards(columns.filter(({ at }) => !known.has(at)));
  const copies = find(keys).filter((column) => column !== key);
  const moreKeys = find(more);
  const taken = new Set([
    ...[...possibleURLs, ...moreKeys, ...copies, ...possibleKeys, ...guards],
    ...Object.entries(facts).filter(([fact]) => fact !== "clicks").map(([, column]) => column),
  ].map(({ at }) => at));
  // Of a member none of whose members are taken, the name of the whole is enough.
  const headOf = (name: string) => name.split(".", 1)[0];
  const heads = new Set(columns.filter(({ at }) => taken.has(at)).map(({ name }) => headOf(name)));
  const ignored = columns.filter(({ at, name }) => name !== "" && !taken.has(at))
    .map(({ name }) => heads.has(headOf(name)) ? name : headOf(name));
  return {
    program,
    key: possibleKeys[0],
    copies,
    more: moreKeys,
    url: possibleURLs[0],
    facts,
    guards,
    ignored,
  };
}

function confused(columns: Column[], what: string): Confusion {
  const names = columns.map(({ name }) => shorten(name)).join(" and ");
  return { reason: `${names} could both be ${what}`, hint: LEAVE };
}
