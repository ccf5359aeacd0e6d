/**
 * What flags may be: each of these reads a text, or throws what is allowed.
 *
 * @module
 */
import type { Address } from "../http/address.ts";
import { holdsCertificate } from "../http/certificate.ts";
import { reasonOf } from "../journal/file.ts";
import { SCHEME } from "../links/link.ts";

/** One of a few words. */
export function oneOf<T extends string>(...allowed: T[]): (text: string) => T {
  return (text) => {
    const value = allowed.find((one) => one === text);
    if (value === undefined) throw new Error(`use ${allowed.join(" or ")}`);
    return value;
  };
}

/** True or false, as Go spells them. */
export function parseBoolean(text: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new Error("use true or false");
}

/** How links are written: none are, where it is false. */
export function parseForm(text: string): "jsonl" | "csv" | undefined {
  if (text === "jsonl" || text === "csv") return text;
  try {
    return parseBoolean(text) ? "jsonl" : undefined;
  } catch {
    throw new Error("use jsonl or csv");
  }
}

/** A number from 0 to `most`. */
export function parseCount(most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) > most) {
      throw new Error(`use a number from 0 to ${most}`);
    }
    return Number(text);
  };
}

/** A file that a flag names, and that can't be used: the message says all. */
export class FileProblem extends Error {}

/**
 * What nobody shall know, as a header can bear it: itself, or `@FILE`, the file that holds it, whose last
 * newline doesn't count.
 *
 * @throws {FileProblem} the file can't be read, or holds nothing
 */
export function parseSecret(text: string): string {
  const path = text.startsWith("@") ? text.slice(1) : undefined;
  if (path === "") throw new Error('name a file behind the "@"');
  const secret = path === undefined ? text : readSecret(path).replace(/\r?\n$/, "");
  if (/^[!-~]*$/.test(secret)) return secret;
  const allowed = "use visible ASCII characters, without spaces";
  throw path === undefined ? new Error(allowed) : new FileProblem(`${path}: ${allowed}`);
}

/** Reads a file that holds a secret. Without a folder, and a file, a name may be the secret itself. */
function readSecret(path: string): string {
  try {
    Deno.statSync(path);
  } catch (error) {
    // Other messages name the file.
    const [, reason = "no such file"] =
      /^([\w ]+) \(os error/.exec(error instanceof Error ? error.message : "") ?? [];
    const shown = /^\.{0,2}\//.test(path) ? path : 'the file behind the "@"';
    throw new FileProblem(`can't read ${shown}: ${reason}`);
  }
  return readText(path);
}

/** The name of a file that holds certificates, as PEM. */
export function parseCertificates(path: string): string {
  if (parseFile(path) !== "" && !holdsCertificate(readText(path))) {
    throw new FileProblem(`${path} holds no certificate`);
  }
  return path;
}

/**
 * Reads a file that a flag names.
 *
 * @throws {FileProblem} it can't be read, or holds nothing
 */
function readText(path: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new FileProblem(`can't read ${path}: ${reasonOf(error)}`);
  }
  if (text.trim() === "") throw new FileProblem(`${path} is empty`);
  return text;
}

/** Where to listen. */
export function parseAddress(text: string): Address {
  const [, hostname, port] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const name = hostname?.replace(/^\[(.*)\]$/, "$1");
  const bare = name === hostname ? /^[^\s:/[\]]*$/ : /^[\da-fA-F:.%]+$/;
  if (port === undefined || Number(port) > 65535 || !bare.test(name)) {
    throw new Error("use :port or host:port, with a port up to 65535");
  }
  return { hostname: name, port: Number(port) };
}

/** The name of a file. An address, which may hold a password, would be shown where there is no such file. */
export function parseFile(text: string): string {
  if (/^[a-z][\w+.-]*:\/\//i.test(text)) throw new Error("use the name of a file");
  return text;
}

/** The name of a file that is to be made. */
export function parseNewFile(text: string): string {
  if (text === "-" || text.endsWith("/")) throw new Error("use the name of a file");
  return parseFile(text);
}

/** What short links start with: a scheme and a host, and no "/" at the end. */
export function parseHost(text: string): string {
  if (text === "") return "";
  const origin = parseOrigin(text);
  const { hostname, pathname } = new URL(origin);
  if (SCHEME.test(hostname)) throw new Error(`"${hostname}" is a scheme; use host:port, or a URL`);
  if (pathname !== "/") {
    throw new Error("use host:port, or a URL without a path, since none is served");
  }
  return withoutDot(origin);
}

/** An origin without the dot that may end the name of its host: browsers take that for another one. */
function withoutDot(origin: string): string {
  return origin.replace(/\.(?=(?::\d+)?$)/, "");
}

/** Where masters are, separated by commas. */
export function parseMasters(text: string): string[] {
  if (text === "") return [];
  return text.split(",").map((part) => parseOrigin(part.trim().replace(/^:/, "localhost:")));
}

/** Where a database is: a path, or the address of a service. */
export function parseDatabase(text: string): string {
  if (/^https?:/i.test(text)) return parseOrigin(text);
  if (text.includes("://") || text.startsWith(":")) {
    throw new Error("use a path, or a URL that starts with http:// or https://");
  }
  return text;
}

/** Whether a database that {@linkcode parseDatabase} gives is a service. */
export function isService(database: string): boolean {
  return /^https?:/.test(database);
}

/** Origins as browsers send them, separated by commas. */
export function parseOrigins(text: string): string[] {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const url = part.includes("://") ? parseOrigin(part.trim()) : "";
    if (url === "" || url !== new URL(url).origin) {
      throw new Error("use a scheme and a host, such as https://intranet.example.com");
    }
    return withoutDot(url);
  });
}

/** A scheme and a host, and perhaps a path. */
function parseOrigin(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (
    !url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username ||
    url.password
  ) {
    throw new Error("use host:port, or a URL that starts with http:// or https://");
  }
  if (url.pathname.startsWith("//") && SCHEME.test(url.hostname)) {
    throw new Error("it begins with two schemes: leave one of them out");
  }
  return url.href.replace(/\/+$/, "");
}

/** The name of a header; "" for none. */
export function parseHeader(text: string): string {
  if (!/^[\w!#$%&'*+.^`|~-]{0,100}$/.test(text)) {
    throw new Error("use a header's name, as X-Forwarded-User");
  }
  return text;
}
