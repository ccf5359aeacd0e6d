/**
 * Who may have what done.
 *
 * @module
 */
import { browserCheck } from "./browser.ts";
import { clientOf, networkOf, type Peer } from "./client.ts";
import { HTTPError } from "./problem.ts";
import { held, type QuotaOptions, quotas } from "./quota.ts";
import type { Limit } from "./rate.ts";
import { checkHost } from "./request.ts";
import { authorizeWriter, isGuarded } from "./token.ts";

/** What is asked of those who want more than to follow a link. */
export interface GuardOptions extends QuotaOptions {
  /** What short links start with. */
  base: string;
  /** The token of those who add, change or list links. */
  token?: string;
  /** How many links a client may make. */
  limit?: Limit;
  /** Origins whose pages may do as ours, beside ours. */
  origins?: string[];
}

/** Has `answer` answer a request for `path`, if it may be. */
export type Guard = (
  req: Request,
  path: string,
  peer: Peer | undefined,
  answer: () => Response | Promise<Response>,
) => Response | Promise<Response>;

/** Makes what stands before all handlers but the redirect. It throws, or rejects, an {@linkcode HTTPError}. */
export function guard(options: GuardOptions): Guard {
  const { base, token, limit, proxies = 0, origins } = options;
  const count = quotas(options);
  const checkBrowser = browserCheck(base, origins);
  return (req, path, peer, route) => {
    count(req, path, peer);
    checkHost(req);
    checkBrowser(req);
    const answer = () => {
      const response = route();
      return response instanceof Response
        ? held(req, response)
        : response.then((response) => held(req, response));
    };
    const limited = limit && makesLink(req, path)
      ? () => keepTo(limit, networkOf(clientOf(req, peer, proxies)), answer)
      : answer;
    if (token === undefined || !isGuarded(req.method, path)) return limited();
    return authorizeWriter(req, token).then(limited);
  };
}

function makesLink({ method }: Request, path: string): boolean {
  return method === "POST" && (path === "add" || path === "api/links");
}

/** Counts a link that `client` makes; one that was refused doesn't count. */
async function keepTo(
  limit: Limit,
  client: string,
  answer: () => Response | Promise<Response>,
): Promise<Response> {
  const seconds = await limit.take(client);
  if (seconds > 0) {
    const headers = { "retry-after": String(seconds) };
    throw new HTTPError(429, `too many new links; try again in ${seconds} s`, headers);
  }
  let made = false;
  try {
    const response = await answer();
    made = response.status < 400;
    return response;
  } finally {
    if (!made) await limit.giveBack(client);
  }
}
