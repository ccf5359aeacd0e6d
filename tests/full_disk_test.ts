import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { add, eventually, follow, type Goto, start, tempDir } from "./processes.ts";
import { canLimit, canMount, canTrace, smallDisk, tool, trace, type Tracer } from "./tools.ts";

const BIG = `https://example.com/${"x".repeat(4000)}`;

interface Answer {
  status: number;
  body: string;
}

async function answer(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  return { status: response.status, body: await response.text() };
}

function post(base: string, url: string, key?: string): Promise<Answer> {
  return answer(`${base}/api/links`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url, key }),
  });
}

function rpc(base: string, method: string, ...params: string[]): Promise<Answer> {
  return answer(`${base}/rpc`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
}

const ready = (base: string) => answer(`${base}/readyz`);

/** A disk that can be made to refuse. */
interface Disk {
  fill: () => Promise<unknown>;
  free: () => Promise<unknown>;
  /** The journal as it stands. */
  read: () => Promise<string>;
  /** What is said of it when it refuses. */
  reason: RegExp;
  /** What to fill it with. */
  url: string;
}

/** What a master promises while its disk takes nothing, and once it takes something again. */
async function checkPromises(
  master: Goto,
  disk: Disk,
): Promise<void> {
  const { url } = master;
  const acknowledged = new Map<string, string>();
  acknowledged.set(
    await add(url, "https://example.com/first", "first"),
    "https://example.com/first",
  );
  acknowledged.set(await add(url, "https://example.com/second"), "https://example.com/second");

  await disk.fill();
  // Many at once, and then one alone: each is told, and told the truth.
  const refused = new Set<string>();
  const tryToAdd = async (key: string) => {
    const { status, body } = await post(url, disk.url, key);
    if (status === 201) return acknowledged.set(key, disk.url);
    assertEquals(status, 507, body);
    assertMatch(JSON.parse(body).detail, disk.reason);
    refused.add(key);
  };
  for (let round = 0; !refused.has(`alone${round - 1}`); round++) {
    assert(round < 30, "there is always room for one more");
    await Promise.all(Array.from({ length: 20 }, (_, i) => tryToAdd(`k${round}-${i}`)));
    await tryToAdd(`alone${round}`);
  }

  // Every kind of change is refused, and changes nothing.
  const longer = disk.url + "y".repeat(100);
  const change = { method: "PUT", headers: { "content-type": "application/json" } };
  const body = JSON.stringify({ url: longer });
  assertEquals((await answer(`${url}/api/links/first`, { ...change, body })).status, 507);
  const { error } = JSON.parse((await rpc(url, "Store.Put", longer)).body);
  assertEquals(error.code, -32005);
  assertMatch(error.message, disk.reason);

  // Reads go on; /readyz says what is amiss.
  for (const [key, location] of acknowledged) {
    assertEquals((await follow(url, key)).location, location);
  }
  for (const key of refused) assertEquals((await follow(url, key)).status, 404);
  const health = await ready(url);
  assertEquals([health.status, JSON.parse(health.body).writable], [200, false]);
  assertMatch(JSON.parse(health.body).reason, disk.reason);
  assertEquals((await answer(`${url}/healthz`)).status, 200);

  // The file has no part of what was refused: not even after a crash would it be there. (Spaces at
  // its end are what looks for room once a second.)
  const lines = (await disk.read()).replace(/ +$/, "").split("\n");
  assertEquals(lines.pop(), "");
  const keys = lines.map((line) => JSON.parse(line).Key);
  assertEquals(keys.sort(), [...acknowledged.keys()].sort());

  await disk.free();
  // No new link is needed for it to find out.
  await eventually(async () => JSON.parse((await ready(url)).body).writable);
  for (const key of refused) { // a key whose link was refused is free
    assertEquals((await post(url, "https://example.com/again", key)).status, 201);
    acknowledged.set(key, "https://example.com/again");
  }

  // File and memory agree: killed and started again, it has the same links, and nothing was torn.
  master.kill("SIGKILL");
  await master.status;
  await master.begin();
  assertEquals(master.links, acknowledged.size);
  assertEquals(master.logs.filter(({ level }) => level !== "info"), []);
  for (const [key, location] of acknowledged) {
    assertEquals((await follow(master.url, key)).location, location);
  }
}

describe("a link that can't be saved is refused, and nothing else suffers,", () => {
  it("on a full disk (needs root)", { ignore: !canMount }, async () => {
    using dir = tempDir();
    await using disk = await smallDisk(dir.path, "300k");
    await using master = await start({ cwd: dir.path, through: disk.through }, "-rpc");
    await checkPromises(master, {
      fill: async () =>
        assert((await disk.run("sh", "-c", "head -c 200000 /dev/zero > filler")).success),
      free: async () => assert((await disk.run("rm", "filler")).success),
      read: async () => (await disk.run("cat", "store.jsonl")).stdout,
      reason: /No space left on device/,
      url: BIG,
    });
  });

  it("at a limit on the size of files", { ignore: !canLimit }, async () => {
    using dir = tempDir();
    await using master = await start({ cwd: dir.path }, "-rpc");
    const limit = async (bytes: string) =>
      assert((await tool("prlimit", `--pid=${master.pid}`, `--fsize=${bytes}:`)).success);
    await checkPromises(master, {
      // No whole number of lines: a part of one is written, and must be cut off.
      fill: () => limit("50001"),
      free: () => limit("unlimited"),
      read: () => Deno.readTextFile(`${dir.path}/store.jsonl`),
      reason: /File too large/,
      url: BIG,
    });
  });

  for (const call of ["write", "fdatasync"]) {
    it(`while ${call} fails with an I/O error (needs strace)`, { ignore: !canTrace }, async () => {
      using dir = tempDir();
      await using master = await start({ cwd: dir.path }, "-rpc");
      const fault = ["-P", `${dir.path}/store.jsonl`, "-e", `inject=${call}:error=EIO`];
      let strace: Tracer | undefined;
      await checkPromises(master, {
        fill: async () => strace = await trace(master.pid, ...fault),
        free: () => Promise.resolve(strace?.stop()),
        read: () => Deno.readTextFile(`${dir.path}/store.jsonl`),
        reason: /Input\/output error/,
        url: "https://example.com/",
      });
    });
  }
});
