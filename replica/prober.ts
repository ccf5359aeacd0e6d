/**
 * Asking masters for a sign of life.
 *
 * @module
 */
import type { Position } from "../journal/position.ts";
import { StoreError } from "../links/errors.ts";
import type { Health } from "../links/health.ts";
import { checkMaster, checkTerm, type Claim, OwnAddress, readHealth } from "./judge.ts";
import type { Transport } from "./transport.ts";
import { limit } from "../links/wait.ts";

/** How long a master may take for it: any server answers for its health in half of that. */
export const PROBE_MS = 1000;

/** A master did not answer in time. */
export const errDeadline = new StoreError("unavailable", "master did not answer in time");

/** Told when the master is lost, and why, and when one answers again. */
export type Report = (up: boolean, address: string, error?: unknown) => void;

/** Who asks for a master. */
export interface Self {
  /** The name by which this server knows itself. */
  readonly name: string;
  /** What a master must not fall short of. */
  claim(): Claim;
}

/** What a master answered. */
export interface Sign {
  health: Health;
  position: Position;
}

/**
 * What reasons of one kind have in common: what was heard differs from time to time, and is told of once.
 *
 * @example
 * ```ts
 * kindOf("it stops at 120, before its end at 4711"); // "it stops at , before its end at "
 * kindOf("what answers is no master: <h1>"); // "what answers is no master"
 * ```
 */
export function kindOf(reason: unknown): string {
  const text = reason instanceof Error ? reason.message : String(reason);
  return text.split(": ", 1)[0].replace(/(?<!^\d*)\d+/g, ""); // a status is what it begins with
}

/** Asks for a health, and shows the term that was followed: a master of an earlier one takes no more changes. */
function requestOf(term = 1): string {
  return `{"jsonrpc":"2.0","id":0,"method":"Store.Health","params":[${term}]}`;
}

/** Asks masters for a sign of life, and refuses those that are of no use. */
export class Prober {
  /** Those that lead to this server itself. */
  readonly own = new Set<Transport>();

  /** @param closed ends all that is asked */
  constructor(
    private readonly closed: AbortSignal,
    private readonly report: Report,
    private readonly self?: Self,
  ) {}

  /**
   * Asks one.
   *
   * @throws why it gives none, or, as a {@linkcode Refusal}, why it is of no use
   */
  async ask(transport: Transport): Promise<Sign> {
    const claim = this.self?.claim(); // before it answers: meanwhile more may come over the feed
    return await limit(PROBE_MS, errDeadline, this.closed, async (signal) => {
      const { text, position } = await transport.call(requestOf(claim?.term), 0, signal);
      const health = readHealth(text);
      if (this.self && claim) this.#check(health, transport, this.self.name, claim);
      return { health, position };
    });
  }

  /** Refuses a term before the one that was followed already. */
  checkTerm(term = 1): void {
    if (this.self) checkTerm(term, this.self.claim());
  }

  #check(health: Health, transport: Transport, name: string, claim: Claim): void {
    try {
      checkMaster(health, name, claim);
    } catch (error) {
      if (error instanceof OwnAddress && !this.own.has(transport)) {
        this.own.add(transport);
        this.report(false, transport.address, error);
      }
      throw error;
    }
  }
}
