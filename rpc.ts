/**
 * The {@linkcode Store} served to others by JSON-RPC, and the Store called from afar.
 *
 * @module
 */
import type { Asked, Position } from "./journal/position.ts";
import { type Answer, type Client, CODES, errDown } from "./jsonrpc/client.ts";
import { type Args, type Method, type Observer, type Param, serve } from "./jsonrpc/server.ts";
import type { Copy } from "./links/copy.ts";
import { errExpired, errNotFound, StoreError } from "./links/errors.ts";
import { type Asking, Flights } from "./links/flights.ts";
import { type Health, isHealth } from "./links/health.ts";
import { checkKey, checkURL, isLink, type Link, parseName, randomKey } from "./links/link.ts";
import { isListing, type Listing, type Query, readQuery } from "./links/list.ts";
import { Missing } from "./links/missing.ts";
import { formatExpires, parseExpires } from "./links/time.ts";
import type { Served, Store } from "./store.ts";

const MAX_KEY = 1024; // no longer key is asked for

/** What is sent back: a text, unless there were only notifications, and how new it is. */
export interface Reply {
  text?: string;
  position: Position;
}

/** Answers a JSON-RPC text, no older than at `since`; at once where the store does. */
export type Call = (text: string, since?: number) => Reply | Promise<Reply>;

/**
 * Serves `store` by JSON-RPC, as Go's `rpc.RegisterName("Store", store)` does by its own protocol.
 *
 * @param onError told of errors that are nobody's mistake but ours
 * @param observer told of what is served
 * @example
 * ```ts
 * import { Journal } from "./journal/journal.ts";
 * import { URLStore } from "./store.ts";
 *
 * const call = serveRPC(new URLStore(await Journal.open("served.jsonl")));
 * call('{"jsonrpc":"2.0","method":"Store.Get","params":["0"],"id":1}');
 * // { text: '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"key not found"}}', position: … }
 * ```
 */
export function serveRPC(
  store: Served,
  onError: (error: unknown) => void = () => {},
  observer?: Observer,
): Call {
  const key: Param = { name: "key" };
  const url: Param = { name: "url" };
  const id: Param = { name: "id", optional: true, min: 1, max: 64 };
  const expires: Param = { name: "expires", optional: true, number: true, max: 64 };
  const by: Param = { name: "by", optional: true };
  const put = async ([url = "", key, id, expires = "", by]: Args) =>
    (await store.put(url, key, id, parseExpires(expires), parseName(by))).key;
  const update = async (
    [key = "", url = "", id, expires = "", by]: Args,
  ) => (await store.update(key, url, id, parseExpires(expires), parseName(by)), true);
  const remove = async (
    [key = "", id, by]: Args,
  ) => (await store.delete(key, id, parseName(by)), true);
  const listing = ["q", "after", "limit", "order"].map((name) => ({
    name,
    optional: true,
    number: name === "limit",
  }));
  const list = ([q, after, limit, order]: Args) =>
    store.list(readQuery({ q, after, limit, order }));
  const answer = serve(
    new Map<string, Method<Asked>>([
      ["Store.Get", { params: [key], safe: true, call: ([k = ""], asked) => store.get(k, asked) }],
      ["Store.Link", {
        params: [key],
        safe: true,
        call: ([k = ""], asked) => store.link(k, asked),
      }],
      ["Store.Put", { params: [url, { ...key, optional: true }, id, expires, by], call: put }],
      ["Store.Update", { params: [key, url, id, expires, by], call: update }],
      ["Store.Delete", { params: [key, id, by], call: remove }],
      ["Store.List", { params: listing, safe: true, call: list }],
      ["Store.Health", { params: [], safe: true, call: () => store.health() }],
    ]),
    (error) => {
      if (error instanceof StoreError) {
        return { code: CODES.get(error.kind) ?? -32603, message: error.message, data: error.kind };
      }
      onError(error);
      return { code: -32603, message: "Internal error" };
    },
    observer,
  );
  return (text, since = 0) => {
    const asked = { since, from: store.position.from };
    const position = () => ({ from: asked.from, to: store.position.to });
    const reply = (text?: string) => ({ text, position: position() });
    const answered = answer(text, asked);
    return answered instanceof Promise ? answered.then(reply) : reply(answered);
  };
}

/**
 * The store of a replica: what it doesn't have it asks the master for, and every change is the
 * master's to make.
 *
 * What somebody was told here is never unsaid here: until the feed has come as far as what was told
 * of a key, the master is asked for it.
 */
export class ProxyStore implements Store {
  readonly #flights = new Flights<Link>();
  readonly #missing = new Missing();
  /** What the marks of its writes begin with. */
  protected readonly mark = randomKey();
  #writes = 0;

  /** @param host where short links live, as {@linkcode checkURL} takes it */
  constructor(
    protected readonly urls: Copy,
    protected readonly client: Client,
    private readonly host?: string,
  ) {
    urls.onchange = (key) => this.#forget(key);
  }

