/**
 * JSON-RPC texts, good ones and spoiled ones, and a model of what the specification and the methods
 * make of them: every answer must be the one that the model gives.
 *
 * @module
 */
import { Journal } from "../../journal/journal.ts";
import { StoreError } from "../../links/errors.ts";
import { checkKey, checkURL, isName, type Link, RESERVED } from "../../links/link.ts";
import { CODES } from "../../jsonrpc/client.ts";
import { serveRPC } from "../../rpc.ts";
import { parseExpires } from "../../links/time.ts";
import { genKey, URLStore } from "../../store.ts";
import { random } from "../../tests/random.ts";
import { count, mutate, oneOf, type Pick, type Report } from "./mutate.ts";

const PIECES = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "null",
  "1",
  "-",
  "2.0",
  "é",
  "\u0000",
  " ",
];
const PIECES_OF_WORDS = ["id", "params", "Store.Get", "k1", "jsonrpc", '"\\ud800"', "1e400"];
const KEYS = ["k1", "k2", "k3", "0", "a", "add", "", "a b", "ü", "x".repeat(65), "__proto__"];
const URLS = [
  "https://example.com/1",
  "https://example.com/2",
  "example.com",
  "ftp://x/",
  "",
  "💥",
];
const MARKS = ["m1", "m2", "m3", "", "x".repeat(64), "x".repeat(65)];

const TIMES = [
  "2099-12-24",
  "never",
  "in 3 days",
  1000,
  "",
  0,
  "soon",
  "2001-01-01",
  "x".repeat(65),
];

const CREATED = [null, null, 0, 1795600000, "1795600000", 1e10, "12345678901", ""];

const NAMES = [null, null, "ada", "é@example.com", "", "a\nb", "x".repeat(101)];

/** The methods, and what each takes. */
const METHODS: Record<string, { params: string[]; needed: number }> = {
  "Store.Get": { params: ["key"], needed: 1 },
  "Store.Link": { params: ["key"], needed: 1 },
  "Store.Put": {
    params: ["url", "key", "id", "expires", "author", "created", "editor"],
    needed: 1,
  },
  "Store.Update": { params: ["key", "url", "id", "expires", "editor"], needed: 2 },
  "Store.Delete": { params: ["key", "id", "editor"], needed: 1 },
  "Store.Trusts": { params: [], needed: 0 },
  "Store.Health": { params: ["term"], needed: 0 },
};

const TERMS = [null, 0, 1, "1", "x", -1, 1.5, 1e15, "9".repeat(16)];

const NUMBERS: ReadonlySet<string> = new Set(["expires", "created", "term"]);

/** What must be answered: an error with this code, a result, or some result that is looked at. */
type Expected = { code: number } | { result: unknown } | { look: (result: unknown) => boolean };
type Answered = { id: unknown } & Expected;

/** Makes one text. */
function makeText(pick: Pick): string {
  const one = () => pick(20) === 0 ? makeValue(pick, 2) : makeCall(pick);
  const value = pick(3) === 0 ? Array.from({ length: pick(6) }, one) : one();
  const text = JSON.stringify(value);
  return pick(3) === 0 ? mutate(text, pick, [...PIECES, ...PIECES_OF_WORDS]) : text;
}

function makeCall(pick: Pick): Record<string, unknown> {
  const method = oneOf(pick, Object.keys(METHODS));
  const { params } = METHODS[method];
  const values = params.map((name) =>
    pick(20) === 0 ? makeValue(pick, 1) : oneOf(
      pick,
      {
        key: KEYS,
        url: URLS,
        id: MARKS,
        expires: TIMES,
        author: NAMES,
        editor: NAMES,
        created: CREATED,
        term: TERMS,
      }[name]!,
    )
  );
  while (values.length > 0 && pick(4) === 0) values.pop();
  const call: Record<string, unknown> = { jsonrpc: "2.0", method };
  if (pick(10) > 0) {
    const named = params.slice(0, values.length).map((name, i) => [name, values[i]]);
    call.params = pick(2) === 0 ? values : Object.fromEntries(named);
  }
  if (pick(6) > 0) call.id = oneOf(pick, [1, "one", null, -1.5, 0, "", 1e21, "é\u2028"]);
  if (pick(12) === 0) {
    call[oneOf(pick, ["jsonrpc", "method", "params", "id", "extra"])] = makeValue(pick, 2);
  }
  return call;
}

