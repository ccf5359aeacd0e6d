/**
 * Runs before the tests of each file: says when they are done, and how long they took.
 *
 * @module
 */
import { MARK } from "./progress.ts";

const began = performance.now();
addEventListener("unload", () => {
  const name = Deno.mainModule.replace(/^.*\//, "");
  console.log(`${MARK}${name} ${Math.round(performance.now() - began)}`);
});
