/**
 * How long it takes from a start to the first redirect.
 *
 * @module
 */
import { type Figure, figure } from "./figure.ts";
import { keyOf } from "./links.ts";
import { bare, nginx, type Programs } from "./programs.ts";
import { type Command, Server } from "./server.ts";
import { progress } from "./tools.ts";

/** What starting gave. */
export interface Start {
  name: string;
  milliseconds?: Figure;
}

/** Starts all so often, in turn, with a journal of so many links. */
export async function measureStarts(
  { ours, beside, go, nginx: nginxCommand }: Programs,
  temp: string,
  journal: string,
  links: number,
  repeats: number,
): Promise<Start[]> {
  const file = `-file=${journal}`;
  const starts: [string, Command][] = [["master", ours.with(file)]];
  if (beside) starts.push([beside.name, beside.with(file)]);
  if (go) starts.push(["Go", go.with(file)]);
  starts.push(["bare Deno.serve", bare("redirect")]);
  if (nginxCommand) starts.push(["nginx, map", nginx(nginxCommand, temp, links)]);
  const times = starts.map((): number[] => []);
  for (let i = 0; i < repeats; i++) {
    for (const [at, [name, command]] of starts.entries()) {
      progress(`start ${i + 1} of ${repeats}: ${name}`);
      await using server = await Server.start(command, `/${keyOf(links - 1)}`);
      times[at].push(server.startedIn);
    }
  }
  return starts.map(([name], i) => ({ name, milliseconds: figure(times[i]) }));
}
