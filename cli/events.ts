/**
 * Events, as they are written to stderr.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { printable, stderr } from "./stderr.ts";

/**
 * Writes one line an event.
 *
 * @example
 * ```ts
 * const events = writeEvents("text");
 * events("info", "serving", { links: 3 });
 * // 2026-11-24T09:00:00.000Z info  serving links=3
 * ```
 */
export function writeEvents(form: "text" | "json"): Events {
  const format: (...event: Parameters<Events>) => string = (level, msg, fields = {}) => {
    const time = new Date().toISOString();
    const text = form === "json"
      ? JSON.stringify({ time, level, msg, ...fields })
      : [time, level.padEnd(5), msg, ...Object.entries(fields).map(pair)].join(" ");
    return `${printable(text)}\n`;
  };
  stderr.ondrop = (count) => format("warn", "dropped events that nobody read", { count });
  return (...event) => stderr.write(format(...event));
}

/** A field as logfmt has it. */
function pair([name, value]: [string, unknown]): string {
  const text = String(value);
  return `${name}=${/^[!#-<>-~]+$/.test(text) ? text : JSON.stringify(text)}`;
}
