/**
 * What clients do that want too much.
 *
 * @module
 */
import { pause } from "../../links/wait.ts";
import { eventually } from "../../tests/processes.ts";
import { TAKEN } from "./clients.ts";
import { FILLER } from "./log_record.ts";
import type { Machine } from "./machine.ts";

const REFUSALS = 1000; // of one flood, at most
const CLIENTS = 8;
const FULL_BYTES = 65 << 20; // from 64 MiB on a file is compacted
const PART_LINES = 1000;
const URL_CHARS = 8000;
const COMPACTS_MS = 20_000; // a file that is full

const never = new AbortController().signal;

/** Asks for a key that is taken, as fast as can be; says how often it was refused. */
export async function flood(url: string, ms: number): Promise<string> {
  const end = performance.now() + ms;
  let refused = 0;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (refused < REFUSALS && performance.now() < end) {
      const body = { key: TAKEN, url: "https://example.com/" };
      const status = await post(`${url}/api/links`, body).catch(() => 0);
      if (status === 409) refused++;
      else await pause(20, never); // nobody is there just now
    }
  }));
  return `${refused}`;
}

/**
 * Makes a file that nobody uses so long that its owner will compact it without being asked, by lines that a
 * later one replaces.
 */
export async function fill(file: string): Promise<void> {
  const line = `{"Key":"${FILLER}","URL":"https://example.com/${"x".repeat(URL_CHARS)}"}\n`;
  const part = new TextEncoder().encode(line.repeat(PART_LINES));
  using open = await Deno.open(file, { append: true });
  for (let size = 0; size < FULL_BYTES; size += part.length) {
    for (let at = 0; at < part.length;) at += await open.write(part.subarray(at));
  }
}

/** Waits until the owner of a long file has compacted it. */
export async function compacted({ goto }: Machine): Promise<void> {
  const done = () => goto?.logs.some(({ msg }) => msg === "compacted") ?? true;
  await eventually(done, COMPACTS_MS);
}

async function post(url: string, body: unknown): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  return response.status;
}
