/** What somebody else does to a journal while it is in use. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { it } from "@std/testing/bdd";
import { Journal } from "../journal/journal.ts";
import { changesTo } from "../journal/log.ts";
import { type Here, startHere } from "./here.ts";
import { add, eventually, follow, type Goto, tempDir } from "./processes.ts";
import { ready } from "./replicas.ts";

/** The status and the body of an attempt to add a link. */
async function tryToAdd({ url }: Goto | Here): Promise<[status: number, text: string]> {
  const body = new URLSearchParams({ url: "https://example.com/new" });
  const init = { method: "POST", body, signal: AbortSignal.timeout(10_000) };
  const response = await fetch(`${url}/add`, init);
  return [response.status, await response.text()];
}

/** What may happen to a file: how, and what is said of it. */
const events: [name: string, happens: (file: string) => Promise<void>, reason: RegExp][] = [
  ["removed", (file) => Deno.remove(file), /the file is gone: /],
  ["moved", (file) => Deno.rename(file, `${file}.moved`), /the file is gone: /],
  ["replaced", async (file) => {
    await Deno.copyFile(file, `${file}.new`);
    await Deno.rename(`${file}.new`, file);
  }, /another file has taken its place/],
  ["emptied", (file) => Deno.truncate(file), /the file has 0 bytes, not \d+/],
  [
    "cut",
    async (file) => Deno.truncate(file, (await Deno.stat(file)).size - 10),
    /the file has \d+ bytes, not/,
  ],
  [
    "appended to",
    (file) => Deno.writeTextFile(file, "#\n", { append: true }),
    /the file has \d+ bytes, not/,
  ],
];

const onWindows = Deno.build.os === "windows"; // there an open file is neither removed nor cut

for (const [name, happens, reason] of events) {
  it(`a master whose journal is ${name} takes no link that would be lost`, {
    ignore: onWindows,
  }, async () => {
    using dir = tempDir();
    const file = `${dir.path}/store.jsonl`;
    await using master = await startHere({ cwd: dir.path });
    const key = await add(master.url, "https://example.com/");
    await happens(file);
    const left = await Deno.readFile(file).catch(() => undefined);
    for (let i = 0; i < 5; i++) {
      const [status, text] = await tryToAdd(master);
      assertEquals(status, 507, text);
      assertMatch(text, reason);
    }
    const health = await ready(master.url);
    assertEquals([health.status, health.writable], [200, false]);
    assertMatch(health.reason, reason);
    assertEquals((await follow(master.url, key)).location, "https://example.com/");
    const told = master.logs.filter(({ level }) => level === "error");
    assertEquals(told.map(({ msg }) => msg), ["cannot write"], master.stderr);
    assertMatch(told[0].reason, reason);
    assertEquals(
      await Deno.readFile(file).catch(() => undefined),
      left,
      "what stands there is left as it is",
    );
  });
}

it("a master whose journal comes back goes on by itself", { ignore: onWindows }, async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await using master = await startHere({ cwd: dir.path });
  await add(master.url, "https://example.com/");
  await Deno.rename(file, `${file}.moved`);
  assertEquals((await tryToAdd(master))[0], 507);
  await Deno.rename(`${file}.moved`, file);
  await eventually(async () => assertEquals((await ready(master.url)).writable, true));
  const key = await add(master.url, "https://example.com/again");
  await master.restart();
  assertEquals(master.links, 2);
  assertEquals((await follow(master.url, key)).location, "https://example.com/again");
});

it("changes that are on their way when the journal goes are refused", {
  ignore: onWindows,
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/store.jsonl`;
  await using master = await startHere({ cwd: dir.path });
  await add(master.url, "https://example.com/");
  let gone = false;
  const late: number[] = [];
  const writers = Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 100; i++) {
      const after = gone;
      const [status] = await tryToAdd(master);
      if (after) late.push(status);
      if (status !== 200) return;
    }
  });
  await eventually(() => master.links === 0 && Deno.statSync(file).size > 500);
  Deno.removeSync(file);
  gone = true;
  await Promise.all(writers);
  assertEquals(late.filter((status) => status !== 507), []);
});

it("a mirror whose file is gone says so, and answers from the master", {
  ignore: onWindows,
}, async () => {
  using dir = tempDir();
  const file = `${dir.path}/mirror.jsonl`;
  await using master = await startHere("-rpc");
  await add(master.url, "https://example.com/");
  await using mirror = await startHere({ cwd: dir.path }, `-master=${master.url}`, `-file=${file}`);
  await eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0));
  await Deno.remove(file);
  const key = await add(master.url, "https://example.com/new");
  const { reason } = await mirror.waitForLog(({ msg }) => msg === "cannot write");
  assertStringIncludes(reason, "is gone");
  assertEquals((await follow(mirror.url, key)).location, "https://example.com/new");
  assertStringIncludes((await ready(mirror.url)).reason, "is gone");
});

it("Journal.append() never writes beyond the end of a file that was cut", async () => {
  using dir = tempDir();
  const path = `${dir.path}/journal.jsonl`;
  const journal = await Journal.open(path);
  await journal.load(changesTo(() => {}));
  const line = `{"Key":"0","URL":"https://example.com/"}\n`;
  await journal.append(line + line);
  await Deno.truncate(path, line.length);
  for (let i = 0; i < 3; i++) {
    const error = await journal.append(line).then(() => undefined, (error) => error);
    assertStringIncludes(`${error}`, `${line.length} bytes, not ${2 * line.length}`);
  }
  await journal.close().catch(() => {});
  assertEquals(await Deno.readTextFile(path), line);
});
