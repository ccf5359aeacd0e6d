/**
 * Numbers for new keys.
 *
 * @module
 */
import type { Database, Entry } from "./database.ts";
import { DEADLINE_MS } from "./head.ts";
import { NEXT, SIZE, toCount } from "./layout.ts";

const MIN_BLOCK = 16; // so that who starts often leaves few numbers out
const MAX_BLOCK = 4096;

/**
 * Numbers that nobody else gets: leased from the database in blocks, each twice as large as the one before,
 * so that masters hardly meet. What is left of a block when a master dies is never given out.
 */
export class Lease {
  #next = 0;
  #end = 0;
  #least?: number; // as with a file, a master that starts goes on behind all that is there
  #block = MIN_BLOCK;
  #leasing?: Promise<void>;

  constructor(private readonly database: Database) {}

  /** Looks how many keys there are, behind which the numbers begin. */
  async begin(): Promise<void> {
    const [size] = await this.database.read([SIZE], AbortSignal.timeout(DEADLINE_MS));
    this.#least = toCount(size?.value);
  }

  /** The next number; nothing, if a block must be leased first. */
  take(): number | undefined {
    return this.#next < this.#end ? this.#next++ : undefined;
  }

  /** Leases a block, where there is none; throws where the database is out of reach. */
  async renew(): Promise<void> {
    if (this.#next < this.#end) return;
    await (this.#leasing ??= this.#lease().finally(() => this.#leasing = undefined));
  }

  async #lease(): Promise<void> {
    if (this.#least === undefined) await this.begin();
    for (;;) {
      const [next] = await this.database.read([NEXT], AbortSignal.timeout(DEADLINE_MS));
      const first = Math.max(toNumber(next), this.#least ?? 0);
      const end = first + this.#block;
      if (!await this.#set(end, next?.version ?? null)) continue;
      [this.#next, this.#end] = [first, end];
      this.#block = Math.min(2 * this.#block, MAX_BLOCK);
      return;
    }
  }

  /** Gives back what is left, if nobody has leased more since. */
  async end(): Promise<void> {
    if (this.#next >= this.#end) return;
    const [next] = await this.database.read([NEXT], AbortSignal.timeout(DEADLINE_MS));
    if (next && toNumber(next) === this.#end) await this.#set(this.#next, next.version);
    this.#end = this.#next;
  }

  async #set(number: number, version: string | null): Promise<boolean> {
    const set = new TextEncoder().encode(String(number));
    const write = { checks: [{ key: NEXT, version }], mutations: [{ key: NEXT, set }] };
    return await this.database.commit(write, AbortSignal.timeout(DEADLINE_MS)) !== undefined;
  }
}

function toNumber(entry?: Entry): number {
  if (entry === undefined) return 0;
  const number = Number(
    new TextDecoder().decode(typeof entry.value === "bigint" ? undefined : entry.value),
  );
  if (!Number.isSafeInteger(number)) throw new Error("the database holds what isn't goto's");
  return number;
}
