/**
 * Answers as they come over a connection.
 *
 * @module
 */

/** One answer; the body is latin1. */
export interface Answer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/**
 * Cuts what came over a connection into answers. The last one may be cut off.
 *
 * @param bodiless whether the first may be without its body, as it is for HEAD: then only its head counts
 * @throws {Error} it is no HTTP
 */
export function readAnswers(text: string, bodiless: boolean): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end === -1) {
      if (!"HTTP/1.".startsWith(text.slice(at, at + 7))) throw new Error("no status line");
      break; // cut off
    }
    const [first, ...lines] = text.slice(at, end).split("\r\n");
    const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d) [ -~]*$/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`a bad status line, ${JSON.stringify(first)}`);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name, value] = /^([!#$%&'*+.^_`|~\dA-Za-z-]+): ?([\t -~\x80-\xff]*)$/.exec(line) ??
        [];
      if (name === undefined) throw new Error(`a bad header, ${JSON.stringify(line)}`);
      headers.set(name.toLowerCase(), value);
    }
    const [body, next] = bodiless || status < 200 || status === 204 || status === 304
      ? ["", end + 4]
      : readBody(text, end + 4, headers);
    answers.push({ status, headers, body });
    if (bodiless) break;
    at = next;
  }
  return answers;
}

/** The body that begins at `at`, and where the next answer does. */
function readBody(text: string, at: number, headers: Map<string, string>): [string, number] {
  const length = headers.get("content-length");
  if (length !== undefined) {
    if (!/^\d+$/.test(length)) throw new Error(`a bad length, ${length}`);
    return [text.slice(at, at + Number(length)), at + Number(length)];
  }
  if (headers.get("transfer-encoding") !== "chunked") return [text.slice(at), text.length];
  let body = "";
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end === -1) return [body, text.length]; // cut off
    const line = text.slice(at, end);
    if (!/^[\da-f]+$/i.test(line)) throw new Error(`a bad chunk, ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
    if (size === 0) return [body, at];
  }
}
