/**
 * Bodies of requests, as far as they may go.
 *
 * @module
 */
import { StoreError } from "../links/errors.ts";
import { Budget } from "./budget.ts";
import { type Fields, readEncoded, takeFields } from "./fields.ts";
import { readMultipart } from "./multipart.ts";
import { HTTPError, RETRY } from "./problem.ts";
import { holdOf } from "./quota.ts";
import { charsetOf, checkCharset, mediaType, query } from "./request.ts";

const MAX_BODY = 64 << 10;
// So much is read of a body that is too large: a connection that is closed while the other end still
// sends may lose the answer.
const MAX_DRAIN = 4 << 20;
const MAX_SMALL = 4 << 10; // a body that is read in one piece, which is faster
const TURNS = 4; // within so many, Deno gives a small body that has come together with its head
/** So many bytes of bodies are held at once, by each thread; of those for `/rpc` as many again. */
export const MAX_BODIES = 32 << 20;
/**
 * So long a body may take, in milliseconds. Whoever takes longer is answered, and what came is forgotten.
 * The connection stays, as an idle one does, until the other end closes it: Deno can't be told to.
 */
export const BODY_MS = 10_000;

const bodies = new Budget(MAX_BODIES);
/** What bodies for `/rpc` hold: replicas shall not lose their master to those who send forms. */
export const rpcBodies: Budget = new Budget(MAX_BODIES);

/** The whole body, if it keeps to `limit` bytes, and comes in time. */
async function readBody(
  req: Request,
  limit: number,
  small = MAX_SMALL,
  budget = bodies,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = req.headers.get("content-length");
  const length = header === null ? Infinity : Number(header);
  if (header !== null && length > MAX_DRAIN) throw tooLarge(limit);
  try {
    if (length > small) return await inTime((late) => readParts(req, limit, late, budget));
    const body = req.bytes();
    let failed = false;
    let bytes: Uint8Array<ArrayBuffer> | undefined;
    body.then((all) => bytes = all, () => failed = true);
    // One that is there needs no timer, which takes longer than all the rest.
    for (let n = 0; n < TURNS && bytes === undefined && !failed; n++) await undefined;
    return bytes ?? await readLate(req, body, length, budget);
  } catch (error) {
    // A client that hangs up is no error of ours, which would be logged.
    throw error instanceof HTTPError || error instanceof StoreError
      ? error
      : new HTTPError(400, "the body broke off");
  }
}

/** Waits for a body of so many bytes. */
async function readLate<T>(
  req: Request,
  body: Promise<T>,
  length: number,
  budget: Budget,
): Promise<T> {
  holdOf(req)?.take(length, "bodies");
  if (!budget.take(length)) throw tooMany();
  try {
    return await inTime((late) => Promise.race([body, late]));
  } finally {
    budget.give(length);
  }
}

/** Gives `read` a promise that is rejected when a body has taken too long. */
async function inTime<T>(read: (late: Promise<never>) => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow()), BODY_MS);
  try {
    return await read(late);
  } finally {
    clearTimeout(timer);
  }
}

async function readParts(
  req: Request,
  limit: number,
  late: Promise<never>,
  budget: Budget,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = req.body?.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let held = 0;
  try {
    while (size <= MAX_DRAIN) {
      const { value: chunk } = await Promise.race([reader?.read(), late]) ?? {};
      if (chunk === undefined) break;
      size += chunk.length;
      if (size > limit) continue; // what comes now is thrown away
      holdOf(req)?.take(chunk.length, "bodies");
      if (!budget.take(chunk.length)) throw tooMany();
      held += chunk.length;
      chunks.push(chunk);
    }
    if (size > limit) throw tooLarge(limit);
    return await new Blob(chunks).bytes();
  } finally {
    budget.give(held);
    reader?.cancel().catch(() => {});
  }
}

function tooLarge(limit: number): HTTPError {
  return new HTTPError(413, `the body is larger than ${limit} bytes`);
}

function tooSlow(): HTTPError {
  return new HTTPError(408, "the body is too slow", { connection: "close" });
}

function tooMany(): HTTPError {
  return new HTTPError(503, "too many bodies are coming in", RETRY);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new HTTPError(400, "the body is not UTF-8");
  }
}

/**
 * The fields of a form, which are known by their `names`, each of them once at most.
 *
 * @throws {HTTPError} 400: another field, one that comes twice, or bytes that are no UTF-8
 */
export async function readForm(req: Request, names: readonly string[]): Promise<Fields> {
  query(req, []); // nothing is taken from there
  const type = req.headers.get("content-type") ?? "";
  const media = mediaType(type);
  if (media === "application/x-www-form-urlencoded") {
    const fields = readEncoded(decodeText(await readBody(req, MAX_BODY)));
    const charset = charsetOf(type);
    if (charset !== undefined) checkCharset(charset, fields.join(""));
    return takeFields(fields, names, "field");
  }
  if (media !== "multipart/form-data") {
    throw new HTTPError(415, "use content-type application/x-www-form-urlencoded");
  }
  const text = decodeText(await readBody(req, MAX_BODY));
  return takeFields(readMultipart(text, type), names, "field");
}

/**
 * A body of JSON as text. One of another type is refused: no page of another site can send JSON.
 *
 * @param options `types` are the media types that are taken: an error names the first one; up to `small`
 * bytes are read in one piece, and held from the start; `budget` holds them
 */
export async function readJSONText(
  req: Request,
  { limit = MAX_BODY, small = MAX_SMALL, types = ["application/json"], budget = bodies }: {
    limit?: number;
    small?: number;
    types?: string[];
    budget?: Budget;
  } = {},
): Promise<string> {
  const type = req.headers.get("content-type") ?? "";
  if (!types.includes(mediaType(type))) {
    throw new HTTPError(415, `use content-type ${types[0]}`);
  }
  const text = decodeText(await readBody(req, limit, small, budget));
  checkCharset(charsetOf(type), text);
  return text;
}