  get(key: string, asked?: Asked): string | Promise<string> {
    const url = (asked?.since ?? 0) <= this.urls.position && this.urls.get(key);
    if (url) return url;
    const link = this.#ask(key, asked);
    return link instanceof Promise ? link.then(({ url }) => url) : link.url;
  }

  link(key: string, asked?: Asked): Link | Promise<Link> {
    const isNew = (asked?.since ?? 0) <= this.urls.position;
    return isNew && this.urls.get(key) && this.urls.peek(key) || this.#ask(key, asked);
  }

  async put(
    url: string,
    key?: string,
    id = this.#id(),
    expires?: number,
    by?: string,
  ): Promise<Link> {
    url = checkURL(url, this.host);
    if (key !== undefined) checkKey(key);
    const made = await this.#write("Store.Put", [url, key, id, formatExpires(expires), by], key);
    if (typeof made !== "string") throw new StoreError("unavailable", "master gave no key");
    return { key: made, url };
  }

  async update(
    key: string,
    url: string,
    id = this.#id(),
    expires?: number,
    by?: string,
  ): Promise<Link> {
    url = checkURL(url, this.host);
    await this.#write("Store.Update", [key, url, id, formatExpires(expires), by], key);
    return { key, url };
  }

  async delete(key: string, id = this.#id(), by?: string): Promise<void> {
    await this.#write("Store.Delete", [key, id, by], key);
  }

  /** Asks the master, who has them all. */
  async list({ q, after, limit, order }: Query = {}): Promise<Listing> {
    const params = [q, after, limit?.toString(), order];
    const { result, error } = await this.client.call("Store.List", params);
    if (isListing(result)) return result;
    throw error ?? new StoreError("unavailable", "master gave no list");
  }

  /** How the master is. */
  async health(): Promise<Health> {
    const { result, error } = await this.client.call("Store.Health", []);
    if (isHealth(result)) return result;
    throw error ?? new StoreError("unavailable", "master gave no health");
  }

  /** Asks the master; who asks for the same key meanwhile gets the same answer. */
  #ask(key: string, asked?: Asked): Link | Promise<Link> {
    if (key.length > MAX_KEY) throw errNotFound;
    const since = Math.max(asked?.since ?? 0, this.urls.toldOf(key));
    let flight = this.#flights.join(key, since);
    if (flight === undefined) {
      if (this.client.down) return this.#makeDo(key, errDown);
      if (since <= this.urls.position) {
        if (this.#missing.has(key)) throw errNotFound;
        if (this.urls.live && this.urls.isOver(key)) throw errExpired;
      }
      flight = this.#flights.start(key, since, (asking) => this.#fetch(key, asking));
    }
    const { answer } = flight;
    return asked ? answer.finally(() => asked.from = Math.min(asked.from, flight.from)) : answer;
  }

  async #fetch(key: string, flight: Asking): Promise<Link> {
    const { position: start } = this.urls;
    let answer: Answer;
    try {
      answer = await this.client.call("Store.Link", [key], Math.max(flight.since, start));
    } catch (error) {
      return this.#makeDo(key, error);
    }
    const { result, error, position: { from, to } } = answer;
    flight.from = from; // less than `start`, where who was asked is behind, and can't ask above
    // What comes too late, or is older than what was told, helps whoever asked, and nobody else.
    const good = !flight.overtaken && from >= Math.max(start, this.urls.toldOf(key));
    if (isLink(result)) {
      const link = { ...result, key };
      this.urls.tell(key, to);
      if (good) this.urls.keep(link, to);
      return link;
    }
    if (error === errExpired) {
      this.urls.tell(key, to);
      throw error;
    }
    if (error !== errNotFound) {
      return this.#makeDo(key, error ?? new StoreError("unavailable", "master gave no URL"));
    }
    this.urls.tell(key, to);
    // Where no feed tells of new links, they would come a second late.
    if (good && this.urls.live) this.#missing.add(key);
    throw error;
  }

  /** With nobody above in reach there is what there is. */
  #makeDo(key: string, error: unknown): Link {
    const link = this.urls.peek(key);
    if (this.urls.isOver(key)) throw errExpired;
    if (link?.url) return link;
    throw this.urls.whole ? errNotFound : error;
  }

  /** Calls a method that changes `key`, or, without one, makes a key. */
  async #write(method: string, params: (string | undefined)[], key?: string): Promise<unknown> {
    if (key !== undefined && key.length > MAX_KEY) throw errNotFound;
    const { result, error, position } = await this.client.call(method, params);
    const changed = key ?? result;
    if (typeof changed === "string") {
      this.#missing.delete(changed);
      this.urls.tell(changed, position.to);
    }
    if (error) throw error;
    return result;
  }

  /** A mark for one write, by which the master knows it when it comes twice. */
  #id(): string {
    return `${this.mark}-${(this.#writes++).toString(36)}`;
  }

  /** What was asked for before a change may be older than it. */
  #forget(key?: string): void {
    this.#flights.overtake(key);
    if (key === undefined) this.#missing.clear();
    else this.#missing.delete(key);
  }
}
