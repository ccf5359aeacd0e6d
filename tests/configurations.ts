/**
 * The programs that docs/ and scripts/ have configurations for, run with these.
 *
 * @module
 */
import { assert } from "@std/assert";
import { eventually, tempDir, within } from "./processes.ts";

const root = `${import.meta.dirname}/..`;

/** A block of a chapter. */
export interface Block {
  file: string;
  language: string;
  text: string;
}

/** Reads a file of the repository. */
export async function read(file: string): Promise<string> {
  return await Deno.readTextFile(`${root}/${file}`);
}

/** All fenced blocks in README.md and docs/. */
export async function blocks(): Promise<Block[]> {
  const chapters = await Array.fromAsync(
    Deno.readDir(`${root}/docs`),
    ({ name }) => `docs/${name}`,
  );
  const files = ["README.md", ...chapters.filter((name) => name.endsWith(".md")).sort()];
  const all = await Promise.all(files.map(async (file) => {
    const found = (await read(file)).matchAll(/^( *)```(\w*)\n(.*?)^\1```$/gms);
    return Array.from(found, ([, indent, language, text]) => {
      return { file, language, text: text.replaceAll(new RegExp(`^${indent}`, "gm"), "") };
    });
  }));
  return all.flat();
}

/** The only block of `language` in a file that holds `word`. */
export async function block(file: string, language: string, word = ""): Promise<string> {
  const found = (await blocks()).filter((block) =>
    block.file === file && block.language === language && block.text.includes(word)
  );
  assert(found.length === 1, `${found.length} blocks of ${language} in ${file} hold "${word}"`);
  return found[0].text;
}

/** Replaces what stands there; a configuration in which it doesn't isn't tested. */
export function put(text: string, ...changes: [what: string, by: string][]): string {
  for (const [what, by] of changes) {
    assert(text.includes(what), `"${what}" is not in:\n${text}`);
    text = text.replaceAll(what, by);
  }
  return text;
}

/** A program that serves at a port of this machine, until it is disposed of. */
export class Program implements AsyncDisposable {
  #stderr = "";
  #read: Promise<void>;

  private constructor(
    readonly url: string,
    private readonly child: Deno.ChildProcess,
    private readonly dir: Disposable,
  ) {
    this.#read = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        this.#stderr += text;
      }
    })();
  }

  /**
   * Starts one in a directory of its own, and waits until it answers.
   *
   * @param files what is to be in that directory
   * @param argsIn gives its arguments
   */
  static async start(
    command: string,
    port: number,
    files: Record<string, string>,
    argsIn: (dir: string) => string[],
  ): Promise<Program> {
    const dir = tempDir();
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir.path}/${name}`, text.replaceAll("DIR", dir.path));
    }
    const home = { HOME: dir.path, XDG_DATA_HOME: dir.path, XDG_CONFIG_HOME: dir.path };
    const child = new Deno.Command(command, {
      args: argsIn(dir.path),
      cwd: dir.path,
      env: home,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const program = new Program(`http://127.0.0.1:${port}`, child, dir);
    let ended = false;
    child.status.then(() => ended = true);
    try {
      await eventually(async () => {
        if (ended) return true;
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        connection.close();
        return true;
      }, 20_000);
      assert(!ended, `${command} ended: ${program.#stderr}`);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
    return program;
  }

  async [Symbol.asyncDispose]() {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await within(10_000, "the end of a program", Promise.all([this.child.status, this.#read]));
    this.dir[Symbol.dispose]();
  }
}

/** Starts nginx with what stands in `http { ... }`. */
export function nginx(http: string, port: number, files: Record<string, string> = {}) {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path DIR/${name};`).join(" ");
  const text = `daemon off; master_process off; pid DIR/pid; error_log stderr;
events {}
http { access_log off; ${paths}
${http}
}`;
  return Program.start("nginx", port, { ...files, "nginx.conf": text }, (dir) => {
    return ["-e", "stderr", "-p", dir, "-c", `${dir}/nginx.conf`];
  });
}

/** Starts Caddy with a Caddyfile. */
export function caddy(text: string, port: number) {
  return Program.start("caddy", port, { Caddyfile: text }, (dir) => {
    return ["run", "--config", `${dir}/Caddyfile`, "--adapter", "caddyfile"];
  });
}

/** A server that takes a request and hangs up. */
export class HangingUp implements AsyncDisposable {
  /** The methods of what came. */
  readonly methods: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly address = `127.0.0.1:${this.#listener.addr.port}`;
  #serving: Promise<void>;

  constructor() {
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      await this.#take(connection).catch(() => {});
      connection.close();
    }
  }

  async #take(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(64 << 10);
    const n = await connection.read(buffer) ?? 0;
    const text = new TextDecoder().decode(buffer.subarray(0, n));
    const method = text.split(" ", 1)[0];
    if (/^GET \/readyz/.test(text)) {
      const answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
      await connection.write(new TextEncoder().encode(answer));
    } else if (method !== "") {
      this.methods.push(method);
    }
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    await this.#serving;
  }
}
