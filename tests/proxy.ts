/**
 * A TCP proxy between two processes, whose connections a test can cut where it likes.
 *
 * @example
 * ```ts
 * await using link = new Proxy(master.url);
 * await using replica = await start(`-master=${link.url}`);
 * link.cut(); // the replica has lost its master, for a moment
 * ```
 *
 * @module
 */
export class Proxy implements AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** How many connections it took. */
  connections = 0;
  /** Whether new connections are closed at once. */
  refuses = false;
  /** How many milliseconds what is asked takes longer, and what is answered. */
  delay = 0;

  #target: Deno.ConnectOptions;
  #listener: Deno.Listener;
  #open = new Set<Deno.Conn>();
  #limit = Infinity;
  #refusesThen = false;
  #running: Promise<void>;
  #silent = new WeakSet<Deno.Conn>();

  /** @param target such as `http://127.0.0.1:8080` */
  constructor(target: string) {
    this.#target = addressOf(target);
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#running = this.#run();
  }

  /** Leads new connections to another target. */
  leadTo(target: string) {
    this.#target = addressOf(target);
  }

  /** Cuts every connection there is. */
  cut() {
    for (const conn of this.#open) {
      this.#open.delete(conn);
      conn.close();
    }
  }

  /** Lets no answer pass on the connections that there are, which stay open. */
  silence() {
    for (const conn of this.#open) this.#silent.add(conn);
  }

  /** Lets `bytes` more of the answers pass, then cuts, and perhaps `refuses` from then on. */
  cutAfter(bytes: number, refuses = false) {
    this.#limit = bytes;
    this.#refusesThen = refuses;
  }

  async #run() {
    const pipes: Promise<void>[] = [];
    for await (const conn of this.#listener) {
      this.connections++;
      if (this.refuses) conn.close();
      else pipes.push(this.#connect(conn));
    }
    await Promise.all(pipes);
  }

  async #connect(client: Deno.Conn) {
    this.#open.add(client);
    let server;
    try {
      server = await Deno.connect(this.#target);
    } catch {
      if (this.#open.delete(client)) client.close();
      return;
    }
    if (!this.#open.has(client)) return server.close();
    this.#open.add(server);
    await Promise.all([this.#pipe(client, server), this.#pipe(server, client, true)]);
  }

  async #pipe(from: Deno.Conn, to: Deno.Conn, answers = false) {
    const buffer = new Uint8Array(64 << 10);
    let late = Promise.resolve();
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        if (answers && this.#silent.has(from)) continue;
        const pass = answers ? Math.min(n, this.#limit) : n;
        const bytes = buffer.slice(0, pass);
        const write = async () => {
          for (let at = 0; at < pass;) at += await to.write(bytes.subarray(at));
        };
        if (this.delay === 0) await late.then(write);
        else {
          const due = new Promise((resolve) => setTimeout(resolve, this.delay));
          late = Promise.all([late, due]).then(write);
          late.catch(() => {}); // the other end is gone, as the next read or write shows
        }
        if (!answers) continue;
        this.#limit -= pass;
        if (this.#limit > 0) continue;
        this.#limit = Infinity;
        this.refuses ||= this.#refusesThen;
        this.cut();
      }
    } catch {
      // One end is gone; so is the other, below.
    }
    for (const conn of [from, to]) if (this.#open.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    this.cut();
    await this.#running;
  }
}

function addressOf(url: string): Deno.ConnectOptions {
  const { hostname, port } = new URL(url);
  return { hostname, port: Number(port) };
}
