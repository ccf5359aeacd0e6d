/**
 * The calls of a store's methods, as whoever makes them sees them.
 *
 * @module
 */
import type { Position } from "../journal/position.ts";
import { type Refusal, StoreError } from "../links/errors.ts";
import type { RPCError } from "./server.ts";

/** The codes of errors. Where two kinds share one, the kind goes along as data. */
export const CODES: ReadonlyMap<Refusal, number> = new Map([
  ["not found", -32001],
  ["exists", -32002],
  ["invalid url", -32003],
  ["invalid key", -32004],
  ["invalid query", -32602],
  ["invalid name", -32602],
  ["unavailable", -32005],
  ["full", -32005],
  ["expired", -32007],
  ["invalid time", -32008],
]);

/** The error that a refusal is. */
export function toRPCError({ kind, message }: StoreError): RPCError {
  return { code: CODES.get(kind) ?? -32603, message, data: kind };
}

/** What a call came to, and how new that is. */
export interface Answer {
  result?: unknown;
  /** What the store refused. */
  error?: StoreError;
  position: Position;
}

/** Calls the methods of a store elsewhere. */
export interface Client {
  /** Whether it is known that nobody answers. */
  readonly down: boolean;
  /** Calls a method, to be answered no older than at `since`. Throws where there is no answer. */
  call(method: string, params: (string | undefined)[], since?: number): Promise<Answer>;
}

/**
 * Calls a method that only reads, whose result is to pass `is`.
 *
 * @throws {StoreError} what the store refused, or unavailable: there is no such result
 */
export async function ask<T>(
  client: Client,
  method: string,
  params: (string | undefined)[],
  is: (value: unknown) => value is T,
): Promise<T> {
  const { result, error } = await client.call(method, params);
  if (error === undefined && is(result)) return result;
  throw error ?? new StoreError("unavailable", `master gave no good answer to ${method}`);
}

/** No master answers. */
export const errDown = new StoreError("unavailable", "master out of reach");
