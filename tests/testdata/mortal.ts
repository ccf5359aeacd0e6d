/** A worker for tests/threads_test.ts: it says who it is, looks links up, and dies when it is asked to. */
import { runThread } from "../../threads/thread.ts";

/** What it is started with. */
export interface Config {
  port: number;
  /** It dies before it serves. */
  stillborn?: boolean;
  /** It never comes to serving. */
  slow?: boolean;
  /** It dies when it shall stop. */
  fragile?: boolean;
}

const me = crypto.randomUUID();

await runThread<Config>((config, { store }) => {
  if (config.stillborn) throw new Error("stillborn");
  if (config.slow) { for (;;); }
  const address = { port: config.port, hostname: "127.0.0.1", reusePort: true, onListen() {} };
  const server = Deno.serve(address, async (req) => {
    const { pathname } = new URL(req.url);
    if (pathname === "/die") {
      setTimeout(() => {
        throw new Error("on purpose");
      });
      return new Response(null, { status: 204 });
    }
    if (pathname === "/me") return Response.json({ me });
    // Whether it had to ask shows in whether there is a promise.
    try {
      const url = store.get(pathname.slice(1));
      return Response.json({ me, asked: url instanceof Promise, url: await url });
    } catch (error) {
      return Response.json({ me, asked: true, error: String(error) });
    }
  });
  return async () => {
    if (config.fragile) throw new Error("on purpose, while stopping");
    await server.shutdown();
  };
});
