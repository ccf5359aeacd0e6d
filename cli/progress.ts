/**
 * How far long work is.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { printable } from "../links/text.ts";
import { stderr } from "./stderr.ts";

/** Tells how far it is: in a line that is rewritten on a terminal, by events elsewhere. */
export function showProgress(
  what: string,
  events: Events,
): (done: number, total: number) => void {
  const terminal = Deno.stderr.isTerminal();
  let next = performance.now() + 1000;
  let shown = false;
  return (done, total) => {
    const now = performance.now();
    if (done < total && now < next) return;
    if (done >= total) {
      if (shown) stderr.write("\r\x1b[K");
      shown = false;
      return;
    }
    const percent = Math.floor(100 * done / total);
    if (terminal) {
      stderr.write(`\r${printable(what)}: ${percent}%`);
      shown = true;
      next = now + 100;
    } else {
      events("info", what, { percent });
      next = now + 1000;
    }
  };
}
