import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { run } from "./commands.ts";
import { compacted } from "./replicas.ts";
import { startHere } from "./here.ts";
import { add, follow, tempDir, withoutIds } from "./processes.ts";
import { canChown, canTrace, tool } from "./tools.ts";

/** A journal of several write buffers' size, most lines of which are superseded. */
function journal(): { text: string; links: Map<string, string> } {
  const links = new Map<string, string>();
  let text = "";
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 7000; i++) {
      const url = i % 10 === round ? "" : `https://example.com/${"x".repeat(100)}/${round}/${i}`;
      links.set(`k${i}`, url);
      text += `{"Key":"k${i}","URL":"${url}"}\n`;
    }
  }
  return { text, links };
}

function parse(text: string): Map<string, string> {
  const links = new Map<string, string>();
  for (const line of text.trimEnd().split("\n")) {
    const { Key, URL } = JSON.parse(line);
    if (Key !== "") links.set(Key, URL);
  }
  return links;
}

/** What there is, but for a file of hits, which is made a second after a link was followed. */
const files = (path: string) =>
  Array.from(Deno.readDirSync(path), ({ name }) => name)
    .filter((name) => !name.includes(".hits")).sort();

describe("-compact", () => {
  it("drops superseded lines, keeps deleted keys, tells what it did, and exits", async () => {
    using dir = tempDir();
    const cwd = dir.path;
    let used: string[];
    {
      await using master = await startHere({ cwd });
      const put = (key: string, method: string, url?: string) =>
        fetch(`${master.url}/api/links/${key}`, {
          method,
          headers: { "content-type": "application/json" },
          body: url && JSON.stringify({ url }),
        }).then((response) => response.body?.cancel());
      used = [
        await add(master.url, "https://example.com/0"),
        await add(master.url, "example.com/1"),
      ];
      for (let i = 0; i < 10; i++) await put(used[0], "PUT", `https://example.com/${i}`);
      await put(used[1], "DELETE");
    }
    const whole = await Deno.readTextFile(`${cwd}/store.jsonl`);
    const before = whole.length;
    const { code, stdout, stderr } = await run({ cwd }, "-compact");
    assertEquals([code, stderr], [0, ""]);
    const text = await Deno.readTextFile(`${cwd}/store.jsonl`);
    const last = text.slice(text.indexOf("\n") + 1);
    assertEquals(text, compacted(last, whole));
    assertEquals(
      withoutIds(last),
      `{"Key":"${used[0]}","URL":"https://example.com/9"}\n{"Key":"${used[1]}","URL":""}\n`,
    );
    assertEquals(
      stdout,
      `store.jsonl: 13 lines, ${before} bytes before; 3 lines, ${text.length} bytes after\n`,
    );
    assertEquals(files(cwd), ["store.jsonl"]);

    await using master = await startHere({ cwd });
    assertEquals((await follow(master.url, used[0])).location, "https://example.com/9");
    assertEquals((await follow(master.url, used[1])).status, 404);
    assert(!used.includes(await add(master.url, "https://example.com/")), "a key was used again");
  });

  it("refuses a journal with a bad line as a start does, and touches nothing", async () => {
    using dir = tempDir();
    const text = `{"Key":"a","URL":"https://example.com/"}\nbad\n{"Key":"a","URL":""}\n`;
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, text);
    const { code, stdout, stderr } = await run({ cwd: dir.path }, "-compact");
    assertEquals([code, stdout], [1, ""]);
    assertEquals(
      stderr,
      "goto: store.jsonl:2: bad JSON; -repair moves bad lines to store.jsonl.bad\n",
    );
    assertEquals(await Deno.readTextFile(`${dir.path}/store.jsonl`), text);
    assertEquals(files(dir.path), ["store.jsonl"]);
  });

  it("isn't troubled by what a killed one left behind", async () => {
    using dir = tempDir();
    const { text, links } = journal();
    await Deno.writeTextFile(`${dir.path}/store.jsonl`, text);
    await Deno.writeTextFile(`${dir.path}/store.jsonl.tmp`, "half of a fi");
    await Deno.writeTextFile(`${dir.path}/store.jsonl.pid`, "1\n");
    const { code } = await run({ cwd: dir.path }, "-compact");
    assertEquals(code, 0);
    assertEquals(parse(await Deno.readTextFile(`${dir.path}/store.jsonl`)), links);
    assertEquals(files(dir.path), ["store.jsonl"]);
  });

  // The calls by which a compaction changes something, in their order.
  const steps: [call: string, file: string][] = [
    ["/^open", "store.jsonl.tmp"],
    ["flock", "store.jsonl.tmp"],
    ["write", "store.jsonl.tmp"],
    ["fsync", "store.jsonl.tmp"],
    ["/^rename", "store.jsonl.tmp"],
    ["fsync", "."],
    ["/^unlink", "store.jsonl.pid"],
  ];

  it("killed at each of its steps leaves all links (needs strace)", {
    ignore: !canTrace,
  }, async () => {
    const { text, links } = journal();
    let compacted = 0;
    for (const [call, file] of steps) {
      using dir = tempDir();
      const cwd = dir.path;
      await Deno.writeTextFile(`${cwd}/store.jsonl`, text);
      const path = file === "." ? cwd : `${cwd}/${file}`;
      const inject = `inject=${call}:signal=KILL`;
      const through = ["strace", "-f", "-o", "/dev/null", "-P", path, "-e", inject];
      const step = `${call} ${file}`;
      const ended = await run({ cwd, through }, `-file=${cwd}/store.jsonl`, "-compact")
        .then(() => "by itself", (error: Error) => /ended by \w+/.exec(error.message)?.[0]);
      assertEquals(ended, "ended by SIGKILL", step);

      const left = await Deno.readTextFile(`${cwd}/store.jsonl`);
      assertEquals(parse(left), links, step);
      if (left !== text) compacted++;
      assert(left === text || left.length < text.length / 2, `half done: ${step}`);

      // The next start clears up, and has every link.
      const { code } = await run({ cwd }, "-compact");
      assertEquals(code, 0, step);
      assertEquals(parse(await Deno.readTextFile(`${cwd}/store.jsonl`)), links, step);
      assertEquals(files(cwd), ["store.jsonl"], step);
    }
    assert(
      compacted > 0 && compacted < steps.length,
      `${compacted} of ${steps.length} took effect`,
    );
  });

  it("keeps the journal's owner when root runs it (needs root)", {
    ignore: !canChown,
  }, async () => {
    using dir = tempDir();
    const path = `${dir.path}/store.jsonl`;
    await Deno.writeTextFile(path, `{"Key":"a","URL":"https://example.com/"}\n`);
    await Deno.chmod(path, 0o640);
    await tool("chown", "12345:23456", path);
    assertEquals((await run({ cwd: dir.path }, "-compact")).code, 0);
    const { uid, gid, mode } = await Deno.stat(path);
    assertEquals([uid, gid, mode! & 0o777], [12345, 23456, 0o640]);
  });
});
