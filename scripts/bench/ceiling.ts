/**
 * What the runtime can do: servers that answer every request alike, the ceiling of what a program
 * on it can reach. Arguments: a port, and which of them.
 *
 * @module
 */
const found = () =>
  new Response(null, {
    status: 302,
    headers: {
      location: "https://example.com/some/path/page?id=123456",
      "cache-control": "no-store",
    },
  });

const handlers: Record<string, Deno.ServeHandler> = {
  // With a parameter, as everyone who looks at a path must have it: without one, Deno doesn't even make
  // a Request.
  redirect: (_req) => found(),
  post: async (req) => {
    if (req.method === "POST") await req.text();
    return new Response("http://localhost:8080/0");
  },
};

const [port, kind] = Deno.args;
Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen: () => {} }, handlers[kind]);
