/**
 * Assembles a folder in which the compiled program runs with nothing else: as a container `FROM
 * scratch` (scripts/Dockerfile calls this), or with `chroot`. Linux only.
 *
 *     deno run --allow-run=ldd --allow-read --allow-write scripts/scratch.ts BINARY FOLDER
 *
 * @module
 */
import { dirname } from "node:path";

/** The dynamic loader and the shared libraries that a program needs, by the loader's own account. */
async function libraries(binary: string): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("ldd", {
    args: [binary],
    signal: AbortSignal.timeout(10_000),
  }).output();
  if (!success) throw new Error(`ldd ${binary}: ${new TextDecoder().decode(stderr)}`);
  const text = new TextDecoder().decode(stdout);
  if (text.includes("not found")) throw new Error(`${binary} lacks libraries:\n${text}`);
  // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)", "/lib64/ld-linux-x86-64.so.2 (0x...)"
  return Array.from(text.matchAll(/(\/\S+) \(0x/g), ([, path]) => path);
}

const [binary, folder] = Deno.args;
if (folder === undefined) {
  console.error("usage: scratch.ts BINARY FOLDER");
  Deno.exit(2);
}
await Deno.mkdir(folder); // a new one: what else is in there would be shipped too
for (
  const [from, to] of [[binary, "/goto"], ...(await libraries(binary)).map((lib) => [lib, lib])]
) {
  await Deno.mkdir(folder + dirname(to), { recursive: true });
  await Deno.copyFile(from, folder + to); // which follows links, so that there is one file for each
}
await Deno.mkdir(`${folder}/data`);
