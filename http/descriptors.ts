/**
 * File descriptors in use.
 *
 * @module
 */
// Loaded when it is needed: it takes a quarter of the time that a start takes.
const loadFs = () => process.getBuiltinModule("node:fs");
let fs: ReturnType<typeof loadFs> | undefined;

/** The lowest descriptor that is free, which a new file gets. What the system counts isn't ours to read. */
export function lowestFree(): number | undefined {
  if (Deno.build.os === "windows") return;
  try {
    fs ??= loadFs();
    const descriptor = fs.openSync("/dev/null", "r");
    fs.closeSync(descriptor);
    return descriptor;
  } catch {
    // There is none left, or no such file.
  }
}
