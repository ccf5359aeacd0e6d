/**
 * What the tests of many files say, as a person wants to read it.
 *
 * @module
 */

/** What a line begins with that tells of a file whose tests are done. */
export const MARK = "@done ";

/** Whether a line says nothing that isn't known: how `deno test` ends where a test failed. */
export function isNoise(line: string): boolean {
  return /^(?:error: Test failed|Stack backtrace:| +\d+: <unknown>)$/.test(plain(line));
}

/** A line without colors. */
function plain(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replace(/\x1b\[[\d;]*m/g, "");
}

/** Reads what `deno test` writes: shows how far it is, then what failed, and gives what came of it. */
export class Progress {
  /** How long each file took, in milliseconds. */
  readonly times: Record<string, number> = {};
  #began = performance.now();
  #failures: string[] = []; // what is said of them, at the end
  #errors: string[] = []; // what is said where no test could run
  #failing = false;
  #summary = "";
  #files = 0;

  /** @param total how many files there are */
  constructor(private readonly total: number, private readonly isTerminal: boolean) {}

  /** Takes a line, of stderr if `isError`. */
  take(line: string, isError: boolean): void {
    const text = plain(line);
    const mark = text.indexOf(MARK);
    if (mark !== -1) return this.#done(text.slice(mark + MARK.length));
    if (isError) {
      if (!isNoise(text)) this.#errors.push(text);
      if (this.#errors.length > 200) this.#errors.shift();
      return;
    }
    if (/^(?:ok|FAILED) \| \d+ passed.* \| \d+ failed/.test(text)) {
      this.#summary = text;
      return;
    }
    if (/^ (?:ERRORS|FAILURES) $/.test(text)) this.#failing = true;
    if (this.#failing) this.#failures.push(text);
    // Said at once, since the rest may take minutes.
    else if (/ \.\.\. FAILED \(\d/.test(text)) this.#show(text.trim(), true);
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

  /** Writes a line; on a terminal, the next one takes its place unless it `stays`. */
  #show(text: string, stays = !this.isTerminal): void {
    const line = `${this.isTerminal ? "\r\x1b[K" : ""}${text}${stays ? "\n" : ""}`;
    Deno.stdout.writeSync(new TextEncoder().encode(line));
  }

  /** Shows what failed, and the one line that says what came of all. */
  end(success: boolean): void {
    if (this.isTerminal) this.#show("");
    // A file with a mistake of types, or with an unknown import.
    if (!success && this.#summary === "") this.#failures.push(...this.#errors);
    if (this.#failures.length > 0) console.log(this.#failures.join("\n"));
    const count = (what: string) => new RegExp(`(\\d+) ${what}`).exec(this.#summary)?.[1] ?? "0";
    const ignored = count("ignored") === "0" ? "" : `, ${count("ignored")} ignored`;
    console.log(
      `${success ? "ok" : "failed"}: ${count("passed")} passed, ${
        count("failed")
      } failed${ignored}, in ${this.#files} of ${this.total} files and ${this.#seconds} s`,
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
