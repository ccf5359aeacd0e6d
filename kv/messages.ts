/**
 * The messages of KV Connect, as far as they are used here:
 * https://github.com/denoland/denokv/blob/main/proto/schema/datapath.proto
 *
 * @module
 */
import { join } from "../journal/feed.ts";
import type { Entry, Key, Mutation, Range, Write } from "./database.ts";
import { type Field, MessageWriter, NONE, readMessage } from "./protobuf.ts";

const STRING = "\x02"; // begins a part of a key that is a string
// The numbers of the protocol.
const SET = 1;
const DELETE = 2;
const BYTES = 3;
const SUCCESS = 1;
const CHECK_FAILED = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const errForeign = new Error("the database holds what isn't goto's");
const message = () => new MessageWriter();

/** A message `SnapshotRead`, which asks for ranges. */
export function formatRead(ranges: Range[]): Uint8Array<ArrayBuffer> {
  const read = message();
  for (const { start, end, limit } of ranges) {
    const range = message().bytes(1, formatKey(start)).bytes(2, formatKey(end)).number(3, limit);
    read.bytes(1, range.done());
  }
  return read.done();
}

/**
 * A message `SnapshotReadOutput`: the entries of each range that was asked for.
 *
 * @throws {Error} it is none, or this service can't read just now
 */
export function parseRead(bytes: Uint8Array): Entry[][] {
  const ranges: Entry[][] = [];
  let strong = false;
  for (const { field, number, bytes: range } of readMessage(bytes)) {
    if (field === 1) ranges.push([...readMessage(range)].map(({ bytes }) => parseEntry(bytes)));
    if (field === 2 && number) throw new Error("the database can't be read there");
    if (field === 4) strong = number !== 0;
  }
  if (!strong) throw new Error("the database gives no consistent answers there");
  return ranges;
}

function parseEntry(bytes: Uint8Array): Entry {
  const fields = readFields(bytes);
  if (fields.get(3)?.number !== BYTES) throw errForeign;
  return {
    key: parseKey(fields.get(1)?.bytes ?? NONE),
    value: new Uint8Array(fields.get(2)?.bytes ?? NONE),
    version: fields.get(4)?.bytes.toHex() ?? "",
  };
}

/** A message `AtomicWrite`. */
export function formatWrite({ checks, mutations }: Write): Uint8Array<ArrayBuffer> {
  const write = message();
  for (const { key, version } of checks) {
    const check = message().bytes(1, formatKey(key));
    if (version !== null) check.bytes(2, Uint8Array.fromHex(version));
    write.bytes(1, check.done());
  }
  for (const mutation of mutations) write.bytes(2, formatMutation(mutation));
  return write.done();
}

function formatMutation(mutation: Mutation): Uint8Array {
  const head = message().bytes(1, formatKey(mutation.key));
  if ("delete" in mutation) return head.number(3, DELETE).done();
  const value = message().bytes(1, mutation.set).number(2, BYTES).done();
  return head.bytes(2, value).number(3, SET).done();
}

/**
 * A message `AtomicWriteOutput`: the version that was made; nothing, where a check failed.
 *
 * @throws {Error} it is none, or this service can't write just now
 */
export function parseWrite(bytes: Uint8Array): string | undefined {
  const fields = readFields(bytes);
  const status = fields.get(1)?.number;
  if (status === SUCCESS) return fields.get(2)?.bytes.toHex() ?? "";
  if (status === CHECK_FAILED) return;
  throw new Error("the database can't be written there");
}

/** A message `Watch` for one key. */
export function formatWatch(key: Key): Uint8Array<ArrayBuffer> {
  return message().bytes(1, message().bytes(1, formatKey(key)).done()).done();
}

/** A message `WatchOutput` for one key: its version; "", where it isn't there. */
export function parseWatch(bytes: Uint8Array): string {
  const key = readFields(bytes).get(2)?.bytes ?? NONE;
  const entry = readFields(key).get(2)?.bytes ?? NONE;
  return readFields(entry).get(4)?.bytes.toHex() ?? "";
}

/** Cuts what comes into messages. Each has its length before it, in four bytes; those that are empty are left out. */
export class Messages {
  #rest = NONE;

  /** @param most so many bytes a message may have */
  constructor(private readonly most: number) {}

  /** @throws {Error} a message is too long */
  *take(chunk: Uint8Array): Generator<Uint8Array, void, void> {
    this.#rest = this.#rest.length === 0 ? chunk : join([this.#rest, chunk]);
    while (this.#rest.length >= 4) {
      const { buffer, byteOffset } = this.#rest;
      const length = new DataView(buffer, byteOffset).getUint32(0, true);
      if (length > this.most) throw new Error("a message is too long");
      if (this.#rest.length < 4 + length) return;
      const message = this.#rest.subarray(4, 4 + length);
      this.#rest = this.#rest.subarray(4 + length);
      if (length > 0) yield message;
    }
  }
}

function readFields(bytes: Uint8Array): Map<number, Field> {
  return new Map([...readMessage(bytes)].map((field) => [field.field, field]));
}

/** A key as it is ordered in the database: for each part a 2, its UTF-8, and a 0. */
function formatKey(key: Key): Uint8Array {
  return encoder.encode(key.map((part) => `${STRING}${part}\0`).join(""));
}

function parseKey(bytes: Uint8Array): Key {
  const parts = decoder.decode(bytes).split("\0");
  if (parts.pop() !== "" || !parts.every((part) => part.startsWith(STRING))) throw errForeign;
  return parts.map((part) => part.slice(1));
}
