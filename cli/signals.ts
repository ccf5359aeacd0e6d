/**
 * Signals to end.
 *
 * @module
 */
const SAME_SIGNAL_MS = 100; // a terminal and a parent may pass on one signal twice

/** Resolves with the first signal to end; another one ends the program at once. */
export function untilSignal(): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let first = 0;
  const windows = Deno.build.os === "windows";
  for (const signal of ["SIGINT", windows ? "SIGBREAK" : "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      if (first && performance.now() - first > SAME_SIGNAL_MS) Deno.exit(130);
      first ||= performance.now();
      resolve(signal);
    });
  }
  return promise;
}
