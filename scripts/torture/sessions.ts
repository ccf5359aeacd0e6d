/**
 * What a server told somebody, and may not take back: who was told of a version of a link there sees that
 * one or a later one from then on.
 *
 * @module
 */
import type { Operation } from "./history.ts";
import type { Epoch } from "./log_record.ts";

/** A version of a link, in the order of the log. */
interface Version {
  url: string;
  /** When it was asked for; nothing shows it earlier. */
  asked: number;
}

/** Looks through all that servers told in an epoch, of each link by itself. */
export function checkSessions(operations: readonly Operation[], epoch: Epoch): string[] {
  const asked = new Map(operations.map(({ name, start }) => [name, start]));
  const versions = new Map<string, Version[]>();
  const numbers = new Map<string, number>(); // of the version that an operation wrote
  for (const [key, url] of epoch.base) versions.set(key, [{ url, asked: -Infinity }]);
  for (const { name, key, url } of epoch.entries) {
    if (!versions.has(key)) versions.set(key, [{ url: "", asked: -Infinity }]);
    const all = versions.get(key)!;
    numbers.set(name, all.push({ url, asked: asked.get(name) ?? -Infinity }) - 1);
  }
  const told = new Map<string, Operation[]>();
  for (const operation of operations) {
    const { kind, key, outcome, process } = operation;
    if (operation.epoch !== epoch.number || outcome !== "done" || key === "") continue;
    const place = `${process.name}, process ${process.run}, ${key}`;
    if (kind !== "get" && !numbers.has(operation.name)) continue;
    if (!told.has(place)) told.set(place, []);
    told.get(place)!.push(operation);
  }
  const first = [{ url: "", asked: -Infinity }];
  return [...told].flatMap(([place, all]) =>
    checkSession(place, all, versions.get(all[0].key) ?? first, numbers)
  );
}

/** Looks through what one process told of one link. */
function checkSession(
  place: string,
  told: readonly Operation[],
  versions: readonly Version[],
  numbers: ReadonlyMap<string, number>,
): string[] {
  const broken: string[] = [];
  const starts = told.toSorted((a, b) => a.start - b.start);
  const ends: { operation: Operation; number: number }[] = [];
  let floor: { operation?: Operation; number: number } = { number: 0 };
  for (const operation of starts) {
    ends.sort((a, b) => a.operation.end - b.operation.end);
    while (ends.length > 0 && ends[0].operation.end < operation.start) {
      const before = ends.shift()!;
      if (before.number > floor.number) floor = before;
    }
    if (operation.kind !== "get") {
      ends.push({ operation, number: numbers.get(operation.name)! });
      continue;
    }
    const { url, end, start } = operation;
    // Of versions that look alike (deletions), the earliest that is allowed binds least.
    const number = versions.findIndex((version, at) =>
      at >= floor.number && version.url === url && version.asked < end
    );
    if (number >= 0) {
      ends.push({ operation, number });
      continue;
    }
    if (operation.excused) continue; // it had nobody to ask
    const known = versions.some((version) => version.url === url);
    const since = floor.operation === undefined
      ? "though the log never had it"
      : `${Math.round(start - floor.operation.end)} ms after the ${floor.operation.kind} of ${
        versions[floor.number].url || "none"
      }${known ? "" : ", though the log never had it"}`;
    broken.push(`${place}: ${url || "none"} was read at ${Math.round(start)} ms, ${since}`);
  }
  return broken;
}
