/**
 * Bodies of responses from elsewhere, as far as they may go.
 *
 * @module
 */

const utf8 = new TextDecoder("utf-8", { fatal: true });
const MAX_REASON = 64 << 10;

/**
 * The body of a response.
 *
 * @throws it is longer than `most` bytes
 */
export async function readBytes(response: Response, most: number): Promise<Uint8Array> {
  const length = Number(response.headers.get("content-length") ?? NaN);
  // Which is faster. What is compressed may be longer than it says.
  if (length <= most && !response.headers.has("content-encoding")) return await response.bytes();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > most) throw new Error(`an answer of over ${most} bytes`);
    chunks.push(chunk);
  }
  return await new Blob(chunks).bytes();
}

/**
 * The text of a response.
 *
 * @throws it is longer than `most` bytes, or no UTF-8: what was spoiled must not become somebody's URL
 */
export async function readText(response: Response, most: number): Promise<string> {
  return utf8.decode(await readBytes(response, most));
}

/** What a response says that is not the one hoped for, in at most 200 characters. */
export async function readReason(response: Response): Promise<string> {
  const text = await readText(response, MAX_REASON).catch((error) => error.message);
  return `${response.status} ${text.trim().slice(0, 200)}`;
}
