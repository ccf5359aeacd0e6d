/**
 * File descriptors in use.
 *
 * @module
 */
import fs from "node:fs";

/** The lowest descriptor that is free, which a new file gets. What the system counts isn't ours to read. */
export function lowestFree(): number | undefined {
  if (Deno.build.os === "windows") return;
  try {
    const descriptor = fs.openSync("/dev/null", "r");
    fs.closeSync(descriptor);
    return descriptor;
  } catch {
    // There is none left, or no such file.
  }
}
