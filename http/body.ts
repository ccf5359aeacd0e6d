/**
 * Bodies of requests, as far as they may go.
 *
 * @module
 */
import { HTTPError } from "./problem.ts";
import { mediaType } from "./request.ts";

const MAX_BODY = 64 << 10;
// So much is read of a body that is too large: a connection that is closed while the other end still
// sends may lose the answer.
const MAX_DRAIN = 4 << 20;

/** The whole body, if it keeps to `limit` bytes. */
async function readBody(req: Request, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new HTTPError(413, `the body is larger than ${limit} bytes`);
  const length = req.headers.get("content-length");
  if (Number(length) > MAX_DRAIN) throw tooLarge();
  try {
    if (length !== null && Number(length) <= limit) return await req.bytes();
    const chunks = [];
    let size = 0;
    for await (const chunk of req.body ?? []) {
      size += chunk.length;
      if (size > MAX_DRAIN) break; // which also cancels the stream
      if (size <= limit) chunks.push(chunk);
    }
    if (size > limit) throw tooLarge();
    return await new Blob(chunks).bytes();
  } catch (error) {
    // A client that hangs up is no error of ours, which would be logged.
    throw error instanceof HTTPError ? error : new HTTPError(400, "the body broke off");
  }
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
