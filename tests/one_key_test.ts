import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { startHere } from "./here.ts";
import { add, breathe, follow, tempDir, within } from "./processes.ts";
import { JSON_TYPE } from "./sockets.ts";
import { House } from "./wire.ts";

const url = (n: number) => `https://example.com/${n}`;

/** The lines of a journal that are changes: its checksums are none. */
async function changesIn(file: string): Promise<string[]> {
  const lines = (await Deno.readTextFile(file)).trim().split("\n");
  return lines.filter((line) => JSON.parse(line).Key !== "");
}

it("changes of one key share commits, in order, and count in the queue's limit", async () => {
  await using house = new House();
  const file = house.file();
  const master = await house.master({ file });
  const { key } = await master.put(url(-1));
  const before = master.log.syncs;
  const changes = Array.from({ length: 65_540 }, (_, n) => master.update(key, url(n)));
  const settled = await within(60_000, "the changes", Promise.allSettled(changes));
  const done = settled.filter(({ status }) => status === "fulfilled").length;
  assertEquals(done, 65_536);
  assertEquals(settled.findIndex(({ status }) => status === "rejected"), done);
  assertEquals(master.get(key), url(done - 1));
  const syncs = master.log.syncs - before;
  assert(syncs < 100, `${syncs} syncs`);
  const lines = (await changesIn(file)).slice(1);
  assertEquals(lines.findIndex((line, n) => JSON.parse(line).URL !== url(n)), -1);
  assertEquals(lines.length, done);
});

it("30 batches of 10,000 changes of one key are done or refused soon, and redirects go on", async () => {
  using dir = tempDir();
  await using master = await startHere({ cwd: dir.path }, "-rpc");
  const key = await add(master.url, url(-1));
  const answered = Promise.all(Array.from({ length: 30 }, async (_, at) => {
    const calls = Array.from({ length: 10_000 }, (_, n) => {
      const params = [key, url(10_000 * at + n)];
      return JSON.stringify({ jsonrpc: "2.0", method: "Store.Update", params, id: n });
    });
    const init = { method: "POST", headers: { "content-type": JSON_TYPE }, body: `[${calls}]` };
    const response = await within(60_000, "an answer", fetch(`${master.url}/rpc`, init));
    return { status: response.status, text: await response.text() };
  }));
  let over = false;
  answered.finally(() => over = true).catch(() => {});
  for (let n = 0; !over; n++) {
    const redirect = fetch(`${master.url}/${key}`, { redirect: "manual" });
    const { status, body } = await within(30_000, "a redirect", redirect);
    await body?.cancel();
    assertEquals(status, 302, `${n}`);
    await breathe();
  }
  let done = 0;
  for (const { status, text } of await answered) {
    // There were too many bodies, or answers, at once; or a busy machine was slow to send one.
    if (status === 503 || status === 408) continue;
    assertEquals(status, 200, text.slice(0, 100));
    const answers: { result?: boolean; error?: { code: number } }[] = JSON.parse(text);
    assertEquals(answers.length, 10_000);
    assert(answers.every(({ result, error }) => result === true || error?.code === -32005));
    done += answers.filter(({ result }) => result).length;
  }
  assert(done >= 10_000, `${done} were made`);
  const lines = (await changesIn(`${dir.path}/store.jsonl`)).slice(1);
  assertEquals(lines.length, done);
  assertEquals((await follow(master.url, key)).location, JSON.parse(lines.at(-1)!).URL);
});
