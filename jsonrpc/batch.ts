/**
 * JSON-RPC 2.0, called: many calls in one text.
 *
 * @module
 */
import { isCount } from "../links/count.ts";
import type { RPCError } from "./server.ts";

/** What a call came to. */
export interface Outcome {
  result?: unknown;
  error?: RPCError;
}

/**
 * A call as it stands in a batch, but for its id.
 *
 * @example
 * ```ts
 * toBatch([toCall("Store.Get", ["0"])]);
 * // [{"jsonrpc":"2.0","id":0,"method":"Store.Get","params":["0"]}]
 * ```
 */
export function toCall(method: string, params: (string | undefined)[]): string {
  return `,"method":"${method}","params":${JSON.stringify(params)}}`;
}

/** The text of a batch. Ids count up from 0. */
export function toBatch(calls: string[]): string {
  let text = "";
  for (let id = 0; id < calls.length; id++) {
    text += `${id ? "," : "["}{"jsonrpc":"2.0","id":${id}${calls[id]}`;
  }
  return `${text}]`;
}

/**
 * What each of `count` calls came to; nothing for one that was not answered.
 *
 * @throws {Error} it is no batch's answer
 */
export function fromBatch(text: string, count: number): (Outcome | undefined)[] {
  const answers: unknown = JSON.parse(text);
  if (!Array.isArray(answers)) throw new Error(`not a batch: ${text.slice(0, 200)}`);
  const outcomes: (Outcome | undefined)[] = Array(count).fill(undefined);
  for (const answer of answers) { // they may come in any order
    if (isAnswer(answer) && answer.id < count) outcomes[answer.id] = answer;
  }
  return outcomes;
}

function isAnswer(value: unknown): value is Outcome & { id: number } {
  if (typeof value !== "object" || value === null) return false;
  const { id, error }: { id?: unknown; error?: unknown } = value;
  if (!isCount(id)) return false;
  if (error === undefined) return true;
  if (typeof error !== "object" || error === null) return false;
  const { code, message }: { code?: unknown; message?: unknown } = error;
  return typeof code === "number" && typeof message === "string";
}
