/**
 * The end of the program.
 *
 * @module
 */
import { printable } from "../links/text.ts";
import { complain, FLUSH_MS, stderr } from "./stderr.ts";

/**
 * Runs `main` and ends the program with the code that it gives, once what there is to read on stderr is
 * written, or nobody reads it. An error that nobody has caught ends it too: the runtime would write its
 * own message, and wait for a reader for ever.
 *
 * @param explain gives the code and the line for an error that `main` throws
 */
export async function runToExit(
  main: () => Promise<number>,
  explain: (error: unknown) => { code: number; reason: string },
): Promise<never> {
  globalThis.addEventListener("error", (event) => crash(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => crash(event, event.reason));
  let code;
  try {
    code = await main();
  } catch (error) {
    const explained = explain(error);
    complain(explained.reason);
    code = explained.code;
  }
  await stderr.flush(FLUSH_MS);
  Deno.exit(code);
}

async function crash(event: Event, error: unknown): Promise<void> {
  event.preventDefault();
  const text = error instanceof Error && error.stack || String(error);
  for (const line of `goto: uncaught: ${text}`.split("\n")) stderr.write(`${printable(line)}\n`);
  await stderr.flush(FLUSH_MS);
  Deno.exit(1);
}
