/**
 * `/.export`: all links, as lines of a journal.
 *
 * @module
 */
import { formatLine } from "../journal/lines.ts";
import { MAX_LIMIT, type Query } from "../links/list.ts";
import type { Store } from "../store.ts";
import { allow } from "./request.ts";

/**
 * Gives every link as a line, page after page, as fast as they are taken. A link that is changed
 * meanwhile may come twice; the later line counts. Should the rest be out of reach, the answer breaks
 * off, so that nobody takes it for the whole.
 */
export async function exportLinks(req: Request, store: Store): Promise<Response> {
  allow(req, "GET", "HEAD");
  const query: Query = { order: "written", limit: MAX_LIMIT };
  // Before the head is sent: what can't be had has a status of its own.
  let page = await store.list(query);
  const encoder = new TextEncoder();
  async function* lines() {
    for (;;) {
      const { links, next } = page;
      if (links.length > 0) yield encoder.encode(links.map((link) => formatLine(link)).join(""));
      if (next === undefined) return;
      page = await store.list({ ...query, after: next });
    }
  }
  return new Response(req.method === "HEAD" ? null : ReadableStream.from(lines()), {
    headers: {
      "content-type": "application/jsonl",
      "content-disposition": 'attachment; filename="links.jsonl"',
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}
