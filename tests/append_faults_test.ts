/** Writes whose system calls fail, one way after the other: what was refused never comes back. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { afterAll, describe, it } from "@std/testing/bdd";
import { add, eventually, follow, type Goto, run, start, tempDir } from "./processes.ts";
import { following, ready } from "./replicas.ts";
import { canTrace, trace } from "./tools.ts";

const URL = "https://example.com/";

async function post({ url }: Goto, key: string): Promise<[status: number, detail: string]> {
  const response = await fetch(`${url}/api/links`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url: URL, key }),
    signal: AbortSignal.timeout(15_000),
  });
  return [response.status, (await response.json()).detail ?? ""];
}

/** Which calls fail, and what those may be told who asked for a link. */
const faults: [calls: string[], statuses: number[]][] = [
  [["write:error=EIO"], [507]],
  [["write:error=EIO:when=1"], [507]],
  [["write:error=ENOSPC"], [507]],
  [["write:error=EINTR:when=1"], [201, 507]],
  [["fdatasync:error=EIO"], [507]],
  [["fdatasync:error=EIO:when=1"], [507]],
  [["fdatasync:error=ENOSPC"], [507]],
  [["statx:error=EIO:when=1"], [201, 507]],
  [["statx:error=ESTALE:when=1"], [201, 507]],
  [["statx:error=EIO:when=2"], [201, 507]],
  [["statx:error=EIO"], [507]],
  [["statx:error=ESTALE"], [507]],
  [["statx:error=EACCES"], [507]],
  [["statx:error=EIO", "ftruncate:error=EIO"], [503]],
  // The first call of each thread fails: it may be all of them, as each comes from another.
  [["statx:error=EIO", "ftruncate:error=EIO:when=1"], [507, 503]],
  [["statx:error=EIO", "fsync:error=EIO"], [503]],
  [["statx:error=EIO", "lseek:error=EIO"], [503]],
  [["fdatasync:error=EIO", "ftruncate:error=EIO"], [503]],
  [["fdatasync:error=EIO", "ftruncate:error=EIO:when=1"], [507, 503]],
  [["fdatasync:error=EIO", "fsync:error=EIO"], [503]],
  [["fdatasync:error=EIO", "fsync:error=EIO:when=1"], [507, 503]],
  [["fdatasync:error=EIO", "statx:error=EIO"], [507]],
  [["write:error=ENOSPC", "ftruncate:error=EIO", "fsync:error=EIO"], [503]],
  [["write:error=ENOSPC", "lseek:error=EIO"], [503]],
];

/** A master that the cases share, one after the other; where one failed, the next has another. */
let shared: { master: Goto; file: string; dir: ReturnType<typeof tempDir> } | undefined;

async function letGo(): Promise<void> {
  const { master, dir } = shared ?? {};
  shared = undefined;
  await master?.[Symbol.asyncDispose]();
  dir?.[Symbol.dispose]();
}

// It outlives a case.
const options = { ignore: !canTrace, sanitizeResources: false, sanitizeOps: false };

