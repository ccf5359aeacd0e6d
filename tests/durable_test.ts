/**
 * In which order the program makes contents and names durable. Every sync is slowed down here, so that
 * one that isn't waited for shows.
 */
import { assert } from "@std/assert";
import { it } from "@std/testing/bdd";
import { add, run, start, tempDir } from "./processes.ts";
import { canTrace } from "./tools.ts";

const A = `{"Key":"a","URL":"https://example.com/"}\n`;
const ignore = !canTrace;

/** Has `strace` write down what the program does with files, to `path`. */
function through(path: string): string[] {
  const calls = "trace=/^open,write,/^rename,/^link,fsync,fdatasync,ftruncate";
  const slow = "inject=fsync,fdatasync:delay_exit=30000";
  return ["strace", "-D", "-f", "-y", "-s", "300", "-o", path, "-e", calls, "-e", slow];
}

/** Asserts that calls were made in this order, each after the one before had returned. */
async function assertInOrder(path: string, ...patterns: RegExp[]): Promise<void> {
  const text = await Deno.readTextFile(path);
  const calls: { text: string; start: number; end: number }[] = [];
  const unfinished = new Map<string, { text: string; start: number; end: number }>();
  for (const [at, line] of text.split("\n").entries()) {
    const [, pid, what] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (what === undefined) continue;
    const call = unfinished.get(pid);
    if (call && what.startsWith("<...")) {
      call.text += what;
      call.end = at;
      unfinished.delete(pid);
      continue;
    }
    const made = { text: what, start: at, end: at };
    calls.push(made);
    if (!what.endsWith("<unfinished ...>")) continue;
    made.end = Infinity;
    unfinished.set(pid, made);
  }
  let end = -1;
  for (const pattern of patterns) {
    const next = calls.find(({ text, start }) => start > end && pattern.test(text));
    const ours = calls.filter(({ text }) => /\.jsonl|sync|"serving"/.test(text));
    assert(next, `no ${pattern} in time:\n${ours.map(({ text }) => text).join("\n")}`);
    end = next.end;
  }
}

/** A call with the path of a file that is open. */
function on(call: string, path: string): RegExp {
  return new RegExp(`^${call}\\(\\d+<${path}>`);
}

it(
  "a new journal's name is durable before the master serves (needs strace)",
  { ignore },
  async () => {
    using dir = tempDir();
    const calls = `${dir.path}/calls`;
    const path = `${dir.path}/store.jsonl`;
    {
      await using _ = await start({ through: through(calls) }, `-file=${path}`);
    }
    const serving = /^write\(2.*"msg\\":\\"serving/;
    await assertInOrder(calls, /^open.*store\.jsonl.*O_CREAT/, on("fsync", dir.path), serving);
  },
);

it(
  "what a killed master left is durable before it is shown (needs strace)",
  { ignore },
  async () => {
    using dir = tempDir();
    const calls = `${dir.path}/calls`;
    const path = `${dir.path}/store.jsonl`;
    const serving = /^write\(2.*"msg\\":\\"serving/;
    const opened = /^open.*store\.jsonl/;
    for (
      const [text, ...steps] of [
        [A],
        [`${A}{"Key":"b","UR`, on("ftruncate", path)],
        [A.trimEnd(), on("write", path)],
      ] as [string, ...RegExp[]][]
    ) {
      await Deno.writeTextFile(path, text);
      {
        await using _ = await start({ through: through(calls) }, `-file=${path}`);
      }
      await assertInOrder(calls, opened, ...steps, on("fdatasync", path), serving);
    }
  },
);

it("-repair and -compact replace the journal by what is durable (needs strace)", {
  ignore,
}, async () => {
  using dir = tempDir();
  const calls = `${dir.path}/calls`;
  const path = `${dir.path}/store.jsonl`;
  await Deno.writeTextFile(path, `${A}bad\n${A.repeat(3)}`);
  const options = { through: through(calls) };
  await run(options, `-file=${path}`, "-compact", "-repair");
  const replaced = [
    on("write", `${path}.tmp`),
    on("fsync", `${path}.tmp`),
    /^rename.*store\.jsonl\.tmp"/,
    on("fsync", dir.path),
  ];
  const aside = [
    on("write", `${path}.bad`),
    on("fsync", `${path}.bad`),
    on("fsync", dir.path),
    /^rename.*store\.jsonl\.tmp"/,
  ];
  await assertInOrder(calls, ...aside, on("fsync", dir.path), ...replaced);
  await assertInOrder(calls, ...replaced, ...replaced);
});

it("a copy is durable before it becomes the mirror, and the one before has a name (needs strace)", {
  ignore,
}, async () => {
  await using master = await start("-rpc");
  await add(master.url, "https://example.com/");
  using dir = tempDir();
  const calls = `${dir.path}/calls`;
  const path = `${dir.path}/mirror.jsonl`;
  const flags = [`-master=${master.url}`, `-file=${path}`];
  const copied = [
    on("write", `${path}.part`),
    on("fsync", `${path}.part`),
    /^rename.*mirror\.jsonl\.part"/,
    on("fsync", dir.path),
    /^write\(2.*the mirror is complete/,
  ];
  {
    await using mirror = await start({ through: through(calls) }, ...flags);
    await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
  }
  await assertInOrder(calls, ...copied);

  await Deno.writeTextFile(path, A); // which is another history
  {
    await using mirror = await start({ through: through(calls) }, ...flags);
    await mirror.waitForLog(({ msg }) => msg === "the mirror is complete");
  }
  await assertInOrder(calls, ...copied);
  await assertInOrder(calls, /^link.*mirror\.jsonl"/, /^rename.*mirror\.jsonl\.part"/);
});
