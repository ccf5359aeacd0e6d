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
): (done: number, total: number, rows?: number) => void {
  const terminal = Deno.stderr.isTerminal();
  let next = performance.now() + 1000;
  let shown = false;
  return (done, total, rows) => {
    const now = performance.now();
    if (done < total && now < next) return;
    if (done >= total) {
      if (shown) stderr.write("\r\x1b[K");
      shown = false;
      return;
    }
    // Of what has no end, there are no percents.
    const percent = total === Infinity ? undefined : Math.floor(100 * done / total);
    if (terminal) {
      const parts = [
        percent !== undefined && `${percent}%`,
        rows !== undefined && `${rows.toLocaleString("en-US")} rows`,
      ];
      stderr.write(`\r${printable(what)}: ${parts.filter(Boolean).join(", ")}`);
      shown = true;
      next = now + 100;
    } else {
      events("info", what, {
        ...percent !== undefined && { percent },
        ...rows !== undefined && { rows },
      });
      next = now + 1000;
    }
  };
}
