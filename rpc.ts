/**
 * The {@linkcode Store} served to others by JSON-RPC, and the Store called from afar.
 *
 * @module
 */
import { parseCounts } from "./hits/counts.ts";
import { isTrafficOrNull, type Traffic } from "./hits/traffic.ts";
import type { Asked } from "./journal/position.ts";
import type { Call } from "./jsonrpc/call.ts";
import { ask, type Client, toRPCError } from "./jsonrpc/client.ts";
import { checkLength, Lookup } from "./jsonrpc/lookup.ts";
import { formatOptions, readChange, readOptions } from "./jsonrpc/options.ts";
import { PARAMS } from "./jsonrpc/params.ts";
import { type Args, type Method, type Observer, serve } from "./jsonrpc/server.ts";
import type { Copy } from "./links/copy.ts";
import { checkLeft, errNoLog, StoreError } from "./links/errors.ts";
import { type Health, isHealth } from "./links/health.ts";
import { checkKey, checkURL, isKey, type Link, randomKey } from "./links/link.ts";
import { isListing, type Listing, type Query, readQuery } from "./links/query.ts";
import { trim } from "./links/text.ts";
import { formatExpires } from "./links/time.ts";
import type { ChangeOptions } from "./links/wanted.ts";
import type { Served, Store } from "./store.ts";

type Context = Asked & { trusted: boolean };

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
 * // { text: '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"key not found","data":"not found"}}',
 * //   position: … }
 * ```
 */
export function serveRPC(
  store: Served,
  onError: (error: unknown) => void = () => {},
  observer?: Observer,
): Call {
  const get = ([key = ""]: Args, asked: Asked) => store.get(key, asked);
  const link = ([key = ""]: Args, asked: Asked) => store.link(key, asked);
  const put = async ([url = "", key, ...options]: Args, { trusted }: Context) =>
    (await store.put(url, key && trim(key), readOptions(options, trusted))).key;
  const done = async (change?: Promise<unknown>) => (await change, true);
  const update = ([key = "", url = "", ...options]: Args) =>
    done(store.update(key, url, readChange(options)));
  const remove = ([key = "", id, editor]: Args) =>
    done(store.delete(key, readChange([id, undefined, editor])));
  const trusts = async (_: Args, { trusted }: Context) =>
    trusted && (await store.trusted?.() ?? true);
  const list = ([q, after, limit, order]: Args, { caller }: Asked) =>
    store.list(readQuery({ q, after, limit, order }), caller?.signal);
  const hits = ([counts = "", id]: Args) => done(store.hits?.take({ ...parseCounts(counts), id }));
  const traffic = async ([key = ""]: Args) => await store.traffic(key) ?? null;
  const health = ([term]: Args) => store.health(Number(term ?? 0));
  const compact = ([id = ""]: Args) => store.compact?.(id) ?? Promise.reject(errNoLog);
  const answer = serve(
    new Map<string, Method<Context>>([
      ["Store.Get", { params: PARAMS.get, safe: true, call: get }],
      ["Store.Link", { params: PARAMS.get, safe: true, call: link }],
      ["Store.Put", { params: PARAMS.put, call: put }],
      ["Store.Update", { params: PARAMS.update, call: update }],
      ["Store.Delete", { params: PARAMS.delete, call: remove }],
      ["Store.List", { params: PARAMS.list, safe: true, large: true, call: list }],
      ["Store.Hits", { params: PARAMS.hits, call: hits }],
      ["Store.Traffic", { params: PARAMS.get, safe: true, call: traffic }],
      ["Store.Compact", { params: PARAMS.compact, call: compact }],
      ["Store.Trusts", { params: [], safe: true, call: trusts }],
      ["Store.Health", { params: PARAMS.health, safe: true, call: health }],
    ]),
    (error) => {
      if (error instanceof StoreError) return toRPCError(error);
      onError(error);
      return { code: -32603, message: "Internal error" };
    },
    observer,
  );
  return (text, since = 0, trusted = false, caller) => {
    const asked = { since, from: store.position.from, trusted, caller };
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
  readonly #lookup: Lookup;
  /** What the ids of its writes begin with. */
  protected readonly idPrefix = randomKey();
  #writes = 0;

  /** @param host where short links live, as {@linkcode checkURL} takes it */
  constructor(
    protected readonly urls: Copy,
    protected readonly client: Client,
    private readonly host?: string,
  ) {
    this.#lookup = new Lookup(urls, client);
  }

  get(key: string, asked?: Asked): string | Promise<string> {
    const url = (asked?.since ?? 0) <= this.urls.position && this.urls.get(key);
    if (url) return url;
    const link = this.#lookup.look(key, asked);
    return link instanceof Promise ? link.then(({ url }) => url) : link.url;
  }

  follow(key: string): string | Link | Promise<Link> {
    return this.urls.get(key) || this.#lookup.look(key);
  }

  get created(): number {
    return this.urls.created;
  }

  link(key: string, asked?: Asked): Link | Promise<Link> {
    const isNew = (asked?.since ?? 0) <= this.urls.position;
    return isNew && this.urls.get(key) && this.urls.peek(key) || this.#lookup.look(key, asked);
  }

  async put(url: string, key?: string, options: ChangeOptions = {}): Promise<Link> {
    url = checkURL(url, this.host);
    if (key !== undefined) checkKey(key);
    const { id = this.#id() } = options;
    const params = [url, key, ...formatOptions({ ...options, id })];
    const newKey = await this.#write("Store.Put", params, key);
    if (isKey(newKey)) return { key: newKey, url }; // a repeated id gets the key of its first link
    throw new StoreError("unavailable", "master gave no key");
  }

  async update(key: string, url: string, options: ChangeOptions = {}): Promise<Link> {
    url = checkURL(url, this.host);
    const { id = this.#id(), expires, editor } = options;
    await this.#write("Store.Update", [key, url, id, formatExpires(expires), editor], key);
    return { key, url };
  }

  async delete(key: string, { id = this.#id(), editor }: ChangeOptions = {}): Promise<void> {
    await this.#write("Store.Delete", [key, id, editor], key);
  }

  /** Asks the master, who has them all. */
  async list({ q, after, limit, order }: Query = {}, signal?: AbortSignal): Promise<Listing> {
    checkLeft(signal);
    const params = [q, after, limit?.toString(), order];
    return await ask(this.client, "Store.List", params, isListing);
  }

  /** Asks the master, who adds up what is counted. */
  async traffic(key: string): Promise<Traffic | undefined> {
    checkLength(key);
    return await ask(this.client, "Store.Traffic", [key], isTrafficOrNull) ?? undefined;
  }

  /** How the master is. */
  async health(): Promise<Health> {
    return await ask(this.client, "Store.Health", [], isHealth);
  }

  /** Calls a method that changes `key`, or, without one, makes a key. */
  async #write(method: string, params: (string | undefined)[], key?: string): Promise<unknown> {
    if (key !== undefined) checkLength(key);
    const { result, error, position } = await this.client.call(method, params);
    const changed = key ?? (isKey(result) ? result : undefined);
    if (changed !== undefined) this.#lookup.tell(changed, position.to);
    if (error) throw error;
    return result;
  }

  /** An id for one write, by which the master knows it when it comes twice. */
  #id(): string {
    return `${this.idPrefix}-${(this.#writes++).toString(36)}`;
  }
}
