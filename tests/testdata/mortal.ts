/** A worker for tests/threads_test.ts: it says who it is, and dies when it is asked to. */
import { onForget, workerPort } from "../../threads.ts";

/** What it answers. */
export interface State {
  me: string;
  forgotten: string[];
}

const { port, config } = await workerPort<{ port: number; stillborn?: boolean }>();
if (config.stillborn) throw new Error("stillborn");
const state: State = { me: crypto.randomUUID(), forgotten: [] };
onForget(port, (key) => {
  if (key === "hang") { for (;;); }
  state.forgotten.push(key);
});

Deno.serve({ port: config.port, hostname: "127.0.0.1", reusePort: true, onListen() {} }, (req) => {
  if (!req.url.endsWith("/die")) return Response.json(state);
  setTimeout(() => {
    throw new Error("on purpose");
  });
  return new Response(null, { status: 204 });
});
port.postMessage({ kind: "started" });
