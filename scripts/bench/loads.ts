/**
 * How long loading takes, and how much memory the links.
 *
 * @module
 */
import { type Figure, figure, ratio } from "./figure.ts";
import { keyOf } from "./links.ts";
import type { Program, Programs } from "./programs.ts";
import { Server } from "./server.ts";
import { progress } from "./tools.ts";
import { wrk } from "./wrk.ts";

const MAX_ASKED = 1_000_000;

/** What loading a file gave. */
export interface Load {
  name: string;
  links: number;
  /** From exec to the first redirect, without what that takes with a single link. */
  seconds?: Figure;
  secondsOfGo?: Figure;
  /** Resident memory of the process, in MB: then, and once each link was asked for. */
  loaded?: Figure;
  loadedOfGo?: Figure;
  asked?: Figure;
  askedOfGo?: Figure;
}

interface Loader {
  name: string;
  program: Program;
  flags: string[];
  seconds: (number | undefined)[];
  loaded: (number | undefined)[];
  asked: (number | undefined)[];
}

/** Lets all programs load a file so often, in turn. Of more links than `MAX_ASKED` not all are asked for. */
export async function measureLoads(
  { ours, beside, go }: Programs,
  temp: string,
  journal: string,
  links: number,
  repeats: number,
): Promise<Load[]> {
  const loaders: Loader[] = [];
  const add = (name: string, program: Program, ...flags: string[]) =>
    loaders.push({ name, program, flags, seconds: [], loaded: [], asked: [] });
  add("master", ours);
  add("master, -threads=4", ours, "-threads=4");
  if (beside) add(beside.name, beside);
  if (beside) add(`${beside.name}, -threads=4`, beside, "-threads=4");
  if (go) add("Go", go);
  const first = `${temp}/first.jsonl`;
  await Deno.writeTextFile(first, (await firstLine(journal)) + "\n");
  for (let i = 0; i < repeats; i++) {
    for (const loader of loaders) {
      progress(`load ${i + 1} of ${repeats}: ${links.toLocaleString("en-US")}, ${loader.name}`);
      await measureLoad(loader, first, journal, links);
    }
  }
  await Deno.remove(first);
  const goes = loaders.find(({ program }) => program === go);
  return loaders.map(({ name, seconds, loaded, asked }) => ({
    name,
    links,
    seconds: figure(seconds),
    secondsOfGo: ratio(seconds, goes?.seconds),
    loaded: figure(loaded),
    loadedOfGo: ratio(loaded, goes?.loaded),
    asked: figure(asked),
    askedOfGo: ratio(asked, goes?.asked),
  }));
}

async function measureLoad(
  { program, flags, seconds, loaded, asked }: Loader,
  first: string,
  journal: string,
  links: number,
): Promise<void> {
  let empty;
  {
    await using server = await Server.start(program.with(`-file=${first}`, ...flags), path(0));
    empty = server.startedIn;
  }
  const command = program.with(`-file=${journal}`, ...flags);
  await using server = await Server.start(command, path(links - 1), 302, 300);
  seconds.push((server.startedIn - empty) / 1000);
  loaded.push(await server.memory());
  if (links > MAX_ASKED) return;
  await wrk(server, { kind: "all", links, connections: 64 }, 1200);
  asked.push(await server.memory());
}

function path(n: number): string {
  return `/${keyOf(n)}`;
}

async function firstLine(path: string): Promise<string> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1024);
  const n = await file.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, n)).split("\n")[0];
}
