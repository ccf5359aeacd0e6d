/**
 * The standard output.
 *
 * @module
 */

/** Writes to it, and gives the exit code of a success. */
export function print(text: string): number {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  return 0;
}
