/**
 * The list of what an import did not take over.
 *
 * @module
 */
import type { Events } from "../journal/events.ts";
import { reasonOf, writeAll } from "../journal/file.ts";
import { randomKey } from "../links/link.ts";
import { printable } from "../links/text.ts";
import { FLUSH_MS, stderr } from "./stderr.ts";

const MAX_FIRST = 64 << 10; // bytes in which the first line of a list must end, to be known again

/** A link that was not taken over, and what its key leads to, where it is another one. */
export interface Rejection {
  line: number;
  Key: string;
  URL: string;
  reason: string;
  kept?: string;
}

/**
 * Lists rejections in a file, which is there only if there are any, or, where that can't be written, on
 * stderr: a JSON line each.
 *
 * @example
 * ```ts
 * import { silent } from "../journal/events.ts";
 *
 * await using rejected = await Rejected.at("links.csv.rejected", silent);
 * await rejected.write([{ line: 2, Key: "api", URL: "https://example.com/", reason: "reserved" }]);
 * ```
 */
export class Rejected implements AsyncDisposable {
  #file?: Deno.FsFile;

  /** @param path none: stderr */
  constructor(private path?: string, private readonly events?: Events) {}

  /** Lists them in the file at `path`, unless that can't be written, which is said at once. */
  static async at(path: string, events: Events): Promise<Rejected> {
    const rejected = new Rejected(path, events);
    try {
      await checkPlace(path);
      const probe = draftOf(path);
      create(probe).close();
      await Deno.remove(probe);
    } catch (error) {
      rejected.#giveUp(error);
    }
    return rejected;
  }

  /** The file that lists them, if there are any. */
  get used(): string | undefined {
    return this.#file && this.path;
  }

  async write(rejections: Rejection[]): Promise<void> {
    if (rejections.length === 0) return;
    const text = rejections.map((one) => `${JSON.stringify(one)}\n`).join("");
    if (this.path !== undefined) {
      try {
        this.#file ??= await begin(this.path);
        return await writeAll(this.#file, new TextEncoder().encode(text));
      } catch (error) {
        this.#giveUp(error);
      }
    }
    await stderr.flush(FLUSH_MS);
    const lines = text.split("\n").map(printable).join("\n");
    await writeAll(Deno.stderr, new TextEncoder().encode(lines));
  }

  /** Takes the list of an earlier import away, if nothing is to be listed now. */
  async finish(): Promise<void> {
    if (this.path === undefined || this.#file !== undefined) return;
    try {
      await checkPlace(this.path);
      await Deno.remove(this.path);
    } catch {
      // There is none, or something else has its name.
    }
  }

  #giveUp(error: unknown): void {
    const fields = { file: this.path ?? "", reason: reasonOf(error) };
    this.events?.("warn", "cannot list what is not taken over: it follows here", fields);
    this.path = undefined;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#file?.close();
  }
}

/**
 * Begins a new list at `path`, in the place of an earlier one. Nobody sees half of a change of them, and a link
 * that was put there is not followed.
 */
async function begin(path: string): Promise<Deno.FsFile> {
  await checkPlace(path);
  const draft = draftOf(path);
  const file = create(draft);
  try {
    await Deno.rename(draft, path);
    return file;
  } catch (error) {
    file.close();
    await Deno.remove(draft);
    throw error;
  }
}

/** Makes a file that isn't there yet, for its owner alone: URLs may be secrets. */
function create(path: string): Deno.FsFile {
  return Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
}

/** Beside `path`, a name that nobody can know before. */
function draftOf(path: string): string {
  return `${path}.${randomKey()}`;
}

/** Refuses to replace anything but a list of an earlier import. */
async function checkPlace(path: string): Promise<void> {
  let info;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isFile) throw new Error("Not a regular file");
  if (info.size > 0 && !await isList(path)) throw new Error("There is another file");
}

async function isList(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(MAX_FIRST);
  const read = await file.read(buffer) ?? 0;
  const [first] = new TextDecoder().decode(buffer.subarray(0, read)).split("\n", 1);
  return /^\{(?:"line":\d+,)?"Key":"/.test(first) && first.includes('"reason":"');
}
