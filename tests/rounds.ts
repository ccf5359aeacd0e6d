/**
 * How often a test repeats what it does with random numbers, or until it met everything: a few times in
 * `deno task test`, and as often as it should be in `deno task test --long`, which takes minutes.
 *
 * @module
 */

/** `short` in the suite, `long` in `deno task test --long`. */
export function rounds(short: number, long: number): number {
  return Deno.env.get("GOTO_TESTS") === "long" ? long : short;
}