function makeValue(pick: Pick, depth: number): unknown {
  if (depth > 0 && pick(3) === 0) {
    const values = Array.from({ length: pick(4) }, () => makeValue(pick, depth - 1));
    return pick(2) === 0 ? values : Object.fromEntries(values.map((value, i) => [`m${i}`, value]));
  }
  return oneOf(pick, [null, true, false, 0, -1, 1e308, "", "text", "2.0", "Store.Get", "1.0"]);
}

/** What the specification, and a store in which nothing goes wrong, make of a text. */
class Model {
  readonly links = new Map<string, string>(); // deleted ones lead to ""
  readonly #done = new Map<string, Link>(); // by the marks of writes
  #next = 0;
  #under = new Map<string, Link | StoreError>(); // by those of this text, whose calls are made together

  /** What must be answered; nothing for notifications alone. */
  expect(text: string): Answered | Answered[] | undefined {
    this.#under = new Map();
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { id: null, code: -32700 };
    }
    if (!Array.isArray(value)) return this.#call(value, this.links);
    if (value.length === 0) return { id: null, code: -32600 };
    const before = new Map(this.links); // what a batch reads, it reads before its changes are made
    const answers = value.map((call) => this.#call(call, before)).filter((one) =>
      one !== undefined
    );
    return answers.length > 0 ? answers : undefined;
  }

  #call(call: unknown, before: ReadonlyMap<string, string>): Answered | undefined {
    if (typeof call !== "object" || call === null || Array.isArray(call)) {
      return { id: null, code: -32600 };
    }
    const { jsonrpc, method, params = [], id }: Record<string, unknown> = { ...call };
    if (!["string", "number", "undefined"].includes(typeof id) && id !== null) {
      return { id: null, code: -32600 };
    }
    if (jsonrpc !== "2.0" || typeof method !== "string") return { id: id ?? null, code: -32600 };
    const outcome = this.#invoke(method, params, before);
    return id === undefined ? undefined : { id, ...outcome };
  }

  #invoke(method: string, given: unknown, before: ReadonlyMap<string, string>): Expected {
    if (!Object.hasOwn(METHODS, method)) return { code: -32601 };
    const { params, needed } = METHODS[method];
    if (typeof given !== "object" || given === null) return { code: -32602 };
    const named = Array.isArray(given) ? undefined : new Map(Object.entries(given));
    if (named && [...named.keys()].some((name) => !params.includes(name))) return { code: -32602 };
    const values: unknown[] = named ? params.map((name) => named.get(name)) : given as unknown[];
    if (values.length > params.length) return { code: -32602 };
    const args: Record<string, string | undefined> = {};
    for (const [i, name] of params.entries()) {
      let value = values[i] ?? undefined;
      if (NUMBERS.has(name) && typeof value === "number") value = `${value}`;
      if (value === undefined ? i < needed : typeof value !== "string") return { code: -32602 };
      if (typeof value === "string" && !value.isWellFormed()) return { code: -32602 };
      args[name] = value as string | undefined;
    }
    if (args.id !== undefined && (args.id === "" || args.id.length > 64)) return { code: -32602 };
    if (args.expires !== undefined && args.expires.length > 64) return { code: -32602 };
    if (args.created !== undefined && args.created.length > 10) return { code: -32602 };
    if (args.term !== undefined && !/^\d{1,15}$/.test(args.term)) return { code: -32602 };
    const { key = "", url = "", id } = args;
    if (method === "Store.Health") return { look: (result) => Object(result).ready === true };
    if (method === "Store.Trusts") return { result: false };
    if (method === "Store.Get") {
      const found = before.get(key);
      return found ? { result: found } : { code: -32001 };
    }
    if (method === "Store.Link") {
      const found = before.get(key);
      return found ? { look: (result) => Object(result).url === found } : { code: -32001 };
    }
    if (method === "Store.Put" && (args.created ?? args.editor) !== undefined) {
      return { code: -32009 };
    }
    try {
      parseExpires(args.expires ?? "");
    } catch {
      return { code: -32008 };
    }
    const name = args.author ?? args.editor;
    if (name !== undefined && !isName(name)) return { code: -32602 };
    const first = id === undefined ? undefined : this.#under.get(id) ?? this.#done.get(id);
    const made = first ?? this.#write(method, args.key, url);
    if (made instanceof StoreError) {
      if (id !== undefined) this.#under.set(id, made);
      return { code: CODES.get(made.kind)! };
    }
    if (first === undefined) this.#set(made, id);
    return { result: method === "Store.Put" ? made.key : true };
  }

  #write(method: string, key: string | undefined, url: string): Link | StoreError {
    try {
      if (method !== "Store.Delete") url = checkURL(url);
      if (method === "Store.Put") {
        if (key === undefined) return { key: this.#newKey(), url };
        checkKey(key);
      }
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
    const leads = this.links.get(key ?? "");
    if (method === "Store.Put" && leads) return new StoreError("exists", "");
    if (method !== "Store.Put" && !leads) return new StoreError("not found", "");
    return { key: key ?? "", url: method === "Store.Delete" ? "" : url };
  }

  #newKey(): string {
    for (;;) {
      const key = genKey(this.#next++);
      if (!this.links.has(key) && !RESERVED.has(key)) return key;
    }
  }

  /** As a store does that starts. */
  restart(): void {
    this.#next = this.links.size;
  }

  #set(link: Link, id?: string): void {
    this.links.set(link.key, link.url);
    if (id !== undefined) this.#done.set(id, link);
  }
}

