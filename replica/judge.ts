/**
 * What a master says of itself, and whether it is to be followed.
 *
 * @module
 */
import { ChecksumError } from "../journal/checksum.ts";
import type { Feed, FeedStream } from "../journal/feed.ts";
import { isFuture } from "../journal/term.ts";
import { type Health, isHealth } from "../links/health.ts";

const MAX_PATH = 32; // servers, one above the other

/** What a server claims for itself, which a master must not fall short of. */
export interface Claim {
  /** The latest term that it has followed. */
  term: number;
  /** How far the copy reaches that it would not give away for a smaller one; 0 if it has none. */
  end: number;
}

/** A master that answers, but is not to be followed: one line that says why. */
export class Refusal extends Error {
  override name = "Refusal";
}

/** The one who was asked is the one who asks. */
export class OwnAddress extends Refusal {
  constructor() {
    super("it is this server itself");
  }
}

/**
 * Reads the answer to `Store.Health`.
 *
 * @throws what answers is no master
 */
export function readHealth(text: string): Health {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // Said below.
  }
  const { result }: { result?: unknown } = Object(answer);
  if (isHealth(result)) return result;
  throw new Error(`what answers is no master: ${text.slice(0, 200)}`);
}

/** The master's term; one that knows of none is the first. */
export function termOf({ term }: Health): number {
  return typeof term === "number" ? term : 1;
}

/** The names of a server and of those above it, one after the other, as far as they are known. */
export function pathOf({ path }: Health): string[] {
  return typeof path === "string" ? path.split(",", MAX_PATH) : [];
}

/** A path as it stands in a health. */
export function formatPath(path: string[]): string {
  return path.slice(0, MAX_PATH).join(",");
}

/**
 * Refuses a master that is this server, or one below it; one of an earlier term than was followed
 * already; and one whose journal is shorter than the copy of it, unless it is of a later term: then
 * somebody asked for that.
 *
 * @param self the name of this server
 * @throws {Refusal}
 * @example
 * ```ts
 * const claim = { term: 2, end: 0 };
 * checkMaster({ ready: true, term: 2 }, "me", claim);
 * try {
 *   checkMaster({ ready: true, term: 1 }, "me", claim);
 * } catch (err) {
 *   console.log(`${err}`); // Refusal: its term is 1, and term 2 was followed: ...
 * }
 * ```
 */
export function checkMaster(health: Health, self: string, claim: Claim): void {
  const path = pathOf(health);
  if (path[0] === self) throw new OwnAddress();
  if (path.includes(self)) throw new Refusal("it follows this server itself");
  checkTerm(termOf(health), claim);
  const { ready, position } = health;
  // One that has not read its own log yet doesn't know where that ends.
  if (ready && typeof position === "number") checkEnd(position, termOf(health), claim);
}

/** Refuses an earlier term than was followed already, and one that no clock can have come to. */
export function checkTerm(term: number, claim: Claim): void {
  refuseFuture(term);
  if (term >= claim.term) return;
  throw new Refusal(
    `its term is ${term}, and term ${claim.term} was followed: start it with -master, as a mirror`,
  );
}

/**
 * Refuses a term that is over a day ahead of the clock: with it no master would ever be followed again.
 *
 * @throws {Refusal}
 */
export function refuseFuture(term = 1): void {
  if (!isFuture(term)) return;
  throw new Refusal(`its term ${term} is over a day ahead of this clock: set the clocks right`);
}

/**
 * Compares a copy that has come to where the feed reached as it was opened with what the master said.
 *
 * @throws {ChecksumError} it is another one
 */
export function checkCopy(copy: Feed, { size, sum, keys }: FeedStream): void {
  if (copy.size !== size) return;
  if (sum !== undefined && copy.sum !== undefined && copy.sum !== sum) {
    throw new ChecksumError(`the copy has the checksum ${copy.sum} at ${size}, the master ${sum}`);
  }
  if (keys === undefined || copy.keys === undefined || keys === copy.keys) return;
  throw new ChecksumError(`the copy has ${copy.keys} keys at ${size}, the master ${keys}`);
}

/** Whether a copy is still to be compared with what the master said, once it has come so far. */
export function isCompared(copy: Feed, { size, sum }: FeedStream): boolean {
  return sum !== undefined && copy.size < size;
}

/** Refuses a journal that ends before the copy of it. */
export function checkEnd(end: number, term: number, claim: Claim): void {
  if (end >= claim.end || term > claim.term) return;
  throw new Refusal(
    `its log ends at ${end}, and this copy at ${claim.end}: to have the copy replaced, start ` +
      `the master with -promote`,
  );
}
