/**
 * Bodies of requests, as far as they may go.
 *
 * @module
 */
import { Budget } from "./budget.ts";
import { HTTPError, RETRY } from "./problem.ts";
import { mediaType } from "./request.ts";

const MAX_BODY = 64 << 10;
// So much is read of a body that is too large: a connection that is closed while the other end still
// sends may lose the answer.
const MAX_DRAIN = 4 << 20;
const MAX_SMALL = 4 << 10; // a body that is read in one piece, which is faster
/** So many bytes of bodies are held at once, by each thread. */
export const MAX_BODIES = 32 << 20;
/**
 * So long a body may take, in milliseconds. Whoever takes longer is answered, and what came is forgotten.
 * The connection stays, as an idle one does, until the other end closes it: Deno can't be told to.
 */
export const BODY_MS = 10_000;

const bodies = new Budget(MAX_BODIES);

/** The whole body, if it keeps to `limit` bytes, and comes in time. */
async function readBody(req: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const length = req.headers.get("content-length");
  if (Number(length) > MAX_DRAIN) throw tooLarge(limit);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow()), BODY_MS);
  try {
    if (length !== null && Number(length) <= MAX_SMALL) {
      return await readSmall(req, Number(length), late);
    }
    return await readLarge(req, limit, late);
  } catch (error) {
    // A client that hangs up is no error of ours, which would be logged.
    throw error instanceof HTTPError ? error : new HTTPError(400, "the body broke off");
  } finally {
    clearTimeout(timer);
  }
}

async function readSmall(
  req: Request,
  length: number,
  late: Promise<never>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (!bodies.take(length)) throw tooMany();
  try {
    return await Promise.race([req.bytes(), late]);
  } finally {
    bodies.give(length);
  }
}

async function readLarge(
  req: Request,
  limit: number,
  late: Promise<never>,
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
      if (!bodies.take(chunk.length)) throw tooMany();
      held += chunk.length;
      chunks.push(chunk);
    }
    if (size > limit) throw tooLarge(limit);
    return await new Blob(chunks).bytes();
  } finally {
    bodies.give(held);
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

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HTTPError(400, "the body is not UTF-8");
  }
}

/** The fields of a form. */
export async function readForm(req: Request): Promise<{ get(name: string): string | null }> {
  const type = mediaType(req);
  if (type === "application/x-www-form-urlencoded") {
    return new URLSearchParams(decodeText(await readBody(req, MAX_BODY)));
  }
  if (type !== "multipart/form-data") {
    throw new HTTPError(415, "use content-type application/x-www-form-urlencoded");
  }
  const headers = { "content-type": req.headers.get("content-type") ?? "" };
  const form = await new Response(await readBody(req, MAX_BODY), { headers }).formData()
    .catch(() => {
      throw new HTTPError(400, "the body is no form");
    });
  return {
    get(name) {
      const value = form.get(name);
      return typeof value === "string" ? value : null;
    },
  };
}

/** A body of JSON as text. One of another type is refused: no page of another site can send JSON. */
export async function readJSONText(req: Request, limit = MAX_BODY): Promise<string> {
  if (mediaType(req) !== "application/json") {
    throw new HTTPError(415, "use content-type application/json");
  }
  return decodeText(await readBody(req, limit));
}
