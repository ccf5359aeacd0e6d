/**
 * The links that the benchmark works on.
 *
 * @module
 */
import { formatLine } from "../../journal/lines.ts";
import { progress } from "./tools.ts";

/** The key of the `n`th link: of lower case only, since nginx's map ignores case; the "k" keeps it from being a route's name. */
export function keyOf(n: number): string {
  return `k${n.toString(36)}`;
}

export function linkOf(key: string): string {
  return `https://example.com/some/path/page?id=${key}`;
}

/** Writes a journal of so many links, and gives its path. */
export function writeJournal(folder: string, links: number): string {
  const path = `${folder}/${links}.jsonl`;
  progress(`writing ${links.toLocaleString("en-US")} links`);
  write(path, links, (i) => formatLine({ key: keyOf(i), url: linkOf(keyOf(i)) }));
  return path;
}

/** Writes so many links as nginx's map has them. */
export function writeMap(path: string, links: number): void {
  write(path, links, (i) => `"/${keyOf(i)}" "${linkOf(keyOf(i))}";\n`);
}

function write(path: string, count: number, line: (i: number) => string): void {
  using output = Deno.openSync(path, { write: true, createNew: true });
  const encoder = new TextEncoder();
  let text = "";
  for (let i = 0; i < count; i++) {
    text += line(i);
    if (text.length < 1 << 20 && i < count - 1) continue;
    for (let bytes = encoder.encode(text); bytes.length > 0;) {
      bytes = bytes.subarray(output.writeSync(bytes));
    }
    text = "";
  }
}
