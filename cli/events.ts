/**
 * Events, as they are written to stderr.
 *
 * @module
 */
import type { Tell } from "../http/access.ts";
import type { Events } from "../journal/events.ts";
import { printable } from "../links/text.ts";
import { stderr } from "./stderr.ts";

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

/**
 * Writes one line a request, as {@linkcode writeEvents} would, but together with others, soon, and at
 * little cost.
 */
export function writeRequests(form: "text" | "json"): Tell {
  let second = -1;
  let day = "";
  // All but the milliseconds is the same for a while.
  const time = () => {
    const now = Date.now();
    const ms = now % 1000;
    if (now - ms !== second) {
      second = now - ms;
      day = new Date(second).toISOString().slice(0, -4);
    }
    return `${day}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
  };
  const json = form === "json";
  return (client, method, url, status, ms, key, user) => {
    const where = json ? JSON.stringify(url) : quoted(url);
    const line = json
      ? `{"time":"${time()}","level":"info","msg":"request","client":"${client}"` +
        (user === undefined ? "" : `,"user":${JSON.stringify(user)}`) +
        `,"method":"${method}","url":${where},"status":${status},"ms":${ms}` +
        (key === undefined ? "}" : `,"key":"${key}"}`)
      : `${time()} info  request client=${client}` +
        (user === undefined ? "" : ` user=${quoted(user)}`) +
        ` method=${method} url=${where} status=${status} ms=${ms}` +
        (key === undefined ? "" : ` key=${key}`);
    stderr.gather(`${printable(line)}\n`);
  };
}

const PLAIN = /^[!#-<>-~]+$/;

/** A field as logfmt has it. */
function pair([name, value]: [string, unknown]): string {
  return `${name}=${quoted(String(value))}`;
}

/** A value as logfmt has it. */
function quoted(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text);
}
