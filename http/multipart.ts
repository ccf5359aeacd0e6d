/**
 * Forms as `multipart/form-data` (RFC 7578), taken exactly or not at all: the runtime passes over parts that it
 * can't read.
 *
 * @module
 */
import { quote } from "../links/text.ts";
import { HTTPError } from "./problem.ts";
import { charsetOf, checkCharset, parameterOf } from "./request.ts";

/** A parameter of a header, behind what came before. */
const PARAMETER = /;[ \t]*([\w*-]+)=(?:"([^"]*)"|([^\s;"]+))[ \t]*/y;

/**
 * The fields of a form.
 *
 * @param type the form's content type, which says what stands between its parts
 * @throws {HTTPError} 400: what is no form, or breaks off; a file; a part without a name, or in another encoding
 * @example
 * ```ts
 * const form = '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\ndocs\r\n--x--\r\n';
 * [...readMultipart(form, "multipart/form-data; boundary=x")]; // [["key", "docs"]]
 * ```
 */
export function* readMultipart(
  text: string,
  type: string,
): Generator<[name: string, value: string]> {
  const boundary = parameterOf(type, "boundary");
  const [, ...parts] = boundary ? `\r\n${text}`.split(`\r\n--${boundary}`) : [];
  if (parts.length === 0) throw noForm();
  const last = parts.findIndex((part) => part.startsWith("--"));
  if (last === -1) throw new HTTPError(400, "the form breaks off");
  if (last < parts.length - 1 || parts[last].slice(2).trim() !== "") {
    throw new HTTPError(400, "the form goes on behind its end");
  }
  for (const part of parts.slice(0, last)) yield readPart(part, charsetOf(type));
}

/** The name and the value of a part, which begins behind its boundary. */
function readPart(part: string, charset?: string): [name: string, value: string] {
  const end = part.indexOf("\r\n\r\n");
  const padding = part.indexOf("\r\n");
  if (end === -1 || part.slice(0, padding).trim() !== "") throw noForm();
  const headers = new Map<string, string>();
  for (const line of part.slice(padding, end).split(/\r\n(?![ \t])/).slice(1)) {
    const [, name, value] = /^([\w-]+):(.*)$/s.exec(line) ?? [];
    const known = name?.toLowerCase();
    if (known === undefined || headers.has(known)) throw noForm();
    headers.set(known, value.replaceAll("\r\n", " ").trim());
  }
  const name = nameOf(headers.get("content-disposition") ?? "");
  const value = part.slice(end + 4);
  const encoding = headers.get("content-transfer-encoding") ?? "binary";
  if (!/^(?:7bit|8bit|binary)$/i.test(encoding)) {
    throw new HTTPError(400, `the field ${quote(name)} is encoded: ${quote(encoding)}`);
  }
  checkCharset(charsetOf(headers.get("content-type") ?? "") ?? charset, name + value);
  return [name, value];
}

/** The name of a part that is no file. */
function nameOf(disposition: string): string {
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = disposition.search(/[\s;]|$/);
  const kind = disposition.slice(0, PARAMETER.lastIndex).toLowerCase();
  while (disposition[PARAMETER.lastIndex] === " ") PARAMETER.lastIndex++;
  let at = PARAMETER.lastIndex;
  for (let found; (found = PARAMETER.exec(disposition)); at = PARAMETER.lastIndex) {
    const [, name, quoted, bare] = found;
    if (parameters.has(name.toLowerCase())) throw unnamed();
    parameters.set(name.toLowerCase(), quoted ?? bare);
  }
  const name = parameters.get("name");
  if (kind !== "form-data" || at < disposition.length || name === undefined) throw unnamed();
  for (const other of parameters.keys()) {
    if (other.startsWith("filename")) {
      throw new HTTPError(400, `the field ${quote(name)} is a file`);
    }
    if (other !== "name") throw unnamed();
  }
  return name;
}

function noForm(): HTTPError {
  return new HTTPError(400, "the body is no form");
}

function unnamed(): HTTPError {
  return new HTTPError(400, "the form has a part without a name");
}
