/**
 * What the tests of replicas do to links and files.
 *
 * @module
 */
import assert from "node:assert/strict"; // scripts use this too, where JSR is out of reach
import { crc32 } from "../journal/crc32.ts";
import { formatAbout } from "../journal/lines.ts";
import { eventually, follow, type Goto } from "./processes.ts";

/** A server, in this process or another. */
export type Server = Pick<Goto, "url">;

/** Changes a link through the API; without `url`, deletes it. Gives the status. */
export async function change(base: string, key: string, url?: string): Promise<number> {
  const response = await fetch(`${base}/api/links/${key}`, {
    method: url === undefined ? "DELETE" : "PUT",
    headers: { "content-type": "application/json" },
    body: url === undefined ? undefined : JSON.stringify({ url }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  return response.status;
}

/** Where a link leads; nothing, if there is none. */
export async function where(base: string, key: string): Promise<string | undefined> {
  const { status, location, body } = await follow(base, key);
  if (status === 302 && location !== null) return location;
  if (status === 404) return undefined;
  throw new Error(`${status} ${body}`);
}

/** Waits until `key` leads to `url` at each of `nodes`. */
export async function agree(nodes: Server[], key: string, url: string | undefined, ms = 5000) {
  await Promise.all(
    nodes.map((node) => eventually(async () => assert.equal(await where(node.url, key), url), ms)),
  );
}

/** Asks `replica` for a link until it keeps it, which it does for good once it follows the feed. */
export async function keep(replica: Server, key: string) {
  await following(replica);
  await eventually(async () => {
    assert.equal((await follow(replica.url, key)).status, 302);
    return (await ready(replica.url)).links > 0;
  });
}

/** Waits until `replica` follows the feed, and knows of nothing that is amiss. */
export async function following(replica: Server) {
  await eventually(async () => assert.equal((await ready(replica.url)).reason, undefined));
}

/** What `/readyz` says. */
export async function ready(base: string) {
  const response = await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(10_000) });
  return { status: response.status, ...await response.json() };
}

const given = new Set<number>();

/**
 * A port that nobody listens on. Systems choose from 32,768 on, for who asks for any, and for what
 * connects: this one is below, so that no test beside this one is given it meanwhile.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    given.add(port);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** The memory of a process, in MiB. */
export async function memory({ pid }: Goto): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", `${pid}`] })
    .output();
  return Number(new TextDecoder().decode(stdout)) / 1024;
}

/** A journal of `count` links, from `first` on, whose keys are their numbers. */
export function journal(count: number, first = 0): string {
  return Array.from(
    { length: count },
    (_, i) => `{"Key":"${first + i}","URL":"https://example.com/${first + i}"}\n`,
  ).join("");
}

/**
 * A compacted file: `lines` in the place of the whole of `text`, a journal that began at position 0.
 */
export function compacted(lines: string, text: string): string {
  const [before, after] = [text, lines].map((text) => new TextEncoder().encode(text));
  const sums = { sum: crc32(before), fileSum: crc32(after) };
  const kept = before.length;
  const { length } = formatAbout({ term: 1, base: 0, kept, ...sums });
  return formatAbout({ term: 1, base: kept - length - after.length, kept, ...sums }) + lines;
}

/** Lines with their running checksum before every `every`th of them, as a master writes it now and then. */
export function summed(lines: string, every: number): string {
  let text = "";
  for (const [i, line] of lines.split(/(?<=\n)/).entries()) {
    if (i > 0 && i % every === 0) {
      text += formatAbout({ sum: crc32(new TextEncoder().encode(text)) });
    }
    text += line;
  }
  return text;
}
