/**
 * The text of a file.
 *
 * @module
 */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const [LF, CR] = [0x0a, 0x0d];

/**
 * Reads UTF-8; a byte order mark in front is dropped.
 *
 * @throws {Error} it is something else: in which line
 */
export async function* decode(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array(); // the beginning of a character, or of the file
  let line = 1;
  let begun = false;
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : join(rest, chunk);
    if (!begun && bytes.length < 4) {
      rest = bytes;
      continue;
    }
    const whole = bytes.length - unfinished(bytes);
    rest = bytes.slice(whole);
    yield* text(bytes.subarray(0, whole));
  }
  if (rest.length > 0) yield* text(rest);

  function* text(bytes: Uint8Array): Generator<string> {
    if (!begun && isUTF16(bytes)) throw new Error("it is UTF-16: save it as UTF-8");
    let text;
    let end = bytes.length;
    try {
      text = utf8.decode(bytes);
    } catch {
      end = badLine(bytes);
      text = utf8.decode(bytes.subarray(0, end));
    }
    yield begun ? text : text.replace(/^\ufeff/, "");
    begun = true;
    line += countLines(bytes.subarray(0, end));
    if (end === bytes.length) return;
    const cut = bytes[end - 1] === CR && bytes[end] !== LF ? 1 : 0;
    throw new Error(`not UTF-8, line ${line + cut}`);
  }
}

/** Whether a text begins as UTF-16: with its byte order mark, or with two characters of ASCII. */
function isUTF16([a, b, c, d]: Uint8Array): boolean {
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  return (a === 0 && c === 0 && b > 0 && d > 0) || (b === 0 && d === 0 && a > 0 && c > 0);
}

/** How many bytes at the end begin a character that isn't complete. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    return back < (byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) ? back : 0;
  }
  return 0;
}

/** Where the first line begins that isn't UTF-8. */
function badLine(bytes: Uint8Array): number {
  let start = 0;
  for (let end = 0; start < bytes.length; start = end) {
    while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
    end++;
    try {
      utf8.decode(bytes.subarray(start, end));
    } catch {
      break;
    }
  }
  return start;
}

/** How many lines end: with LF, CRLF or CR. */
function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = -1; (at = bytes.indexOf(LF, at + 1)) !== -1;) count++;
  for (let at = -1; (at = bytes.indexOf(CR, at + 1)) !== -1;) {
    if (bytes[at + 1] !== LF && at + 1 < bytes.length) count++;
  }
  return count;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
