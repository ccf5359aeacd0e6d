/**
 * Certificates made here, by `openssl`.
 *
 * @module
 */
import { assert } from "@std/assert";
import { type Goto, tempDir } from "./processes.ts";
import { tool } from "./tools.ts";

/** An authority of our own, whose certificates are for this machine. */
export class Authority implements Disposable {
  readonly #dir = tempDir();
  readonly path = this.#dir.path;
  readonly ca = `${this.path}/ca.pem`;
  readonly cert = `${this.path}/cert.pem`;
  readonly key = `${this.path}/key.pem`;

  static async make(): Promise<Authority> {
    const authority = new Authority();
    const { path, ca } = authority;
    const subject = ["-subj", "/CN=authority", "-days", "2"];
    await openssl("req", "-x509", ...NEW_KEY, `${path}/ca.key`, "-out", ca, ...subject);
    await authority.certify("first");
    return authority;
  }

  /** Makes a certificate for localhost, and puts it in place as others do: by renaming. */
  async certify(name: string): Promise<void> {
    const { path, ca, cert, key } = this;
    await openssl(
      "req",
      ...NEW_KEY,
      `${key}.new`,
      "-out",
      `${path}/req.pem`,
      "-subj",
      `/CN=${name}`,
    );
    await Deno.writeTextFile(`${path}/ext`, "subjectAltName=DNS:localhost,IP:127.0.0.1");
    await openssl(
      ...["x509", "-req", "-in", `${path}/req.pem`, "-CA", ca, "-CAkey", `${path}/ca.key`],
      ...["-CAcreateserial", "-days", "2", "-extfile", `${path}/ext`, "-out", `${cert}.new`],
    );
    await Deno.rename(`${key}.new`, key);
    await Deno.rename(`${cert}.new`, cert);
  }

  get flags(): string[] {
    return [`-tls-cert=${this.cert}`, `-tls-key=${this.key}`];
  }

  /** What trusts this authority. */
  client(options: Deno.CreateHttpClientOptions = {}): Deno.HttpClient {
    return Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(this.ca)], ...options });
  }

  [Symbol.dispose]() {
    this.#dir[Symbol.dispose]();
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await tool("openssl", ...args);
  assert(success, stderr);
}

/** Whose certificate a new connection gets. */
export async function nameOf({ url }: Pick<Goto, "url">): Promise<string> {
  const { host } = new URL(url);
  const { stdout } = await tool("openssl", "s_client", "-connect", host);
  return /^subject=.*CN *= *(.*)$/m.exec(stdout)?.[1] ?? "";
}
