/**
 * What the tests of many files say, as a person wants to read it.
 *
 * @module
 */

/** What a line begins with that tells of a file whose tests are done. */
export const MARK = "@done ";

/** Reads what `deno test` writes: shows how far it is, then what failed, and gives what came of it. */
export class Progress {
  /** How long each file took, in milliseconds. */
  readonly times: Record<string, number> = {};
  #began = performance.now();
  #failures: string[] = []; // what is said of them, at the end
  #failed = false;
  #summary = "";
  #files = 0;

  /** @param total how many files there are */
  constructor(private readonly total: number, private readonly isTerminal: boolean) {}

  /** Takes a line. */
  take(line: string): void {
    // deno-lint-ignore no-control-regex
    const text = line.replace(/\x1b\[[\d;]*m/g, "");
    const mark = text.indexOf(MARK);
    if (mark !== -1) return this.#done(text.slice(mark + MARK.length));
    if (/^ (?:ERRORS|FAILURES) $/.test(text)) this.#failed = true;
    if (/^(?:ok|FAILED) \| /.test(text)) this.#summary = text;
    else if (this.#failed && this.#summary === "") this.#failures.push(text);
  }

  #done(text: string): void {
    const [name, ms] = text.split(" ");
    this.times[name] = Number(ms);
    this.#files++;
    this.#show(`${this.#files} of ${this.total} files, ${this.#seconds} s: ${name}`);
  }

  get #seconds(): number {
    return Math.round((performance.now() - this.#began) / 1000);
  }

  #show(text: string): void {
    if (this.isTerminal) Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
    else console.log(text);
  }

  /** Shows what failed, and the one line that says what came of all. */
  end(success: boolean): void {
    if (this.isTerminal) Deno.stdout.writeSync(new TextEncoder().encode("\r\x1b[K"));
    if (this.#failures.length > 0) console.log(this.#failures.join("\n"));
    const count = (what: string) => new RegExp(`(\\d+) ${what}`).exec(this.#summary)?.[1] ?? "0";
    const ignored = count("ignored") === "0" ? "" : `, ${count("ignored")} ignored`;
    console.log(
      `${success ? "ok" : "failed"}: ${count("passed")} passed, ${
        count("failed")
      } failed${ignored}, ` +
        `in ${this.#files} of ${this.total} files and ${this.#seconds} s`,
    );
  }
}

/** Gives the lines of a text, without their ends. */
export async function* readLines(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
