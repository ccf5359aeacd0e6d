/**
 * Servers, of any program.
 *
 * @module
 */
import { within } from "../../tests/processes.ts";
import { run } from "./tools.ts";

const TICK_US = 10_000; // what /proc counts CPU time in: 1/100 s on every Linux
const ENDS_MS = 30_000;

/** How a server is started that is to listen on a port of 127.0.0.1. */
export type Command = (port: number) => string[];

/** A server at work. Disposing of it ends it. */
export class Server implements AsyncDisposable {
  /** How many milliseconds passed from its start to its first answer. */
  startedIn = 0;
  #stderr = "";

  private constructor(
    readonly port: number,
    private readonly command: string,
    private readonly child: Deno.ChildProcess,
  ) {}

  /** Starts it and waits, so many seconds at most, until it answers `path` with `status`. */
  static async start(command: Command, path: string, status = 302, seconds = 60): Promise<Server> {
    const port = freePort();
    const begin = performance.now();
    const [file, ...args] = command(port);
    const stdio = { stdin: "null", stdout: "null", stderr: "piped" } as const;
    const child = new Deno.Command(file, { args, ...stdio }).spawn();
    const server = new Server(port, file, child);
    server.#read();
    let ended = false;
    child.status.then(() => ended = true);
    for (;;) {
      if (await answers(port, path) === status) break;
      const ms = performance.now() - begin;
      if (ended || ms > 1000 * seconds) {
        await server[Symbol.asyncDispose]();
        const what = ended ? "ended before it served" : `does not answer ${path} with ${status}`;
        throw new Error(`${file} ${what}: ${server.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, ms / 200));
    }
    server.startedIn = performance.now() - begin;
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Its CPU time so far, in microseconds; nothing where there is no /proc. */
  async cpu(): Promise<number | undefined> {
    const stat = await this.#proc("stat");
    if (stat === undefined) return;
    // The name, in parentheses, may hold spaces. After it, utime and stime are the 12th and 13th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }

  /** Its resident memory in MB, or the most that it ever was. */
  async memory(name: "VmRSS" | "VmHWM" = "VmRSS"): Promise<number | undefined> {
    const status = await this.#proc("status");
    if (status === undefined) return;
    // What it calls kB are 1,024 bytes.
    return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024 / 1e6;
  }

  /** Deno keeps /proc from programs without all permissions, so `cat` reads it. */
  async #proc(name: string): Promise<string | undefined> {
    if (Deno.build.os !== "linux") return;
    return await run("cat", [`/proc/${this.child.pid}/${name}`], 10);
  }

  async #read(): Promise<void> {
    for await (const text of this.child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#stderr = (this.#stderr + text).slice(-1000);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGTERM");
    } catch {
      // It is gone.
    }
    await within(ENDS_MS, `the end of ${this.command}`, this.child.status);
  }
}

/** The status of an answer, if there is one. */
async function answers(port: number, path: string): Promise<number | undefined> {
  try {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`;
    await conn.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(1024);
    const n = await conn.read(buffer) ?? 0;
    return Number(new TextDecoder().decode(buffer.subarray(0, n)).split(" ")[1]);
  } catch {
    return;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
