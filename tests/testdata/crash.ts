/** A program with so many events to tell that meets an error nobody catches. */
import { writeEvents } from "../../cli/events.ts";
import { runToExit } from "../../cli/exit.ts";

const [kind, count] = Deno.args;
await runToExit(
  async () => {
    const events = writeEvents("text");
    for (let i = 0; i < Number(count); i++) events("info", "event", { i });
    if (kind === "rejection") Promise.reject(new Error("nobody caught this"));
    setTimeout(() => {
      throw new Error("nobody caught this");
    });
    return await new Promise<number>(() => {});
  },
  () => ({ code: 3, reason: "" }),
);
