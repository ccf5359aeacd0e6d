/**
 * A hundred million links: whether they load, and whether the table grows under load without a stall.
 *
 * @module
 */
import { keyOf, writeJournal } from "./links.ts";
import type { Program } from "./programs.ts";
import { Server } from "./server.ts";
import { progress } from "./tools.ts";
import { wrk } from "./wrk.ts";

// When three quarters of 2 to the 27th slots are used, they become twice as many: from soon after the start
// on, part by part. One part is done with so many new links, all of them with 2 million.
const GROWS_AT = 0.75 * 2 ** 27;
const PART = 65_536;
const BEFORE = 60_000;
const ROUNDS = 6;
const SECONDS = 10;

/** What it gave. */
export interface Huge {
  links: number;
  fileMegabytes: number;
  seconds: number;
  /** Resident memory, in MB: after loading, at most at any time, and at the end. */
  loaded?: number;
  most?: number;
  grown?: number;
  /** Redirects a second, at random, and new links a second. */
  redirects: number;
  added: number;
  newLinks: number;
  /** The longest time that a redirect took, in milliseconds, while nothing else was asked, and while links were made. */
  longestIdle: number;
  longestGrowing: number;
}

/**
 * @param slots of which three quarters are nearly used: fewer, for a first look
 */
export async function measureHuge(
  program: Program,
  temp: string,
  slots: number | undefined,
): Promise<Huge> {
  const links = (slots === undefined ? GROWS_AT : 0.75 * slots) - BEFORE;
  const journal = writeJournal(temp, links);
  const { size } = await Deno.stat(journal);
  progress(`loading ${links.toLocaleString("en-US")} links`);
  const command = program.with(`-file=${journal}`);
  await using server = await Server.start(command, `/${keyOf(links - 1)}`, 302, 600);
  const loaded = await server.memory();
  const random = await wrk(server, { kind: "random", links, connections: 64 }, SECONDS);
  const longestIdle = await longest(server, new Promise((resolve) => setTimeout(resolve, 5000)));
  let [added, seconds, longestGrowing] = [0, 0, 0];
  for (let round = 1; round <= ROUNDS; round++) {
    progress(`new links, ${round} of ${ROUNDS}`);
    const making = wrk(server, { kind: "new", links: 0, connections: 64 }, SECONDS);
    longestGrowing = Math.max(longestGrowing, await longest(server, making));
    const outcome = await making;
    added += outcome.requests;
    seconds += outcome.seconds;
  }
  if (added < BEFORE + PART) throw new Error(`${added} links were made: the table did not grow`);
  return {
    links,
    fileMegabytes: size / 1e6,
    seconds: server.startedIn / 1000,
    loaded,
    most: await server.memory("VmHWM"),
    grown: await server.memory(),
    redirects: random.requests / random.seconds,
    added,
    newLinks: added / seconds,
    longestIdle,
    longestGrowing,
  };
}

/** Asks for one link after the other until something is done: how long did the slowest one take? */
async function longest(server: Server, until: Promise<unknown>): Promise<number> {
  let done = false;
  until.catch(() => {}).finally(() => done = true);
  let most = 0;
  for (let i = 0; !done; i++) {
    const begin = performance.now();
    const response = await fetch(`${server.url}/${keyOf(i * 7919)}`, { redirect: "manual" });
    await response.body?.cancel();
    // The first ones make a connection.
    if (i > 10) most = Math.max(most, performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return most;
}
