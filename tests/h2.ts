/**
 * A client that speaks HTTP/2, and takes as little of the answers as it likes.
 *
 * @module
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectTCP } from "node:net";

/** One connection. */
export class H2Client implements Disposable {
  readonly #session: ClientHttp2Session;

  /**
   * @param window so many bytes of each answer's body are taken
   * @param from the address of this end
   */
  constructor(base: string, { window = 65_535, from = "127.0.0.1" } = {}) {
    const { hostname, port } = new URL(base);
    this.#session = connect(base, {
      settings: { initialWindowSize: window },
      createConnection: () =>
        connectTCP({ host: hostname, port: Number(port), localAddress: from }),
    });
    this.#session.on("error", () => {}); // what was asked for tells
  }

  /** Whether the connection has ended. */
  get closed(): boolean {
    return this.#session.destroyed || this.#session.closed;
  }

  /** Asks for a path; resolves when the head of the answer is there. */
  ask(path: string, headers: Record<string, string> = {}): Promise<H2Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<H2Answer>();
    const stream = this.#session.request({ ":path": path, ...headers });
    stream.on("response", (head) => resolve({ status: Number(head[":status"]), stream }));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error("there was no answer")));
    stream.end();
    return promise;
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** The head of an answer, and what leads to the rest. */
export interface H2Answer {
  status: number;
  stream: ClientHttp2Stream;
}
