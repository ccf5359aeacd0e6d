/**
 * Who may have what done.
 *
 * @module
 */
import { browserCheck, nameCheck } from "./browser.ts";
import { clientOf, networkOf, type Peer } from "./client.ts";
import { HTTPError } from "./problem.ts";
import { answerHeld, type QuotaOptions, quotas } from "./quota.ts";
import type { Limit } from "./rate.ts";
import { checkHost, keyOf } from "./request.ts";
import { authorizeWriter, isGuarded, readsLinks } from "./token.ts";

/** What is asked of those who want more than to follow a link. */
export interface GuardOptions extends QuotaOptions {
  /** What short links start with. */
  base: string;
  /** Whether `base` was given, so that it says by which name this server is known. */
  isNamed?: boolean;
  /** The token of those who add, change or list links. */
  token?: string;
  /** How many links a client may add, change and delete. */
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
  const { base, isNamed = false, token, limit, proxies = 0, origins } = options;
  const count = quotas(options);
  const checkBrowser = browserCheck(base, origins);
  const checkName = isNamed && token === undefined ? nameCheck(base, origins) : undefined;
  const guarded: Guard = (req, path, peer, answer) => {
    checkHost(req);
    checkBrowser(req);
    // Over plain HTTP a browser's GET shows no more of where it comes from than the name that it asks for.
    if (checkName && readsLinks(req, path)) checkName(req);
    const limited = limit && changesLinks(req, path)
      ? () => keepTo(limit, networkOf(clientOf(req, peer, proxies)), req, answer)
      : answer;
    if (token === undefined || !isGuarded(req.method, path)) return limited();
    return authorizeWriter(req, token).then(limited);
  };
  return (req, path, peer, answer) => {
    const hold = count(req, path, peer);
    return hold === undefined
      ? guarded(req, path, peer, answer)
      : answerHeld(hold, peer, () => guarded(req, path, peer, answer));
  };
}

/** Whether links are added, changed or deleted; replicas may do so by RPC as often as they are asked to. */
function changesLinks({ method }: Request, path: string): boolean {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return false;
  return path === "add" || path.startsWith("api/") || path.startsWith(".detail/");
}

/** Counts a change that `client` makes; one that was refused doesn't count. */
async function keepTo(
  limit: Limit,
  client: string,
  { method, url }: Request,
  answer: () => Response | Promise<Response>,
): Promise<Response> {
  const seconds = await limit.take(client);
  if (seconds > 0) {
    const headers = { "retry-after": String(seconds) };
    const isNew = method === "POST" && !keyOf(url).startsWith(".detail/");
    const what = isNew ? "new links" : "changes";
    throw new HTTPError(429, `too many ${what}; try again in ${seconds} s`, headers);
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
