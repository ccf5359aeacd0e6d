/**
 * Pages of other origins that may use the API.
 *
 * @module
 */

const PREFLIGHT = {
  "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
  "access-control-allow-headers": "authorization, content-type",
  "access-control-max-age": "7200", // as long as any browser keeps it
};

/** Answers, and says which pages may read the answer. */
export type Cors = (
  req: Request,
  path: string,
  answer: () => Response | Promise<Response>,
) => Response | Promise<Response>;

/**
 * Makes what lets pages of these origins use `/add` and `/api`, and answers when their browsers ask
 * whether they may.
 *
 * @example
 * ```ts
 * const share = cors(["https://intranet.example.com"]);
 * const headers = { origin: "https://intranet.example.com" };
 * const req = new Request("http://localhost/api/links", { headers });
 * const { headers: told } = await share(req, "api/links", () => new Response());
 * console.log(told.get("access-control-allow-origin")); // https://intranet.example.com
 * ```
 */
export function cors(origins: string[]): Cors {
  return (req, path, answer) => {
    if (path !== "add" && path !== "api" && !path.startsWith("api/")) return answer();
    const origin = req.headers.get("origin");
    const known = origin !== null && origins.includes(origin) ? origin : undefined;
    const tell = (response: Response) => {
      response.headers.append("vary", "origin");
      if (known === undefined) return response;
      response.headers.set("access-control-allow-origin", known);
      response.headers.set("access-control-expose-headers", "location, retry-after");
      return response;
    };
    if (known !== undefined && req.method === "OPTIONS") {
      return tell(new Response(null, { status: 204, headers: PREFLIGHT }));
    }
    const response = answer();
    return response instanceof Response ? tell(response) : response.then(tell);
  };
}
