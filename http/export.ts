/**
 * `/.export`: all links, as lines of a journal.
 *
 * @module
 */
import { formatLine } from "../journal/lines.ts";
import { MAX_LIMIT, type Query } from "../links/query.ts";
import type { Store } from "../store.ts";
import { Room, sized } from "./answers.ts";
import { sendPatiently } from "./patience.ts";
import { allow, query } from "./request.ts";

const MAX_PAGE = 2 << 20; // bytes that an export holds: the links of a page, and their lines
const PART = 64 << 10;

/**
 * Gives every link as a line, page after page, as fast as they are taken. A link that is changed
 * meanwhile may come twice; the later line counts. Should the rest be out of reach, the answer breaks
 * off, so that nobody takes it for the whole.
 */
export async function exportLinks(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  query(req, []); // all links are given, whatever is asked for
  const asked: Query = { order: "written", limit: MAX_LIMIT };
  // Before the head is sent: what can't be had has a status of its own.
  let page = await store.list(asked);
  const encoder = new TextEncoder();
  async function* lines(): AsyncGenerator<Uint8Array, undefined, void> {
    for (;;) {
      const { links, next } = page;
      const bytes = encoder.encode(links.map((link) => formatLine(link)).join(""));
      // Copies, since a part would keep all the rest.
      for (let at = 0; at < bytes.length;) yield bytes.slice(at, at += PART);
      if (next === undefined) return;
      page = await store.list({ ...asked, after: next });
    }
  }
  const parts = lines();
  const read = async () => (await parts.next()).value;
  const send = () => {
    const room = new Room(MAX_PAGE);
    return sendPatiently(read, () => room.give());
  };
  // Without a body the runtime would say that there is none, of no bytes.
  const isHead = req.method === "HEAD";
  const response = new Response(isHead ? ReadableStream.from([]) : send(), {
    headers: {
      "content-type": "application/jsonl",
      "content-disposition": 'attachment; filename="links.jsonl"',
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
  return sized(response, isHead ? 0 : MAX_PAGE);
}
