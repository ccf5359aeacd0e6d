/**
 * Clients that take nothing of what they asked for.
 *
 * @module
 */

/**
 * A client that takes nothing for so long is cut off, in milliseconds. Deno ends the connection only once what
 * was sent has been taken, and holds some 350 KB until then.
 */
export const TAKE_MS = 30_000;
/**
 * Sends a client what `read` gives, until that is nothing, as fast as the client takes it: nothing
 * piles up for a slow one.
 *
 * @param end called once, when the client has everything, or goes, or was cut off
 * @param patience after so many milliseconds a client that takes nothing is cut off
 * @example
 * ```ts
 * const parts = ["Hello, ", "world!"].map((text) => new TextEncoder().encode(text));
 * new Response(sendPatiently(() => parts.shift(), () => console.log("done")));
 * ```
 */
export function sendPatiently(
  read: () => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  end: () => void,
  patience: number = TAKE_MS,
): ReadableStream<Uint8Array> {
  let open = true;
  let offered = performance.now(); // since when there is something to take
  const leave = () => {
    clearTimeout(timer);
    if (open) end();
    open = false;
  };
  // One timer for all that is sent: to set one for each part would cost as much as the part.
  const look = () => {
    const left = offered + patience - performance.now();
    if (left > 0) timer = setTimeout(look, Math.min(left, patience));
    else leave();
  };
  let timer = setTimeout(look, patience); // whoever asked may be gone already
  return new ReadableStream<Uint8Array>({
    // Called when the client has taken what was there.
    async pull(controller) {
      offered = Infinity;
      try {
        if (!open) throw new Error("cut off");
        const bytes = await read();
        if (bytes === undefined) {
          leave();
          return controller.close();
        }
        controller.enqueue(bytes);
        offered = performance.now();
      } catch (error) {
        leave();
        controller.error(error);
      }
    },
    cancel: () => leave(),
  }, { highWaterMark: 0 });
}