/** What is wrong with an answer; nothing, if it is as it must be. */
function compare(text: string | undefined, expected: Answered | Answered[] | undefined): string {
  if (text === undefined || expected === undefined) {
    return text === expected ? "" : `expected ${JSON.stringify(expected)}`;
  }
  const answer: unknown = JSON.parse(text);
  if (!Array.isArray(expected)) return compareOne(answer, expected);
  if (!Array.isArray(answer) || answer.length !== expected.length) {
    return `expected ${expected.length} answers`;
  }
  return expected.map((one, i) => compareOne(answer[i], one)).join("");
}

function compareOne(answer: unknown, { id, ...expected }: Answered): string {
  const { jsonrpc, id: itsId, result, error, ...more }: Record<string, unknown> = Object(answer);
  const { code, message, data: _data, ...others }: Record<string, unknown> = Object(error);
  const back = JSON.parse(JSON.stringify(id)); // 1e400 is a number, but none that can be sent
  const fits = jsonrpc === "2.0" && itsId === back &&
    Object.keys({ ...more, ...others }).length === 0;
  const isError = "code" in expected;
  const good = isError
    ? result === undefined && code === expected.code && typeof message === "string"
    : error === undefined &&
      ("look" in expected ? expected.look(result) : result === expected.result);
  return fits && good ? "" : `expected ${JSON.stringify({ id, ...expected })}`;
}

/** Calls a store by so many texts, which come from `seed`. */
export async function fuzzRPC(
  rounds: number,
  seed: number,
  tell: (text: string) => void = () => {},
): Promise<Report> {
  const { pick } = random(seed);
  const report: Report = { rounds, counts: {}, wrong: [] };
  const dir = await Deno.makeTempDir();
  try {
    const open = async () => {
      const store = new URLStore(await Journal.open(`${dir}/store.jsonl`, { sync: false }));
      await store.load();
      await store.log.promote(); // which no term in a text is later than
      return store;
    };
    let store = await open();
    const model = new Model();
    const failed = (error: unknown) => report.wrong.push(`an error of ours: ${error}`);
    for (let round = 1; round <= rounds; round++) {
      const text = makeText(pick);
      const expected = model.expect(text);
      const { text: answer, position } = await serveRPC(store, failed)(text);
      const wrong = compare(answer, expected);
      const what = `seed ${seed}, round ${round}: ${JSON.stringify(text)}`;
      if (wrong) report.wrong.push(`${what} was answered ${answer}, ${wrong}`);
      if (position.to !== store.position.to) report.wrong.push(`${what} has a wrong position`);
      for (const one of [expected].flat()) {
        count(report, one === undefined ? "none" : "code" in one ? one.code : "result");
      }
      if (round % 2000 === 0) tell(`RPC: ${round} texts`);
      if (report.wrong.length > 10) break;
      if (round % 5000 !== 0 && round !== rounds) continue;
      await store.close();
      store = await open(); // what was answered is in the file
      model.restart();
      const found = new Map(store.urls);
      const same = [...model.links].every(([key, url]) => (found.get(key) ?? "") === url);
      if (!same) report.wrong.push(`seed ${seed}, round ${round}: the file is another one`);
    }
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return report;
}
