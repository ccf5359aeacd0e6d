/**
 * A database behind an address: KV Connect, the protocol of Deno Deploy and denokv.
 *
 * Deno.openKv speaks it, too, but repeats a call for ever while the service is away: it can't be told
 * to give up, writes a line to stderr with each try, and leaves it open what became of a commit. So the
 * protocol, which is small and public, is spoken here.
 *
 * @module
 */
import { readBytes, readReason, readText } from "../http/response.ts";
import { StoreError } from "../links/errors.ts";
import { limit } from "../links/wait.ts";
import {
  after,
  type Database,
  type Entry,
  type Key,
  MAX_READ,
  type Range,
  type Write,
} from "./database.ts";
import {
  formatRead,
  formatWatch,
  formatWrite,
  Messages,
  parseRead,
  parseWatch,
  parseWrite,
} from "./messages.ts";

const VERSIONS = [2, 3]; // of the protocol
const RENEW_MS = 60_000; // before what was told of the database ends
const MAX_ANSWER = 64 << 20; // a thousand values, as many as the protocol reads at once
const MAX_TOLD = 64 << 10;
const NO_SERVICE = "what answers is no KV Connect service";
const SILENT_MS = 15_000; // a service that is watched says something every five seconds

/** What a service told of its database. */
interface Session {
  endpoint: string;
  headers: Record<string, string>;
  /** When it ends, in milliseconds since 1970. */
  ends: number;
}

/**
 * A database behind an address.
 *
 * @example
 * ```ts ignore
 * const database = new ConnectDatabase("http://localhost:4512", "the token");
 * await database.read([["goto", "head"]], AbortSignal.timeout(1000));
 * ```
 */
export class ConnectDatabase implements Database {
  readonly exclusive = false;
  ahead?: number;
  #session?: Promise<Session>;
  readonly #closed = new AbortController();

  constructor(readonly address: string, private readonly token: string) {}

  async read(
    keys: Key[],
    signal: AbortSignal,
    range?: Range,
  ): Promise<(Entry | undefined)[]> {
    if (keys.length > MAX_READ) throw new RangeError(`more than ${MAX_READ} keys`);
    // The first key from this one on that is before the next possible one: the key itself, if it is there.
    const ranges = keys.map((key) => ({ start: key, end: after(key), limit: 1 }));
    const found = await this.#read(range ? [...ranges, range] : ranges, signal);
    const entries = range ? found.pop() ?? [] : [];
    return [...found.map(([entry]) => entry), ...entries];
  }

  async range(range: Range, signal: AbortSignal): Promise<Entry[]> {
    const [entries] = await this.#read([range], signal);
    return entries;
  }

