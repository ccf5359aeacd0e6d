/**
 * Clients that do as they like: what they send, and whether they read, no library decides.
 *
 * @module
 */
import { type Goto, within } from "./processes.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One connection to a server. */
export class Client implements Disposable {
  #closed = false;
  private constructor(private readonly conn: Deno.TcpConn) {}

  static async open(base: string): Promise<Client> {
    const { hostname, port } = new URL(base);
    return new Client(await Deno.connect({ hostname, port: Number(port) }));
  }

  /** Sends text as it is; what can't be sent any more is left out. */
  async send(text: string): Promise<void> {
    const bytes = encoder.encode(text);
    try {
      for (let n = 0; n < bytes.length;) n += await this.conn.write(bytes.subarray(n));
    } catch {
      // The server closed the connection, after what is read below.
    }
  }

  /** Reads until `enough` accepts what came since, or the connection ends. */
  async read(enough: (text: string) => boolean, ms = 10_000): Promise<string> {
    const buffer = new Uint8Array(1 << 16);
    const parts: string[] = [];
    const all = async () => {
      while (!enough(parts.join(""))) {
        const n = await this.conn.read(buffer).catch(() => null);
        if (n === null) break;
        parts.push(decoder.decode(buffer.subarray(0, n)));
      }
      return parts.join("");
    };
    return await within(ms, "an answer", all());
  }

  /** Reads until what comes ends with `end`; gives how it began. */
  async readTo(end: string, ms = 10_000): Promise<string> {
    let first = "";
    for (let last = ""; !last.endsWith(end);) {
      const part = await this.read((text) => text !== "", ms);
      if (part === "") throw new Error(`the connection ended after: ${last}`);
      first ||= part;
      last = (last + part).slice(-end.length);
    }
    return first;
  }

  /** The status of the next answer. */
  async status(ms?: number): Promise<number> {
    const head = await this.read((text) => text.includes("\r\n"), ms);
    return Number(/^HTTP\/1\.[01] (\d{3}) /.exec(head)?.[1]);
  }

  /** Tells that nothing more will be sent. */
  async finish(): Promise<void> {
    await this.conn.closeWrite();
  }

  /** Whether the server ends the connection. */
  async ends(ms = 10_000): Promise<boolean> {
    return await this.read(() => false, ms).then(() => true, () => false);
  }

  /** Takes all that comes, and keeps none of it, until the connection ends. */
  async discard(): Promise<void> {
    const buffer = new Uint8Array(1 << 16);
    while (await this.conn.read(buffer).catch(() => null) !== null);
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.conn.close();
    this.#closed = true;
  }
}

/** So many clients. */
export async function clients(base: string, count: number): Promise<Client[] & Disposable> {
  const all: Client[] = [];
  for (let i = 0; i < count; i += 100) {
    const more = Array.from({ length: Math.min(100, count - i) }, () => Client.open(base));
    all.push(...await Promise.all(more));
  }
  return Object.assign(all, {
    [Symbol.dispose]: () => all.forEach((one) => one[Symbol.dispose]()),
  });
}

/** Resident memory, in MB. */
export async function memoryOf({ pid }: Pick<Goto, "pid">): Promise<number> {
  const ps = new Deno.Command("ps", { args: ["-o", "rss=", "-p", `${pid}`] });
  return Number(decoder.decode((await ps.output()).stdout)) / 1024;
}

/** A POST as it goes over the wire, of which `body` may be a part. */
export function post(
  path: string,
  type: string,
  length: number,
  body: string,
  more = "",
): string {
  return `POST ${path} HTTP/1.1\r\nhost: h\r\ncontent-type: ${type}\r\n` +
    `content-length: ${length}\r\n${more}\r\n${body}`;
}

export const FORM = "application/x-www-form-urlencoded";
export const JSON_TYPE = "application/json";
