/**
 * What servers meet in a soak: readers, writers, followers, and those who only open connections.
 *
 * @module
 */
import { pause } from "../../links/wait.ts";
import { follow, type Goto } from "../../tests/processes.ts";
import { Client, JSON_TYPE } from "../../tests/sockets.ts";
import type { Pick } from "../fuzz/mutate.ts";

const OWN_KEYS = 200; // of a writer
const MAX_STRANGERS = 60; // connections

/** What was done since the last time that somebody looked. */
export class Tally {
  /** Of redirects, in milliseconds. */
  times: number[] = [];
  /** Requests that failed, as they do where a server is gone. */
  failed = 0;
  writes = 0;
  /** Writes of which nobody can say whether they were done. */
  unknown = 0;
  strangers = 0;
}

/** What each key may lead to: one URL, or two, where nobody can say. "" is none. */
export type Links = Map<string, string[]>;

/** What all clients share. */
export interface Soak {
  servers: Goto[];
  links: Links;
  tally: Tally;
  pick: Pick;
  /** Aborted when it is over. */
  signal: AbortSignal;
}

/** Follows links through one server until it is over. */
export async function read({ links, tally, pick, signal }: Soak, server: Goto): Promise<void> {
  while (!signal.aborted) {
    const keys = [...links.keys()];
    for (let left = 100; left > 0 && keys.length > 0 && !signal.aborted; left--) {
      const began = performance.now();
      try {
        const { status } = await follow(server.url, keys[pick(keys.length)]);
        if (status !== 302 && status !== 404) throw new Error(`${status}`);
        tally.times.push(performance.now() - began);
      } catch {
        tally.failed++;
        await pause(20, signal);
      }
      await pause(pick(4), signal);
    }
    await pause(1, signal);
  }
}

/** Adds, changes and deletes links through whichever server, until it is over. */
export async function write(soak: Soak, name: string): Promise<void> {
  const { servers, links, tally, pick, signal } = soak;
  const own: string[] = [];
  for (let n = 0; !signal.aborted; n++) {
    const server = servers[pick(servers.length)];
    const url = `https://example.com/${name}/${n}`;
    const key = own.length < OWN_KEYS && pick(4) === 0 || own.length === 0
      ? undefined
      : own[pick(own.length)];
    const before = key === undefined ? undefined : links.get(key)!;
    try {
      if (key === undefined || before === undefined) {
        const made = await send(server, "POST", "", { url });
        if (made.key === undefined) throw new Error("no key");
        links.set(made.key, [url]);
        own.push(made.key);
      } else if (before[0] === "") {
        links.set(key, ["", url]);
        await send(server, "POST", "", { url, key });
        links.set(key, [url]);
      } else {
        const changed = pick(10) === 0 ? "" : url;
        links.set(key, [...before, changed]);
        if (changed) await send(server, "PUT", key, { url });
        else await send(server, "DELETE", key);
        links.set(key, [changed]);
      }
      tally.writes++;
    } catch {
      tally.unknown++;
      // It may still be done, whenever: the key is left alone from now on.
      if (key !== undefined) own.splice(own.indexOf(key), 1);
      await pause(50, signal);
    }
    await pause(pick(10), signal);
  }
}

async function send(
  server: Goto,
  method: string,
  key: string,
  body?: { url: string; key?: string },
): Promise<{ key?: string }> {
  const response = await fetch(`${server.url}/api/links${key && `/${key}`}`, {
    method,
    headers: { "content-type": JSON_TYPE },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

const FEED = "GET /rpc/log?offset=0 HTTP/1.1\r\nhost: h\r\n\r\n";
const TAIL = "GET /rpc/log?offset=end HTTP/1.1\r\nhost: h\r\n\r\n";
const SLOW = "POST /api/links HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n" +
  "content-length: 60000\r\n\r\n{";
const BATCH_BODY = `[${
  Array(2000).fill('{"jsonrpc":"2.0","method":"Store.Get","params":["0"],"id":1}')
}]`;
const BATCH = `POST /rpc HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n` +
  `content-length: ${BATCH_BODY.length}\r\n\r\n${BATCH_BODY}`;

/** Opens connections that follow, stall or say nothing, and go after a while. */
export async function disturb({ servers, tally, pick, signal }: Soak): Promise<void> {
  const open = new Set<Promise<void>>();
  while (!signal.aborted) {
    await pause(20 + pick(100), signal);
    if (open.size >= MAX_STRANGERS) continue;
    const { url } = servers[pick(servers.length)];
    const text = [FEED, TAIL, SLOW, BATCH, "GET / HT", "", FEED + FEED, "\x16\x03\x01"][pick(8)];
    const one = stay(url, text, pick(2) === 0, 1 + pick(5000), signal)
      .catch(() => {})
      .finally(() => open.delete(one));
    open.add(one);
    tally.strangers++;
  }
  await Promise.all(open);
}

/** One connection, for so many milliseconds. */
async function stay(url: string, text: string, reads: boolean, ms: number, signal: AbortSignal) {
  using client = await Client.open(url);
  await client.send(text);
  const reading = reads ? client.discard() : undefined;
  await pause(ms, signal);
  client[Symbol.dispose]();
  await reading;
}
