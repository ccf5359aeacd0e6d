/**
 * The certificate of a server.
 *
 * @module
 */
import { reasonOf } from "../journal/file.ts";
import { ListenError } from "./address.ts";

/** A certificate, with those between it and a known one, and its key, as PEM. */
export interface Pair {
  cert: string;
  key: string;
}

/** A certificate and its key in files, which may be replaced. */
export class Certificate {
  #pair: Pair;
  #stamps: string;

  /** @throws {ListenError} a file can't be read: one line */
  constructor(private readonly files: Pair) {
    this.#stamps = this.#stampsNow();
    this.#pair = this.#read();
  }

  get pair(): Pair {
    return this.#pair;
  }

  /** Reads the files again, if they are others than before; whether there is another pair. */
  refresh(): boolean {
    try {
      const stamps = this.#stampsNow();
      if (stamps === this.#stamps) return false;
      const { cert, key } = this.#pair;
      this.#pair = this.#read();
      this.#stamps = stamps;
      return cert !== this.#pair.cert || key !== this.#pair.key;
    } catch {
      return false; // one is being replaced just now
    }
  }

  #read(): Pair {
    return { cert: read(this.files.cert), key: read(this.files.key) };
  }

  #stampsNow(): string {
    return [this.files.cert, this.files.key].map((path) => {
      try {
        const { mtime, size, ino } = Deno.statSync(path);
        return `${mtime?.getTime()} ${size} ${ino}`;
      } catch {
        return ""; // to read it says why
      }
    }).join();
  }
}

/** Whether a text holds a certificate, as PEM. */
export function holdsCertificate(text: string): boolean {
  return text.includes("-----BEGIN CERTIFICATE-----");
}

/**
 * Has `serve` use a pair, and says which of the two is at fault where it can't be used.
 *
 * @throws {Error} why not, or what `serve` throws
 */
export function withPair<T>({ cert, key }: Pair, serve: () => T): T {
  if (!holdsCertificate(cert)) throw new Error("no certificate in its file");
  if (!/-----BEGIN (?:\w+ )?PRIVATE KEY-----/.test(key) || key.includes("ENCRYPTED")) {
    throw new Error("no key in its file that can be read (one with a passphrase can't)");
  }
  try {
    return serve();
  } catch (error) {
    if (!(error instanceof Error && error.message.endsWith("KeyMismatch"))) throw error;
    throw new Error("the key is not the certificate's");
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new ListenError(`can't read ${path}: ${reasonOf(error)}`);
  }
}
