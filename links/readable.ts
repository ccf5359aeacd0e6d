/**
 * URLs as people read them.
 *
 * @module
 */
import { domainToUnicode } from "node:url";

const lossy = new TextDecoder();

/** What says that a part of a host is written in other letters than those of ASCII. */
const INTERNATIONAL = "xn--";
/** A URL up to the end of its host. */
const HOST = /^([a-z][a-z\d+.-]*:\/\/)([^/?#:\\@]+)(?=[/?#:\\]|$)/i;
/** Bytes in percent-encoding, in a row. */
const ENCODED = /(?:%[\da-f]{2})+/gi;
/** What can't be seen, or makes others be seen elsewhere. */
const INVISIBLE = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\ufffd]/u;

/**
 * All that a URL says in letters, for a search: what is percent-encoded is decoded, and so is its host. It costs
 * next to nothing where nothing is.
 *
 * @example
 * ```ts
 * decodeAll("https://xn--bcher-kva.example/%C3%BC%2Fx"); // "https://bücher.example/ü/x"
 * ```
 */
export function decodeAll(url: string): string {
  if (url.includes("%")) url = url.replace(ENCODED, (run) => lossy.decode(bytesOf(run)));
  if (!url.includes(INTERNATIONAL)) return url;
  return url.replace(HOST, (_, scheme, host) => scheme + (domainToUnicode(host) || host));
}

/**
 * A URL to be shown. Letters outside ASCII stand for themselves, unless they can't be seen. Many look like others,
 * so behind an international host stands what it is for a machine: nobody can pretend to be somebody else.
 *
 * @example
 * ```ts
 * toReadable("https://xn--bcher-kva.example/%C3%BC%2Fx");
 * // "https://bücher.example (xn--bcher-kva.example)/ü%2Fx"
 * ```
 */
export function toReadable(url: string): string {
  if (url.includes("%")) url = url.replace(ENCODED, decodeVisible);
  if (!url.includes(INTERNATIONAL)) return url;
  return url.replace(HOST, (all, scheme, host) => {
    const read = domainToUnicode(host);
    return read === "" || read === host || INVISIBLE.test(read)
      ? all
      : `${scheme}${read} (${host})`;
  });
}

/** Decodes what is there in percent-encoding, but for ASCII and what can't be seen. */
function decodeVisible(run: string): string {
  let text;
  try {
    text = decodeURIComponent(run);
  } catch {
    return run;
  }
  let shown = "";
  let at = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    const end = at + 3 * (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
    shown += code < 0x80 || INVISIBLE.test(char) ? run.slice(at, end) : char;
    at = end;
  }
  return shown;
}

function bytesOf(run: string): Uint8Array {
  return Uint8Array.from({ length: run.length / 3 }, (_, i) => {
    return parseInt(run.slice(3 * i + 1, 3 * i + 3), 16);
  });
}
