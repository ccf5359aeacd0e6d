/**
 * The end of the program.
 *
 * @module
 */
import { ListenError } from "../http/address.ts";
import { JournalError } from "../journal/file.ts";
import { causeOf, StoreError } from "../links/errors.ts";
import { printable } from "../links/text.ts";
import { UsageError } from "./flags.ts";
import { complain, FLUSH_MS, stderr } from "./stderr.ts";

/**
 * Runs `main` and ends the program with its code. An error that nobody has caught ends it too: the runtime
 * would write its own message, and wait for a reader for ever.
 */
export async function runToExit(main: () => Promise<number>): Promise<never> {
  globalThis.addEventListener("error", (event) => crash(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => crash(event, event.reason));
  Deno.exit(await runToEnd(main));
}

/**
 * Runs `main`, and gives its code once what there is to read on stderr is written, or nobody reads it.
 * Where it fails, it says why.
 */
export async function runToEnd(main: () => Promise<number>): Promise<number> {
  let code;
  try {
    code = await main();
  } catch (error) {
    const kinds = [UsageError, ListenError, JournalError, StoreError];
    const expected = kinds.some((kind) => error instanceof kind);
    complain(expected ? causeOf(error) : String(error));
    code = error instanceof UsageError ? 2 : 1;
  }
  await stderr.flush(FLUSH_MS);
  return code;
}

async function crash(event: Event, error: unknown): Promise<void> {
  event.preventDefault();
  const text = error instanceof Error && error.stack || String(error);
  for (const line of `goto: uncaught: ${text}`.split("\n")) stderr.write(`${printable(line)}\n`);
  await stderr.flush(FLUSH_MS);
  Deno.exit(1);
}
