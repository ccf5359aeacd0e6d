/**
 * What operators do with a database's files, and what stands in them.
 *
 * @module
 */
import { start, tempDir } from "../../tests/processes.ts";
import type { Cluster } from "./cluster.ts";
import type { Machine } from "./machine.ts";

const DEADLINE_MS = 10_000;

/** Where a database's files are, and the name of the first. */
export interface Place {
  folder: string;
  name: string;
}

/** Where the database of a cluster is; nothing where it has none. */
export function placeOf({ service, master }: Cluster): Place | undefined {
  if (master.kind === "service" && service) return { folder: service.folder, name: "links.sqlite" };
  if (master.kind === "database") return { folder: master.path, name: "links.db" };
}

/** Copies a database that nobody uses, in place of another one. */
export async function copyDatabase(from: Place, to: Place): Promise<void> {
  for (const end of ["", "-wal", "-shm"]) {
    await Deno.remove(`${to.folder}/${to.name}${end}`).catch(() => {});
    await Deno.copyFile(`${from.folder}/${from.name}${end}`, `${to.folder}/${to.name}${end}`)
      .catch((error) => {
        if (end === "" || !(error instanceof Deno.errors.NotFound)) throw error;
      });
  }
}

/** The log in a database that nobody uses. A service's file is such as the embedded database has. */
export async function readDatabase(place: Place): Promise<string> {
  using temp = tempDir();
  await copyDatabase(place, { folder: temp.path, name: "links.db" });
  await using reader = await start({ cwd: temp.path }, "-kv=links.db", "-rpc", "-hits=false");
  return await readFeed(reader.url); // a backup has no superseded lines
}

/** The log of a master, to its end. */
export async function logOf(master: Machine): Promise<string> {
  return master.keeps ? await Deno.readTextFile(master.file) : await readFeed(master.url);
}

async function readFeed(url: string): Promise<string> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const { headers, body } = await fetch(`${url}/rpc/log?offset=0`, { signal });
  const number = (name: string) => Number(headers.get(name) ?? NaN);
  const length = number("goto-log-size") - number("goto-log-offset");
  let text = "";
  if (Number.isNaN(length)) throw new Error("there is no feed");
  for await (const part of body!.pipeThrough(new TextDecoderStream())) {
    text = (text + part).replace(/^\n+|(?<=\n)\n+/g, ""); // signs of life
    if (text.length >= length) break; // all of it is ASCII
  }
  if (text.length < length) throw new Error(`the feed ends after ${text.length} of ${length}`);
  return text.slice(0, length);
}
