/**
 * The messages of KV Connect, as far as they are used here:
 * https://github.com/denoland/denokv/blob/main/proto/schema/datapath.proto
 *
 * @module
 */
import { join } from "../journal/feed.ts";
import type { Entry, Key, Mutation, Range, Value, Write } from "./database.ts";
import { type Field, MessageWriter, readMessage } from "./protobuf.ts";

const STRING = 2; // begins a part of a key that is a string
// The numbers of the protocol.
const SET = 1;
const DELETE = 2;
const BYTES = 3;
const SUCCESS = 1;
const CHECK_FAILED = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
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
  const value = fields.get(2)?.bytes ?? new Uint8Array();
  return {
    key: parseKey(fields.get(1)?.bytes ?? new Uint8Array()),
    value: parseValue(value, fields.get(3)?.number),
    version: fields.get(4)?.bytes.toHex() ?? "",
  };
}

function parseValue(bytes: Uint8Array, encoding = 0): Value {
  if (encoding === BYTES) return new Uint8Array(bytes);
  throw new Error("the database holds what isn't goto's");
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
  const key = readFields(bytes).get(2)?.bytes ?? new Uint8Array();
  const entry = readFields(key).get(2)?.bytes ?? new Uint8Array();
  return readFields(entry).get(4)?.bytes.toHex() ?? "";
}

/** Cuts what comes into messages. Each has its length before it, in four bytes; those that are empty are left out. */
export class Messages {
  #rest: Uint8Array = new Uint8Array();

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

/** A key as it is ordered in the database: for each part a 2, its UTF-8 with 255 behind each 0, and a 0. */
export function formatKey(key: Key): Uint8Array {
  const plain = encoder.encode(key.map((part) => `\x02${part}\0`).join(""));
  if (!key.some((part) => part.includes("\0"))) return plain;
  const bytes: number[] = [];
  for (const part of key) {
    bytes.push(STRING);
    for (const byte of encoder.encode(part)) bytes.push(...byte === 0 ? [0, 255] : [byte]);
    bytes.push(0);
  }
  return new Uint8Array(bytes);
}

function parseKey(bytes: Uint8Array): Key {
  const key: string[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at++] !== STRING) throw new Error("the database holds what isn't goto's");
    const part: number[] = [];
    while (bytes[at] !== 0 || bytes[at + 1] === 255) {
      if (at >= bytes.length) throw new Error("a key is cut off");
      part.push(bytes[at]);
      at += bytes[at] === 0 ? 2 : 1;
    }
    at++;
    key.push(decoder.decode(new Uint8Array(part)));
  }
  return key;
}
