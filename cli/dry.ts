/**
 * What an import would do.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { exists, explain } from "../journal/file.ts";
import { refuse } from "../journal/journal.ts";
import { LinkReader } from "../journal/link_reader.ts";
import { loadLines } from "../journal/load.ts";
import { StoreError } from "../links/errors.ts";
import { checkKey, checkURL, type Link } from "../links/link.ts";
import { Table } from "../links/table.ts";
import { checkExpires } from "../links/time.ts";
import { type ChangeOptions, factsOf, leading, type Wanted } from "../links/wanted.ts";
import type { Backend } from "../replica/backend.ts";
import { showProgress } from "./progress.ts";
import type { Target } from "./taker.ts";

/** Gives what there is of a key. */
type Look = (key: string) => Link | undefined | Promise<Link | undefined>;

/**
 * A store in which nothing changes: what is put into it is remembered, as far as the rest of an import must
 * know.
 *
 * @example
 * ```ts
 * const store = new DryStore(() => undefined);
 * await store.put("https://example.com/", "docs");
 * (await store.link("docs")).url; // "https://example.com/", though nobody else will find it
 * ```
 */
export class DryStore implements Target {
  readonly #links = new Map<string, Link>();

  /**
   * @param look gives what there is of a key
   * @param hosts those of short links, which no link may point at
   */
  constructor(private readonly look: Look, private readonly hosts: string[] = []) {}

  async link(key: string): Promise<Link> {
    return leading(await this.#get(key));
  }

  async put(url: string, key = "", options: ChangeOptions = {}): Promise<Link> {
    url = checkURL(url);
    for (const host of this.hosts) checkURL(url, host);
    checkKey(key);
    if (options.expires !== undefined) checkExpires(options.expires);
    return await this.#save({ key, url, ...options, isNew: true });
  }

  async restore({ created = 0, ...link }: Link): Promise<Link> {
    return await this.#save({ ...link, created, isNew: true });
  }

  async #save({ key = "", ...wanted }: Wanted): Promise<Link> {
    const link = { key, url: wanted.url, ...factsOf(await this.#get(key), wanted) };
    this.#links.set(key, link);
    return link;
  }

  #get(key: string): Link | undefined | Promise<Link | undefined> {
    return this.#links.get(key) ?? this.look(key);
  }
}

/** The store of a journal's file, as it is: also one that a master is writing to, or that isn't there yet. */
export async function dryFile(path: string, hosts: string[], events: Events): Promise<DryStore> {
  const table = new Table();
  if (await exists(path)) {
    const progress = showProgress(`loading ${path}`, events);
    try {
      using file = await Deno.open(path);
      const { size } = await file.stat();
      const told = (bytes: Uint8Array, before: number) =>
        progress(Math.min(before + bytes.length, size), size);
      await loadLines(file, new LinkReader(table), refuse(path), () => {}, told);
    } catch (error) {
      throw explain(path, error);
    } finally {
      progress(1, 1);
    }
  }
  return new DryStore((key) => table.peek(key), hosts);
}

/**
 * The store of a server or a database, which is only read. A server refuses by itself what can't be put there, so
 * `restores` says whether it takes old links as they are.
 */
export function dryBackend(backend: Backend, restores: boolean, hosts: string[]): Target {
  const look = async (key: string) => {
    try {
      return await backend.link(key);
    } catch (error) {
      if (error instanceof StoreError && error.kind !== "unavailable") return;
      throw error;
    }
  };
  const store = new DryStore(look, hosts);
  return {
    link: store.link.bind(store),
    put: store.put.bind(store),
    restore: restores
      ? store.restore.bind(store)
      : ({ key, url, ...facts }) => store.put(url, key, facts),
    trusted: backend.trusted && backend.trusted.bind(backend),
  };
}
