/**
 * Micro-benchmarks of what redirects and new links spend their time on: `deno task microbench`.
 *
 * @module
 */
import { handler } from "../handlers.ts";
import { keyOf } from "../http/request.ts";
import { Journal } from "../journal/journal.ts";
import { formatLine, readLines } from "../journal/lines.ts";
import { checkURL, randomKey } from "../links/link.ts";
import { serveRPC } from "../rpc.ts";
import { genKey, URLStore } from "../store.ts";

const LINKS = 100_000;
const BATCH = 64;

const dir = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const store = new URLStore(await Journal.open(`${dir}/store.jsonl`, { sync: false }));
const linkOf = (n: number) => `https://example.com/some/path/page?id=${n}`;
for (let n = 0; n < LINKS; n++) store.set({ key: genKey(n), url: linkOf(n) });

// Walked with a stride, so that no key is where the last one was.
const keys = Array.from({ length: LINKS }, (_, n) => genKey((n * 7919) % LINKS));
const requests = keys.slice(0, 1000).map((key) => new Request(`http://localhost:8080/${key}`));
let at = 0;
const next = <T>(values: T[]) => values[at = (at + 1) % values.length];

Deno.bench("genKey", () => {
  genKey(at = (at + 1) % 1_000_000);
});
Deno.bench("randomKey", () => {
  randomKey();
});
Deno.bench("checkURL", () => {
  checkURL("https://example.com/some/path/page?id=1", "localhost:8080");
});

Deno.bench("the key of http://HOST/KEY", () => {
  keyOf("http://localhost:8080/4c9");
});
Deno.bench("the key of http://HOST/KEY?query", () => {
  keyOf("http://localhost:8080/4c9?utm_source=mail");
});
Deno.bench("URLStore.get, 100,000 links", () => {
  store.get(next(keys));
});

const answer = handler({ store, base: "http://localhost:8080" });
Deno.bench("a bare 302", { group: "redirect", baseline: true }, () => {
  next(requests);
  new Response(null, { status: 302, headers: { location: "https://example.com/some/path/page" } });
});
Deno.bench("handler", { group: "redirect" }, () => {
  answer(next(requests));
});

const encoder = new TextEncoder();
const batch = keys.slice(0, BATCH);
const lines = batch.map((key, n) => formatLine({ key, url: linkOf(n) })).join("");
const bytes = encoder.encode(lines);
Deno.bench(`journal: ${BATCH} lines encoded`, () => {
  let text = "";
  for (let n = 0; n < BATCH; n++) text += formatLine({ key: batch[n], url: linkOf(n) });
  encoder.encode(text);
});
Deno.bench(`journal: ${BATCH} lines read`, () => {
  readLines(bytes, () => {}, () => {});
});

const rpc = serveRPC(store);
const calls = JSON.stringify(
  batch.map((key, id) => ({ jsonrpc: "2.0", id, method: "Store.Get", params: [key] })),
);
Deno.bench(`RPC: a batch of ${BATCH} answered`, () => {
  rpc(calls);
});
