/**
 * `/rpc` and `/rpc/log`: what replicas use.
 *
 * @module
 */
import type { FeedStream, LogName } from "../journal/feed.ts";
import { formatPosition, parsePosition } from "../journal/position.ts";
import { MAX_BATCH_ANSWER } from "../jsonrpc/server.ts";
import type { Call } from "../jsonrpc/call.ts";
import { Room, rpcAnswers, sized } from "./answers.ts";
import { readJSONText, rpcBodies } from "./body.ts";
import { sendPatiently } from "./patience.ts";
import { HTTPError } from "./problem.ts";
import { holdOf } from "./quota.ts";
import { allow, query } from "./request.ts";
import { authorizeCaller, type Tokens } from "./token.ts";

const MAX_RPC_BODY = 1 << 20;
const SMALL_RPC_BODY = 16 << 10; // two hundred calls for a link
const MAX_GROWTH = 160; // from the shortest call to the longest answer

/** What JSON-RPC names for HTTP, the usual one first. No form of another site's page can send any. */
const TYPES = ["application/json", "application/json-rpc", "application/jsonrequest"];

/** The calls and the feed that are served. */
export interface RPC extends Tokens {
  call: Call;
  /** Opens the feed: from `offset`, or at its end, if there is none. */
  feed(offset?: number, check?: string, log?: LogName): Promise<FeedStream>;
}

/** `POST /rpc` */
export async function call(req: Request, rpc: RPC): Promise<Response> {
  allow(req, "POST");
  const trusted = await authorizeCaller(req, rpc);
  const since = parsePosition(req.headers.get("goto-position")).to;
  const body = await readJSONText(req, {
    limit: MAX_RPC_BODY,
    small: SMALL_RPC_BODY,
    types: TYPES,
    budget: rpcBodies,
  });
  // Before anything is done: who is refused may be sure that nothing was.
  const most = Math.min(body.length * MAX_GROWTH, MAX_BATCH_ANSWER);
  const hold = holdOf(req);
  hold?.take(most, "answers");
  const room = new Room(most, rpcAnswers);
  try {
    const { text, position } = await rpc.call(body, since, trusted, req);
    const headers = { "goto-position": formatPosition(position) };
    hold?.give(Math.max(0, most - (text?.length ?? 0)));
    if (text !== undefined) {
      const type = { "content-type": "application/json" };
      return sized(new Response(room.hold(text + "\n"), { headers: { ...headers, ...type } }), 0);
    }
    room.give();
    return new Response(null, { status: 204, headers });
  } catch (error) {
    room.give();
    throw error;
  }
}

/** `GET /rpc/log` */
export async function feed(req: Request, rpc: RPC): Promise<Response> {
  allow(req, "GET");
  await authorizeCaller(req, rpc);
  const params = query(req);
  const at = params.get("offset") ?? "0";
  if (at !== "end" && !/^\d{1,15}$/.test(at)) {
    throw new HTTPError(400, `"offset" must be a number of bytes or "end"`);
  }
  const log = params.get("log") ?? "links";
  if (log !== "links" && log !== "hits") throw new HTTPError(400, `"log" must be links or hits`);
  const { offset, size, check, sum, keys, term = 1, body } = await rpc.feed(
    at === "end" ? undefined : Number(at),
    params.get("check") ?? undefined,
    log,
  );
  const headers = new Headers({
    "content-type": "application/jsonl",
    "cache-control": "no-store",
    "goto-log-offset": String(offset),
    "goto-log-size": String(size),
    "goto-log-term": String(term),
  });
  if (check !== undefined) headers.set("goto-log-check", check);
  if (sum !== undefined) headers.set("goto-log-sum", sum);
  if (keys !== undefined) headers.set("goto-log-keys", String(keys));
  const reader = body.getReader();
  const read = async () => (await reader.read()).value;
  const end = () => void reader.cancel().catch(() => {});
  return sized(new Response(sendPatiently(read, end), { headers }), 0);
}

/** `/rpc` where it is not served. */
export function noRPC(): never {
  throw new HTTPError(404, "not found: RPC is served with -rpc");
}