describe("a master whose disk fails in", options, () => {
  afterAll(letGo);

  for (const [i, [calls, statuses]] of faults.entries()) {
    it(`${calls.join(" and ")} keeps what it acknowledged, and never brings back what it refused (needs strace)`, async () => {
      if (shared === undefined) {
        const dir = tempDir();
        const file = `${dir.path}/store.jsonl`;
        shared = { master: await start({ cwd: dir.path }, `-file=${file}`), file, dir };
      }
      const { master, file } = shared;
      const keys = async () =>
        (await Deno.readTextFile(file)).split("\n").filter(Boolean)
          .map((line) => JSON.parse(line).Key);
      const [first, second, third, fourth] = [1, 2, 3, 4].map((n) => `${i}-${n}`);
      let complete = false;
      try {
        await add(master.url, URL, first);
        const before = await keys();

        const inject = calls.flatMap((call) => ["-e", `inject=${call}`]);
        const during = await trace(master.pid, "-P", file, ...inject);
        const [status, detail] = await post(master, second);
        const left = await keys();
        // Whoever was told nothing of a link in doubt finds none.
        if (status !== 201) assertEquals((await follow(master.url, second)).status, 404);
        // The first half of them are killed while the disk fails, the others once it works again.
        const killed = i % 2 === 0;
        if (!killed) {
          await during.stop();
          await following(master);
          assertEquals(await keys(), status === 201 ? [...before, second] : before);
          await add(master.url, URL, third);
        }
        assert(statuses.includes(status), `${status} ${detail}`);
        if (status === 507) {
          assertMatch(detail, /^cannot save: [A-Z].*[a-z]$/);
          assertEquals(left, before);
        }
        if (status === 503) assertMatch(detail, /^may have been saved: [A-Z].*[a-z]$/);

        master.kill("SIGKILL");
        await master.status;
        await during.stop();
        await master.begin();
        const found = await keys();
        for (const key of before) assert(found.includes(key), key);
        if (!killed) assert(found.includes(third));
        if (status === 201) assert(found.includes(second));
        if (status === 507) assert(!found.includes(second), found.join());
        assertEquals(master.links, found.length);
        const expected = found.includes(second) ? 302 : 404;
        assertEquals((await follow(master.url, second)).status, expected);
        await add(master.url, URL, fourth);
        complete = true;
      } finally {
        if (!complete) await letGo();
      }
    });
  }
});

describe("a mirror whose disk fails in", { ignore: !canTrace }, () => {
  for (
    const calls of [
      ["statx:error=EIO"],
      ["fdatasync:error=EIO", "ftruncate:error=EIO"],
      ["write:error=ENOSPC", "fsync:error=EIO"],
    ]
  ) {
    it(`${calls.join(" and ")} has a part of the master's journal, and goes on (needs strace)`, async () => {
      using dir = tempDir();
      const file = `${dir.path}/copy.jsonl`;
      await using master = await start("-rpc");
      await add(master.url, URL, "first");
      const flags = [`-master=${master.url}`, `-file=${file}`];
      await using mirror = await start({ cwd: dir.path }, ...flags);
      const follows = () =>
        eventually(async () => assertEquals((await ready(mirror.url)).lagBytes, 0), 20_000);
      await follows();
      const inject = calls.flatMap((call) => ["-e", `inject=${call}`]);
      for (const ends of ["killed", "works"]) {
        const during = await trace(mirror.pid, "-P", file, ...inject);
        await add(master.url, URL, ends);
        await mirror.waitForLog(({ msg }) => msg === "cannot write");
        // What it could not save it asks its master for.
        assertEquals((await follow(mirror.url, ends)).location, URL);
        if (ends === "killed") {
          mirror.kill("SIGKILL");
          await mirror.status;
          await during.stop();
          await mirror.begin();
        } else {
          await during.stop();
          await mirror.waitForLog(({ msg }) => msg === "writing again");
        }
        await follows();
      }
      await master.stop();
      for (const key of ["first", "killed", "works"]) {
        assertEquals((await follow(mirror.url, key)).location, URL);
      }
    });
  }
});

it(
  "-promote begins no term where the disk refuses it (needs strace)",
  { ignore: !canTrace },
  async () => {
    using dir = tempDir();
    const file = `${dir.path}/store.jsonl`;
    const text = `{"Key":"a","URL":"${URL}"}\n`;
    await Deno.writeTextFile(file, text);
    const traced = ["strace", "-f", "-o", "/dev/null", "-P", file];
    for (
      const [calls, said] of [
        [["write:error=ENOSPC"], "No space left on device"],
        [["write:error=EIO", "ftruncate:error=EIO", "lseek:error=EIO:when=3+"], ""],
      ] as const
    ) {
      const through = [
        ...traced,
        ...["-e", "trace=write,ftruncate,lseek"],
        ...calls.flatMap((call) => ["-e", `inject=${call}`]),
      ];
      const flags = [`-file=${file}`, "-promote", "-http=127.0.0.1:0"];
      const { code, stderr } = await run({ cwd: dir.path, through }, ...flags);
      assertEquals(code, 1);
      assert(stderr.includes(`goto: ${file}: ${said}`), stderr);
      assertEquals(await Deno.readTextFile(file), text);
    }
  },
);
