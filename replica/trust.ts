/**
 * Which masters are trusted.
 *
 * @module
 */
import { holdsCertificate } from "../http/certificate.ts";

const LOOK_MS = 1000; // between two looks whether the file is another

/** A client that trusts the authorities in a file beside the known ones, and reads it again when it changes. */
export class Trust {
  #client: Deno.HttpClient;
  #before?: Deno.HttpClient;
  #stamp: string;
  #next: number;

  /**
   * @param path the file; without one, only the known authorities are trusted
   * @throws the file can't be read
   */
  constructor(private readonly path = "") {
    this.#stamp = this.#stampNow();
    this.#client = this.#make();
    this.#next = performance.now() + LOOK_MS;
  }

  get client(): Deno.HttpClient {
    const now = performance.now();
    if (this.path !== "" && now >= this.#next) {
      this.#next = now + LOOK_MS;
      this.#look();
    }
    return this.#client;
  }

  /** Makes another client of another file. What the one before has begun it ends. */
  #look(): void {
    try {
      const stamp = this.#stampNow();
      if (stamp === this.#stamp) return;
      const client = this.#make();
      this.#before?.close(); // only now: with the last one a request may be about to begin
      this.#before = this.#client;
      this.#client = client;
      this.#stamp = stamp;
    } catch {
      // The file is being replaced just now, or is of no use: it is looked at again.
    }
  }

  #make(): Deno.HttpClient {
    const caCerts = this.path === "" ? [] : [readCertificates(this.path)];
    // Over HTTP/2 all would share a connection, and wait for each other where it is slow.
    return Deno.createHttpClient({ caCerts, http2: false });
  }

  #stampNow(): string {
    if (this.path === "") return "";
    const { mtime, size, ino } = Deno.statSync(this.path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  }
}

function readCertificates(path: string): string {
  const text = Deno.readTextFileSync(path);
  if (!holdsCertificate(text)) throw new Error(`${path} holds no certificate`);
  return text;
}
