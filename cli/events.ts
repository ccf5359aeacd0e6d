/**
 * Events, as they are written to stderr.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";

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
  const encoder = new TextEncoder();
  return (level, msg, fields = {}) => {
    const time = new Date().toISOString();
    const text = form === "json"
      ? JSON.stringify({ time, level, msg, ...fields })
      : [time, level.padEnd(5), msg, ...Object.entries(fields).map(pair)].join(" ");
    try {
      Deno.stderr.writeSync(encoder.encode(`${text}\n`));
    } catch {
      // Nobody reads it: no reason to stop serving.
    }
  };
}

/** A field as logfmt has it. */
function pair([name, value]: [string, unknown]): string {
  const text = String(value);
  return `${name}=${/^[!#-<>-~]+$/.test(text) ? text : JSON.stringify(text)}`;
}