  async #read(ranges: Range[], signal: AbortSignal): Promise<Entry[][]> {
    const response = await this.#post("snapshot_read", formatRead(ranges), signal);
    const entries = await this.#parse(response, parseRead);
    if (entries.length !== ranges.length) throw new Error("the database gave another answer");
    return entries;
  }

  async commit(write: Write, signal: AbortSignal): Promise<string | undefined> {
    const response = await this.#post("atomic_write", formatWrite(write), signal);
    if (response.status === 500) {
      throw new StoreError(
        "full",
        `cannot save: the database answered ${await readReason(response)}`,
      );
    }
    return await this.#parse(response, parseWrite);
  }

  async watch(key: Key, changed: (version: string) => void, signal: AbortSignal): Promise<void> {
    const late = new Error("the database is silent");
    const ask = (until: AbortSignal) => this.#post("watch", formatWatch(key), until);
    const { body, status } = await limit(SILENT_MS, late, signal, ask);
    if (status !== 200 || body === null) {
      await body?.cancel();
      throw new Error(`the database can't be watched: ${status}`);
    }
    const reader = body.getReader();
    // What aborts the fetch need not end its body: the signal that it made of ours may be gone by then.
    const end = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const messages = new Messages(MAX_TOLD);
    let timer;
    try {
      for (;;) {
        timer = setTimeout(end, SILENT_MS);
        const { value } = await reader.read();
        clearTimeout(timer);
        if (value === undefined) break;
        for (const message of messages.take(value)) changed(parseWatch(message));
      }
    } finally {
      end();
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
    throw new Error("the database ended the watch");
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#closed.abort(new Error("the database is closed"));
  }

  async #post(
    method: string,
    body: Uint8Array<ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { endpoint, headers } = await this.#meet(signal);
    const asked = Date.now();
    const response = await fetch(`${endpoint}/${method}`, {
      method: "POST",
      headers,
      body,
      signal,
    });
    const date = Date.parse(response.headers.get("date") ?? "");
    // It tells whole seconds.
    if (date > 0) this.ahead = date + 500 - (asked + Date.now()) / 2;
    return response;
  }

  /** Reads what the service said; where it can't do its work, another one may. */
  async #parse<T>(response: Response, parse: (bytes: Uint8Array) => T): Promise<T> {
    try {
      if (response.status === 200) return parse(await readBytes(response, MAX_ANSWER));
      throw new Error(`the database answered ${await readReason(response)}`);
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  /** Asks where the database is, once for all who need to know. */
  async #meet(signal: AbortSignal): Promise<Session> {
    this.#closed.signal.throwIfAborted();
    const session = this.#session ??= this.#ask(signal);
    try {
      const met = await session;
      if (met.ends - RENEW_MS > Date.now()) return met;
    } catch (error) {
      if (this.#session === session) this.#session = undefined;
      throw error;
    }
    if (this.#session === session) this.#session = undefined;
    return await (this.#session ??= this.#ask(signal));
  }

  async #ask(signal: AbortSignal): Promise<Session> {
    const response = await fetch(this.address, {
      method: "POST",
      headers: { "authorization": `Bearer ${this.token}`, "content-type": "application/json" },
      body: JSON.stringify({ supportedVersions: VERSIONS }),
      signal,
    });
    if (response.status !== 200) {
      throw new Error(`the database answered ${await readReason(response)}`);
    }
    const { version, token = "", databaseId = "", expiresAt = "", endpoints } = parseTold(
      await readText(response, MAX_TOLD),
    );
    const strong = endpoints.find(({ consistency }) => consistency === "strong");
    const endpoint = URL.parse(strong?.url ?? "", response.url || this.address);
    if (!VERSIONS.includes(version) || !strong || !endpoint) throw new Error(NO_SERVICE);
    return {
      endpoint: endpoint.href.replace(/\/+$/, ""),
      headers: {
        "authorization": `Bearer ${token}`,
        "content-type": "application/x-protobuf",
        "x-denokv-version": String(version),
        "x-denokv-database-id": databaseId,
      },
      ends: Date.parse(expiresAt) || Date.now() + 2 * RENEW_MS,
    };
  }
}

/** What a service tells of its database. */
interface Told {
  version: number;
  endpoints: { url?: string; consistency?: string }[];
  databaseId?: string;
  token?: string;
  expiresAt?: string;
}

/** @throws it is nothing of the kind */
function parseTold(text: string): Told {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (isTold(told)) return told;
  throw new Error(NO_SERVICE);
}

function isTold(value: unknown): value is Told {
  const { version, endpoints, databaseId = "", token = "", expiresAt = "" }: {
    [Name in keyof Told]?: unknown;
  } = Object(value);
  return typeof version === "number" && Array.isArray(endpoints) &&
    [databaseId, token, expiresAt].every(isText) && endpoints.every((endpoint) => {
      const { url = "", consistency = "" } = Object(endpoint);
      return endpoint !== null && isText(url) && isText(consistency);
    });
}

/** Whether a value is a text that a header can hold. */
function isText(value: unknown): value is string {
  return typeof value === "string" && /^[\x20-\x7e]*$/.test(value);
}
