/**
 * What is asked of a server, by wrk.
 *
 * @module
 */
import type { Server } from "./server.ts";
import { run } from "./tools.ts";

/** What all contestants of one comparison are asked; see wrk.lua. */
export interface Work {
  kind: "one" | "random" | "all" | "new";
  /** How many links there are to choose from. */
  links: number;
  connections: number;
}

/** What came of it. */
export interface Outcome {
  requests: number;
  seconds: number;
  /** The latency that half of the requests, and 99 of 100, kept below, in milliseconds. */
  p50: number;
  p99: number;
  /** The longest latency of all. */
  longest: number;
  refused: number;
  lost: number;
}

/**
 * Lets wrk do some work for so many seconds, or until it is done.
 *
 * @param seed chooses the sequence of what is asked for at random
 * @throws where requests were refused or lost
 */
export async function wrk(
  { url }: Server,
  { kind, links, connections }: Work,
  seconds: number,
  seed = 1,
): Promise<Outcome> {
  const script = `${import.meta.dirname}/wrk.lua`;
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url, "--"];
  const text = await run("wrk", [...args, kind, String(links), String(seed)], seconds + 30);
  const outcome: Outcome = JSON.parse(text.trim().slice(text.trim().lastIndexOf("\n") + 1));
  const { requests, refused, lost } = outcome;
  if (refused + lost > 0 || (kind === "all" && requests < links)) {
    throw new Error(`${url}: of ${requests} requests ${refused} were refused, ${lost} lost`);
  }
  return outcome;
}
