/**
 * Waiting, for a time at most.
 *
 * @module
 */

/** Waits `ms` milliseconds, or until `signal` says otherwise. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/**
 * Runs what can be broken off, for `ms` milliseconds at most, and until `outer` says otherwise.
 *
 * @param error the reason of the signal after that time
 */
export async function limit<T>(
  ms: number,
  error: Error,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Not AbortSignal.any(), whose signal may go with the garbage while it is waited for.
  const controller = new AbortController();
  const abort = () => controller.abort(outer.reason);
  const timer = setTimeout(() => controller.abort(error), ms);
  outer.addEventListener("abort", abort);
  if (outer.aborted) abort();
  try {
    return await run(controller.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", abort);
  }
}
